from __future__ import annotations

from typing import Any

import pytest

from orders.management.commands.draw_states import BEGIN, END, README, drawn
from orders.models import (
    MACHINES,
    CheckoutStep,
    Order,
    OrderStatus,
    RefundStatus,
    Return,
    ReturnStatus,
    draw,
)
from orders.models.states import Transition

STATES = {
    "Order": OrderStatus,
    "Return": ReturnStatus,
    "Refund": RefundStatus,
    "Checkout": CheckoutStep,
}


def test_the_readme_shows_the_machines_as_they_are():
    text = README.read_text()
    assert text.partition(BEGIN)[2].partition(END)[0] == drawn()


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_of_a_machine_can_be_reached_and_no_other_exists(name: str):
    machine = MACHINES[name]
    states = {*(t.target for t in machine.values()), *(s for t in machine.values() for s in t.sources)}
    assert states == set(STATES[name].values)


def test_a_drawing_begins_where_nothing_leads_to_and_ends_where_nothing_goes_on():
    machine = {"go": Transition(frozenset({"a", "b"}), "b"), "stop": Transition(frozenset({"b"}), "c")}
    assert draw(machine).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> a",
        "    a --> b: go",
        "    b --> b: go",
        "    b --> c: stop",
        "    c --> [*]",
    ]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda status: Order(status=status, version=1), "Order"),
        (lambda status: Return(status=status), "Return"),
    ],
)
def test_a_row_moves_as_its_machine_says_and_else_refuses(make: Any, name: str):
    for transition_name, transition in MACHINES[name].items():
        for status in STATES[name].values:
            row = make(status)
            if status in transition.sources:
                row.go(transition_name)
                assert row.status == transition.target
            else:
                with pytest.raises(transition.refusal):
                    row.go(transition_name)
                assert row.status == status
