"""Spans in one SQLite file, by trace, and by what people ask for: an order, a request. The oldest go."""

import json
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: A span as it is kept and answered: ids, service, process, name, kind, start and end (ns since 1970), error, attributes.
Span = dict[str, Any]

ORDER_ID, ORDER_NUMBER, REQUEST_ID = "shop.order_id", "shop.order_number", "shop.request_id"
MARKS = (ORDER_ID, ORDER_NUMBER, REQUEST_ID)

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS spans (
        trace TEXT NOT NULL, span TEXT NOT NULL, parent TEXT NOT NULL, service TEXT NOT NULL, process TEXT NOT NULL,
        name TEXT NOT NULL, kind INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, error TEXT NOT NULL,
        attributes TEXT NOT NULL, UNIQUE (trace, span)
    );
    CREATE TABLE IF NOT EXISTS marks (
        name TEXT NOT NULL, value TEXT NOT NULL, trace TEXT NOT NULL, PRIMARY KEY (name, value, trace)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS marks_by_trace ON marks (trace);
"""
_COLUMNS = (
    "trace",
    "span",
    "parent",
    "service",
    "process",
    "name",
    "kind",
    "start",
    "end",
    "error",
    "attributes",
)


class Store:
    """Safe for several threads. `most` bounds the spans that are kept."""

    def __init__(self, file: Path, *, most: int = 200_000) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._most = most
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def add(self, spans: Iterable[Span]) -> None:
        """Keep spans; one that is here already stays as it is."""
        rows = [(*(span[name] for name in _COLUMNS[:-1]), json.dumps(span["attributes"])) for span in spans]
        marks = [
            (name, str(span["attributes"][name]), span["trace"])
            for span in spans
            for name in MARKS
            if span["attributes"].get(name)
        ]
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", marks)
            (last,) = self._db.execute("SELECT max(rowid) FROM spans").fetchone()
            (first,) = self._db.execute("SELECT min(rowid) FROM spans").fetchone()
            if last is not None and last - first >= self._most:
                # A tenth at once, so that it is done now and then.
                self._db.execute("DELETE FROM spans WHERE rowid <= ?", (last - self._most * 9 // 10,))
                self._db.execute("DELETE FROM marks WHERE trace NOT IN (SELECT trace FROM spans)")

    def of_order(self, wanted: str) -> list[list[Span]]:
        """Every trace that had to do with an order, named by its id or its number; oldest first."""
        ids = {wanted}
        for trace in self._marked(ORDER_NUMBER, wanted):
            ids |= {
                span["attributes"][ORDER_ID]
                for span in self.trace(trace)
                if span["attributes"].get(ORDER_NUMBER) == wanted and ORDER_ID in span["attributes"]
            }
        return self._traces({trace for each in ids for trace in self._marked(ORDER_ID, each)})

    def of_request(self, wanted: str) -> list[list[Span]]:
        """The trace of the request with that `X-Request-Id`."""
        return self._traces(set(self._marked(REQUEST_ID, wanted)))

    def trace(self, wanted: str) -> list[Span]:
        """All spans of one trace, in the order of their start."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM spans WHERE trace = ? ORDER BY start, rowid", (wanted,)
            ).fetchall()
        found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        for span in found:
            span["attributes"] = json.loads(span["attributes"])
        return found

    def count(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM spans").fetchone()[0])

    def _marked(self, name: str, value: str) -> list[str]:
        with self._lock:
            rows = self._db.execute("SELECT trace FROM marks WHERE name = ? AND value = ?", (name, value))
            return [row[0] for row in rows.fetchall()]

    def _traces(self, ids: set[str]) -> list[list[Span]]:
        found = [spans for each in ids if (spans := self.trace(each))]
        return sorted(found, key=lambda spans: int(spans[0]["start"]))


def read_otlp(document: Any) -> list[Span]:
    """The spans of an ExportTraceServiceRequest in JSON. Raises ValueError for anything else."""
    try:
        return [
            {
                "trace": span["traceId"],
                "span": span["spanId"],
                "parent": span.get("parentSpanId", ""),
                "service": resource.get("service.name", "?"),
                "process": resource.get("shop.process", ""),
                "name": span["name"],
                "kind": int(span.get("kind", 1)),
                "start": int(span["startTimeUnixNano"]),
                "end": int(span["endTimeUnixNano"]),
                "error": (span["status"].get("message") or "error")
                if span.get("status", {}).get("code") == 2
                else "",
                "attributes": _plain(span.get("attributes", ())),
            }
            for group in document["resourceSpans"]
            for resource in [_plain(group["resource"]["attributes"])]
            for scope in group["scopeSpans"]
            for span in scope["spans"]
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not an ExportTraceServiceRequest: {error!r}") from None


def _plain(attributes: Any) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), "") for each in attributes}
