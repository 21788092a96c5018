"""Exit codes, sentences, the report as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audit import INVARIANTS, SERVICES, Unreadable, run
from audit.cli import SHOWN, main, urls

DEPLOY = Path(__file__).resolve().parents[2]


def test_a_database_that_cannot_be_reached_is_a_sentence_and_exit_2(shop, capsys):
    nowhere = shop.url("svc-payments").replace(f":{shop.env['POSTGRES_PORT']}/", ":1/")
    code, report = shop.audit(environ={**shop.environ, "AUDIT_SVC_PAYMENTS_URL": nowhere})
    assert (code, report) == (2, {})
    said = capsys.readouterr().err
    assert said.startswith("The database of svc-payments cannot be read: ")
    assert shop.env["AUDITOR_DATABASE_PASSWORD"] not in said
    assert len(said.splitlines()) == 1


def test_a_wrong_password_is_a_sentence_that_does_not_show_it(shop, capsys):
    wrong = shop.url("svc-cart").replace(shop.env["AUDITOR_DATABASE_PASSWORD"], "guessed-by-somebody")
    assert shop.audit(environ={**shop.environ, "AUDIT_SVC_CART_URL": wrong})[0] == 2
    said = capsys.readouterr().err
    assert "The database of svc-cart cannot be read" in said
    assert "guessed-by-somebody" not in said


def test_an_address_that_is_missing_is_named(shop, capsys):
    environ = {name: value for name, value in shop.environ.items() if "CATALOG" not in name}
    assert shop.audit(environ=environ)[0] == 2
    assert "There is no address of the database of svc-catalog." in capsys.readouterr().err


def test_an_address_may_stand_in_a_file(shop, tmp_path):
    file = tmp_path / "url"
    file.write_text(shop.url("svc-orders") + "\n")
    environ = {name: value for name, value in shop.environ.items() if "ORDERS" not in name}
    assert shop.audit(environ={**environ, "AUDIT_SVC_ORDERS_URL_FILE": str(file)})[0] == 0
    with pytest.raises(Unreadable, match="AUDIT_SVC_ORDERS_URL_FILE"):
        urls({"AUDIT_SVC_ORDERS_URL_FILE": str(tmp_path / "nothing")})


def test_a_schema_that_the_audit_does_not_know_is_a_sentence_and_exit_2(shop, capsys):
    shop.change("svc-orders", "ALTER TABLE orders_refund RENAME COLUMN amount TO sum")
    assert shop.audit()[0] == 2
    said = capsys.readouterr().err
    assert "The database of svc-orders does not have what this audit reads" in said
    assert "migrations" in said


def test_a_table_that_may_not_be_read_is_a_sentence_and_exit_2(shop, capsys):
    """Where somebody made the role by hand and forgot a grant."""
    mine = shop.url("svc-orders").partition("://")[2].partition(":")[0]
    assert mine == "auditor"
    stranger = shop.url("svc-orders").replace(
        f"auditor:{shop.env['AUDITOR_DATABASE_PASSWORD']}",
        f"svc_cart:{shop.env['SVC_CART_DATABASE_PASSWORD']}",
    )
    shop.change("svc-orders", f"GRANT CONNECT ON DATABASE {shop.name('svc-orders')} TO svc_cart")
    assert shop.audit(environ={**shop.environ, "AUDIT_SVC_ORDERS_URL": stranger})[0] == 2
    assert "may not read the database of svc-orders" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_a_sentence_and_exit_2(shop, capsys):
    assert main(["--json", "/nowhere/at/all.json", "--wait", "0"], shop.environ) == 2
    assert "/nowhere/at/all.json cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--wait", "-1"], ["--in-flight-limit", "soon"], ["--events-since", "x"], ["more"]]
)
def test_bad_options_are_refused_before_anything_is_read(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert "usage: deploy/shop audit" in capsys.readouterr().err


def test_json_on_stdout_is_nothing_but_json(shop):
    """As another program calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "audit", "--json", "--wait", "0"],
        env={**shop.environ, "PYTHONPATH": str(DEPLOY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["clean"] is True
    assert [each["name"] for each in report["invariants"]] == [each.name for each in INVARIANTS]
    assert all(each["sentence"].endswith(".") for each in report["invariants"])
    assert "order-total-adds-up" in done.stderr


def test_many_findings_are_counted_and_some_are_shown(shop, capsys):
    shop.change("svc-notifications", "DELETE FROM notifications_notification WHERE kind = 'order_placed'")
    code, report = shop.audit()
    assert code == 1
    [counted] = [each for each in report["invariants"] if each["wrong"]]
    assert counted["wrong"] == len(report["findings"]) == 35
    said = capsys.readouterr().out
    assert f"{35 - SHOWN} more are not shown" in said
    assert "35 findings in 1 invariants." in said


def test_a_program_gets_a_report(shop):
    """`from audit import run`, as the tests under faults do."""
    shop.change(
        "svc-cart",
        "UPDATE inbox_event SET status = 'dead' WHERE event_id = (SELECT max(event_id::text) FROM inbox_event)::uuid",
    )
    report = run(urls(shop.environ), in_flight_limit=0, wait=0)
    assert not report.clean
    assert report.broken == ("no-event-is-a-dead-letter",)
    [(invariant, finding)] = report.findings()
    assert invariant.sentence == "No event is given up that nobody has decided about."
    assert finding.service == "svc-cart"


def test_names_are_unique_and_sentences_are_sentences():
    names = [each.name for each in INVARIANTS]
    assert len(set(names)) == len(names)
    for each in INVARIANTS:
        assert each.sentence[0].isupper()
        assert each.sentence.endswith(".")
        assert {check.service for check in each.checks} <= set(SERVICES)


def test_the_documentation_has_every_sentence():
    page = (DEPLOY.parent / "docs" / "audit.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{each.name}` | {each.sentence} |" for each in INVARIANTS]
