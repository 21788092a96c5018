"""The door for webhooks, through the gateway: what a provider did not say changes nothing, in any table of svc-payments."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from storefront import Json, Storefront, eventually, expect

#: Seconds between two looks that have to be the same before anything is judged.
QUIET = 0.5

Tables = dict[str, set[str]]


class Books:
    """The rows of svc-payments that name what a test is about, and all of the ledger; without the inboxes of requests and
    events, which name no money. Payments of other tests may expire meanwhile.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._about: list[str] = []
        self.names = [
            name
            for (name,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND (tablename LIKE 'payments\\_%' OR tablename = 'outbox_event') ORDER BY 1"
            )
        ]
        assert {"payments_payment", "payments_ledgerentry", "payments_webhookevent", "outbox_event"} <= set(
            self.names
        )

    def about(self, *ids: str) -> None:
        self._about += ids

    def now(self) -> Tables:
        return {
            name: {
                row
                for (row,) in self._connection.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
                )
                if name.startswith("payments_ledger") or any(each in row for each in self._about)
            }
            for name in self.names
        }

    def at_rest(self) -> Tables:
        """Once nothing is under way any more from what was done before."""
        deadline = time.monotonic() + 20
        seen = self.now()
        while True:
            time.sleep(QUIET)
            before, seen = seen, self.now()
            if before == seen:
                return seen
            assert time.monotonic() < deadline, "svc-payments does not come to rest"

    def payload(self, reference: str, kind: str) -> Json:
        """What the provider said when it told of this payment."""

        def find() -> Any:
            return self._connection.execute(
                "SELECT payload FROM payments_webhookevent WHERE type = %s AND payload::text LIKE %s"
                " AND settled_at IS NOT NULL",
                [kind, f"%{reference}%"],
            ).fetchall()

        [(payload,)] = eventually(find, lambda rows: len(rows) == 1)
        return dict(payload)

    def reference(self, payment_id: str) -> str:
        row = self._connection.execute(
            "SELECT provider_reference FROM payments_payment WHERE id = %s", [payment_id]
        ).fetchone()
        assert row is not None
        reference = str(row[0])
        self.about(payment_id, reference)
        return reference


@pytest.fixture
def books(stack_env: dict[str, str]) -> Iterator[Books]:
    # Containers: a server for each.
    port = stack_env.get("SVC_PAYMENTS_POSTGRES_PORT") or stack_env["POSTGRES_PORT"]
    password = stack_env["SVC_PAYMENTS_DATABASE_PASSWORD"]
    url = f"postgresql://svc_payments:{password}@127.0.0.1:{port}/svc_payments"
    with psycopg.connect(url, autocommit=True) as connection:
        yield Books(connection)


@pytest.fixture
def paid(buyer: Storefront) -> Json:
    """A confirmed order of `buyer`."""
    return buyer.buy(buyer.find_variant()["id"])


@pytest.fixture
def unpaid(buyer: Storefront) -> Json:
    """An order whose payment the provider knows and waits for: a declined one."""
    buyer.add_to_cart(buyer.find_variant()["id"])
    order = buyer.place_order()
    expect(buyer.confirm(order, "pm_card_chargeDeclined"), 402)
    return order


@pytest.fixture
def send(base_url: str, stack_env: dict[str, str]) -> Callable[..., httpx.Response]:
    """`send(event)` as the sandbox provider would; `secret`, `age` in seconds, `signed` (another body) and `header` change that."""

    def post(
        event: Json,
        *,
        secret: str | None = None,
        age: float = 0,
        signed: bytes | None = None,
        header: str | None = None,
    ) -> httpx.Response:
        body = json.dumps(event).encode()
        moment = int(time.time() - age)
        key = (secret or stack_env["SANDBOX_WEBHOOK_SECRET"]).encode()
        over = b"%d." % moment + (body if signed is None else signed)
        digest = hmac.new(key, over, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Forwarded-For": "198.18.254.1"}
        if header != "":
            headers["Sandbox-Signature"] = header or f"t={moment},v1={digest}"
        return httpx.post(f"{base_url}/api/v1/payments/webhooks/sandbox", content=body, headers=headers)

    return post


def succeeded(reference: str, order: Json) -> Json:
    """What the provider would say if this payment had been paid."""
    intent = {
        "id": reference,
        "object": "payment_intent",
        "amount": order["total"]["amount"],
        "currency": order["total"]["currency"],
        "status": "succeeded",
    }
    event = {"id": f"evt_{uuid4().hex}", "type": "payment_intent.succeeded", "created": int(time.time())}
    return {**event, "data": {"object": intent}}


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another secret, as long as a real one"},
        {"age": 301},
        {"age": 3600},
        {"age": -310},  # seconds pass on the way, which make it younger
        {"signed": b"{}"},
        {"header": ""},
        {"header": "t=1,v1=00"},
        {"header": "nonsense"},
    ],
    ids=lambda how: next(f"{name}={value!r:.12}" for name, value in how.items()),
)
def test_what_the_provider_did_not_sign_just_now_is_refused_and_changes_nothing(
    buyer: Storefront, unpaid: Json, books: Books, send: Callable[..., httpx.Response], how: dict[str, Any]
) -> None:
    event = succeeded(books.reference(unpaid["payment"]["id"]), unpaid)
    books.about(event["id"])
    before = books.at_rest()
    answer = send(event, **how)
    assert expect(answer, 400)["code"] == "webhook_refused"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert books.at_rest() == before
    assert buyer.order(unpaid["id"])["status"] == "awaiting_payment"


def test_a_replay_is_taken_and_changes_nothing(
    buyer: Storefront, paid: Json, books: Books, send: Callable[..., httpx.Response]
) -> None:
    told = books.payload(books.reference(paid["payment"]["id"]), "payment_intent.succeeded")
    before = books.at_rest()
    for _ in range(2):
        assert expect(send(told), 200) == {"received": True}
    assert expect(send(told, age=301), 400)["code"] == "webhook_refused"
    assert books.at_rest() == before
    assert buyer.order(paid["id"])["payment_status"] == "paid"


def test_an_unknown_payment_is_taken_note_of_and_changes_nothing(
    unpaid: Json, books: Books, send: Callable[..., httpx.Response]
) -> None:
    event = succeeded(f"sb_pi_{uuid4().hex}", unpaid)
    books.reference(unpaid["payment"]["id"])
    books.about(event["id"])
    before = books.at_rest()
    assert expect(send(event), 200) == {"received": True}
    after = eventually(
        books.at_rest, lambda now: any("unknown payment" in row for row in now["payments_webhookevent"])
    )
    [noted] = after["payments_webhookevent"] - before["payments_webhookevent"]
    assert event["id"] in noted
    assert "unknown payment" in noted
    for name in books.names:
        if name != "payments_webhookevent":
            assert after[name] == before[name], name
    assert expect(send(event), 200) == {"received": True}
    assert books.at_rest() == after


def test_there_is_no_door_for_other_providers(base_url: str) -> None:
    for name in ("stripe", "paypal", "x" * 40):
        answer = httpx.post(f"{base_url}/api/v1/payments/webhooks/{name}", json={})
        assert answer.status_code == 404
