"""The collector of traces: what it keeps, what it refuses, and how it prints."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from traces.store import Store, read_otlp
from traces.tree import lines


def otlp(
    name: str, span: str, parent: str = "", *, trace: str = "t1", start: int = 0, **attributes: Any
) -> dict:
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(start * 1_000_000),
        "endTimeUnixNano": str((start + 10) * 1_000_000),
        "attributes": [
            {"key": key.replace("__", "."), "value": {"stringValue": value}}
            for key, value in attributes.items()
        ],
        "status": {"code": 2, "message": "Broken"} if name == "fails" else {"code": 0},
    }


def request(*spans: dict, service: str = "svc-orders", process: str = "web") -> dict:
    resource = {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": service}},
            {"key": "shop.process", "value": {"stringValue": process}},
        ]
    }
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "traces.sqlite3", most=100)


def test_an_order_is_found_by_its_id_and_its_number_in_every_trace_that_names_it(store: Store) -> None:
    order, number = str(uuid4()), "AB3DE-FGH7J"
    store.add(read_otlp(request(otlp("place", "a", shop__order_id=order, shop__order_number=number))))
    store.add(read_otlp(request(otlp("ship", "b", trace="t2", start=50, shop__order_id=order))))
    store.add(read_otlp(request(otlp("other", "c", trace="t3", shop__order_id=str(uuid4())))))
    for asked in (order, number):
        assert [spans[0]["trace"] for spans in store.of_order(asked)] == ["t1", "t2"]
    assert store.of_order("unknown") == []


def test_a_request_is_found_by_its_id(store: Store) -> None:
    store.add(read_otlp(request(otlp("one", "a", shop__request_id="r1"), otlp("two", "b", "a", start=1))))
    ((first, second),) = store.of_request("r1")
    assert (first["name"], second["parent"]) == ("one", first["span"])


def test_a_span_that_comes_twice_is_there_once_and_the_oldest_go(tmp_path: Path, store: Store) -> None:
    for number in range(250):
        span = read_otlp(
            request(otlp("one", f"s{number}", trace=f"t{number}", shop__request_id=f"r{number}"))
        )
        store.add(span)
        store.add(span)
    assert 80 <= store.count() <= 100
    assert store.of_request("r0") == []
    assert len(store.of_request("r249")) == 1
    again = Store(tmp_path / "traces.sqlite3", most=100)
    assert len(again.of_request("r249")) == 1


@pytest.mark.parametrize(
    "document", [None, [], {}, {"resourceSpans": [{}]}, {"resourceSpans": "x"}, request({"traceId": "x"})]
)
def test_what_is_no_otlp_is_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(ValueError, match="not an ExportTraceServiceRequest"):
        read_otlp(json.loads(json.dumps(document)))


def test_a_trace_is_printed_as_a_tree_with_runs_of_equal_leaves_folded() -> None:
    many = [otlp("INSERT line", f"i{number}", "b", start=3 + number) for number in range(5)]
    spans = read_otlp(
        request(otlp("POST orders", "a", "client", shop__status="201"), otlp("fails", "b", "a", start=2))
    )
    spans += read_otlp(request(*many))
    spans += read_otlp(request(otlp("process", "p", "b", start=90), service="svc-cart", process="events"))
    text = list(lines(spans))
    assert text[0].startswith("Trace t1  1970-01-01 00:00:00 UTC  100 ms  8 spans  svc-cart, svc-orders")
    assert [" ".join(line.split()) for line in text[1:]] == [
        "└─ svc-orders web POST orders 201 0.0 10.0 ms",
        "└─ svc-orders web fails ! Broken 2.0 10.0 ms",
        "├─ svc-orders web INSERT line x 5 3.0 50.0 ms",
        "└─ svc-cart events process 90.0 10.0 ms",
    ]
    assert len({len(line) for line in text[1:]}) == 1
