"""Every invariant sees its own wrong row, and nothing else is named."""

from __future__ import annotations

import pytest
from corruptions import CORRUPTIONS

from audit import INVARIANTS


def test_a_consistent_shop_has_no_findings_and_every_invariant_had_something_to_check(shop, capsys):
    code, report = shop.audit("--in-flight-limit", "0")
    assert (code, report["findings"]) == (0, [])
    idle = {each["name"] for each in report["invariants"] if not each["checked"]}
    assert idle == {"shortage-ends-its-order"}
    assert "Nothing contradicts anything." in capsys.readouterr().out


def test_there_is_a_corruption_for_every_invariant():
    assert list(CORRUPTIONS) == [each.name for each in INVARIANTS]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_wrong_row_is_named_by_its_invariant(shop, broken, capsys, name):
    corruption = CORRUPTIONS[name]
    picked = shop.ask(corruption.service, corruption.pick)
    for statement in corruption.statements:
        touched = shop.change(corruption.service, statement.replace("{id}", str(picked)))
        assert touched, "the statement broke nothing"

    code, report = shop.audit()

    assert code == 1
    assert broken(report) == {name, *corruption.also}
    named = corruption.named.replace("{id}", str(picked))
    findings = [each for each in report["findings"] if each["invariant"] == name]
    assert any(each["id"].startswith(named) for each in findings), findings
    assert {each["service"] for each in findings} == {corruption.found_at or corruption.service}
    assert all(
        each["expected"] and each["actual"] and each["expected"] != each["actual"] for each in findings
    )
    said = capsys.readouterr().out
    sentence = next(each.sentence for each in INVARIANTS if each.name == name)
    assert f"{name}: {sentence}" in said
    assert named in said
