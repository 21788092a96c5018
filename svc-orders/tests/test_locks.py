from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from orders.models import CheckoutSaga, Order
from orders.services import locks
from tests.conftest import Buyer
from tests.watching import OutOfOrder, Watch, WriteOutsideTransaction

ORDERS = Path(__file__).parents[1] / "orders"


def test_rows_are_locked_in_one_module_only():
    users = {
        path.relative_to(ORDERS).as_posix()
        for path in ORDERS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "select_for_update")
        or (isinstance(node, ast.alias) and node.name == "claim_due")
    }
    assert users == {"services/locks.py"}


def test_a_checkout_that_is_locked_after_an_order_is_noticed(buyer: Buyer, watch: Watch):
    order_id = buyer.place()["id"]
    with watch.as_service(), transaction.atomic():
        list(locks.lock_checkouts(buyer.id))
        locks.lock_order(order_id)
        list(locks.lock_checkouts(buyer.id))  # has its lock already
    refused = pytest.raises(OutOfOrder, match="orders_checkoutsaga after orders_order")
    with refused, watch.as_service(), transaction.atomic():
        locks.lock_order(order_id)
        list(locks.lock_checkouts(buyer.id))


def test_an_order_that_is_locked_after_its_payment_was_written_is_noticed(buyer: Buyer, watch: Watch):
    order_id = buyer.place()["id"]
    refused = pytest.raises(OutOfOrder, match="orders_order after orders_orderpayment")
    with refused, watch.as_service(), transaction.atomic():
        buyer.payment_row().save()
        locks.lock_order(order_id)


def test_a_write_outside_a_transaction_of_its_own_is_noticed(buyer: Buyer, watch: Watch):
    buyer.place()
    with watch.as_service(), transaction.atomic():
        CheckoutSaga.objects.update(error="x")
    with watch.as_service(), pytest.raises(WriteOutsideTransaction, match="orders_order"):
        Order.objects.update(shipping_method="x")


def test_the_watch_looks_at_this_connection(watch: Watch, db: Any):
    assert watch in connection.execute_wrappers
