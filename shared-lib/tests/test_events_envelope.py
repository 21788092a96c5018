from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from effects.support import stock_changed

from shared_lib.contracts.events import OrderConfirmed, StockChanged
from shared_lib.events import Undecodable
from shared_lib.events.envelope import MAX_BYTES, InvalidEvent, decode, encode, wrap
from shared_lib.money import Money

VALID = {
    "specversion": "1.0",
    "id": "01939f3e-0000-7000-8000-000000000001",
    "source": "/svc-catalog",
    "type": "stock.changed.v1",
    "subject": "variant-1",
    "time": "2026-11-22T10:00:00Z",
    "datacontenttype": "application/json",
    "data": {
        "version": 2,
        "variant_id": "01939f3e-0000-7000-8000-000000000002",
        "product_id": "01939f3e-0000-7000-8000-000000000003",
        "available": 5,
    },
}


def test_an_envelope_is_a_cloudevent_in_structured_mode() -> None:
    event = stock_changed(version=7)
    written = json.loads(
        encode(wrap(event, subject="variant-1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
    )
    assert written["specversion"] == "1.0"
    assert UUID(written["id"]).version == 7
    assert written["source"] == "/svc-catalog"
    assert written["type"] == "stock.changed.v1"
    assert written["subject"] == "variant-1"
    assert written["datacontenttype"] == "application/json"
    assert written["dataschema"] == "urn:shop:events:stock.changed.v1"
    assert written["traceparent"].startswith("00-aaaa")
    assert datetime.fromisoformat(written["time"]).utcoffset() == timedelta(0)
    assert written["data"] == {
        "version": 7,
        "variant_id": str(event.variant_id),
        "product_id": str(event.product_id),
        "available": 3,
    }


def test_attributes_that_have_no_value_are_left_out() -> None:
    assert "traceparent" not in json.loads(encode(wrap(stock_changed(), subject="x")))


def test_what_is_encoded_is_decoded_to_the_same_event() -> None:
    event = stock_changed(version=7)
    assert decode(encode(wrap(event, subject="x"))).event() == event


def test_attributes_and_fields_of_a_newer_producer_are_ignored() -> None:
    newer = {**VALID, "partitionkey": "p", "data": {**VALID["data"], "warehouse": "north"}}
    assert decode(json.dumps(newer)).event() == StockChanged(
        version=2,
        variant_id=UUID("01939f3e-0000-7000-8000-000000000002"),
        product_id=UUID("01939f3e-0000-7000-8000-000000000003"),
        available=5,
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        json.dumps({**VALID, "specversion": "0.3"}),
        json.dumps({**VALID, "id": "1"}),
        json.dumps({**VALID, "type": "Stock Changed"}),
        json.dumps({**VALID, "type": "stock.changed"}),
        json.dumps({**VALID, "source": "svc-catalog"}),
        json.dumps({**VALID, "subject": ""}),
        json.dumps({**VALID, "subject": "a\x00b"}),
        json.dumps({**VALID, "time": "2026-11-22T10:00:00"}),
        json.dumps({name: value for name, value in VALID.items() if name != "data"}),
        json.dumps(VALID).encode().replace(b"variant-1", b"variant\xff"),
        json.dumps(VALID).encode().replace(b'"available"', b'"avail\xffable"'),
        json.dumps(VALID).encode().replace(b'"available"', b'"avail\x00able"'),
    ],
)
def test_what_is_no_envelope_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(body)


def test_data_that_does_not_fit_its_contract_is_decodable_but_no_event() -> None:
    envelope = decode(json.dumps({**VALID, "data": {"version": "two"}}))
    with pytest.raises(InvalidEvent, match=r"stock\.changed\.v1 01939f3e-0000-7000-8000-000000000001"):
        envelope.event()


def test_a_type_without_a_contract_is_decodable_but_no_event() -> None:
    with pytest.raises(InvalidEvent, match="no contract"):
        decode(json.dumps({**VALID, "type": "stock.vanished.v9"})).event()


def test_an_event_with_wrong_types_is_refused_before_it_leaves() -> None:
    wrong = StockChanged(version=1, variant_id="not a uuid", product_id=uuid4(), available=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidEvent, match="variant_id"):
        wrap(wrong, subject="x")


@pytest.mark.parametrize("subject", ["", "a\nb", "x" * 201])
def test_a_subject_that_consumers_would_refuse_is_refused(subject: str) -> None:
    with pytest.raises(InvalidEvent):
        encode(wrap(stock_changed(), subject=subject))


def test_an_event_that_the_broker_would_refuse_for_its_size_is_refused() -> None:
    event = OrderConfirmed(
        version=1,
        order_id=uuid4(),
        number="1",
        user_id=uuid4(),
        cart_id=uuid4(),
        cart_version=1,
        lines=[],
        total=Money(1, "USD"),
        coupon_codes=["x" * MAX_BYTES],
        payment_id=uuid4(),
    )
    with pytest.raises(InvalidEvent, match="at most"):
        encode(wrap(event, subject="x"))
