"""Faults on request: webhooks and answers that go wrong as a real provider's do, over real HTTP.

What is asked for, the counters and the plan for each event stand in the store, so a sandbox that is killed goes on where it
was. What happens to the n-th event and the n-th request is drawn from `seed` and n alone: the same seed, the same faults.
"""

from __future__ import annotations

import random
import time
from typing import Annotated, Any, Literal

import msgspec

from sandbox.store import Store

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]

COUNTERS = (
    "events",
    "deliveries",
    "taken",
    "doubled",
    "delayed",
    "held",
    "reordered",
    "bad_signatures",
    "bad_signatures_taken",
    "stale",
    "stale_taken",
    "dropped",
    "requests",
    "slowed",
    "errors_before",
    "errors_after",
    "cuts_before",
    "cuts_after",
)

_LONGEST_PAUSE_OF_A_DOUBLE = 0.2


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each number without a unit is a probability.

    Webhooks. `double`: delivered twice, half of them at the same moment. `delay`: put off by up to `delay_max_seconds`.
    `reorder`: held back until a later event of the same payment was taken, or for `reorder_max_seconds`. `bad_signature`,
    `stale`: the first delivery carries a signature that does not fit, or one of an hour ago; the next one is good.
    `drop`: never delivered.

    Answers of `/v1`. `slow`: late by up to `slow_max_seconds`. `error`: 500; `cut`: the connection ends within the answer;
    half of both before anything was done, half after.
    """

    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    double: Probability = 0.0
    delay: Probability = 1.0
    delay_max_seconds: Seconds = 0.0
    reorder: Probability = 0.0
    reorder_max_seconds: Seconds = 5.0
    bad_signature: Probability = 0.0
    stale: Probability = 0.0
    drop: Probability = 0.0
    slow: Probability = 1.0
    slow_max_seconds: Seconds = 0.0
    error: Probability = 0.0
    cut: Probability = 0.0

    @property
    def of_webhooks(self) -> bool:
        odd = (self.double, self.delay_max_seconds, self.reorder, self.bad_signature, self.stale, self.drop)
        return any(odd)

    @property
    def of_answers(self) -> bool:
        return any((self.slow_max_seconds, self.error, self.cut))


class Plan(msgspec.Struct, frozen=True):
    """What is to happen to the deliveries of one event. `double`: seconds between the two, 0 at once."""

    subject: str
    created: float
    double: float | None = None
    spoil: Literal["", "bad_signature", "stale"] = ""


class AnswerPlan(msgspec.Struct, frozen=True):
    """What is to happen to one answer: it waits `delay` seconds, and goes wrong `before` or `after` the work is done."""

    delay: float = 0.0
    kind: Literal["", "error", "cut"] = ""
    moment: Literal["before", "after"] = "after"

    def breaks(self, moment: str) -> bool:
        return bool(self.kind) and self.moment == moment


class FaultBook:
    """The faults that hold now, and what came of them. Owned by the thread that owns the store."""

    def __init__(self, store: Store, initial: Faults) -> None:
        """`initial` holds until faults were asked for by `set`, also in an earlier process."""
        self._store = store
        kept = store.one("SELECT body FROM fault_settings")
        self.current = msgspec.json.decode(kept["body"], type=Faults) if kept else initial
        counted = store.all("SELECT name, value FROM fault_counters")
        self.counters = dict.fromkeys(COUNTERS, 0) | {row["name"]: row["value"] for row in counted}

    def set(self, faults: Faults) -> None:
        """Needs an open transaction."""
        self._store.change(
            "INSERT OR REPLACE INTO fault_settings (id, body) VALUES (1, ?)", msgspec.json.encode(faults)
        )
        self.current = faults

    def heal(self) -> None:
        """No faults any more, and what waits to be delivered is due now. Needs an open transaction."""
        self.set(Faults())
        self._store.change("UPDATE events SET due = ? WHERE due IS NOT NULL", time.time())

    def report(self) -> dict[str, Any]:
        waiting = len(self._store.all("SELECT 1 FROM events WHERE due IS NOT NULL"))
        return {
            "faults": msgspec.to_builtins(self.current),
            "counters": {**self.counters, "waiting": waiting},
        }

    def count(self, *names: str) -> None:
        """Adds one to each."""
        for name in names:
            self.counters[name] += 1
            self._store.change(
                "INSERT INTO fault_counters (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                name,
                self.counters[name],
            )

    # Webhooks

    def add_event(self, kind: str, snapshot: dict[str, Any], *, subject: str, due: float) -> None:
        """Queues one webhook about the payment `subject`, with the faults that hold. Needs an open transaction."""
        self.count("events")
        faults = self.current
        if not faults.of_webhooks:
            self._store.add_event(kind, snapshot, due=due)
            return
        draw = random.Random(f"{faults.seed} event {self.counters['events']}")
        chances = {
            name: draw.random()
            for name in ("drop", "delay", "reorder", "bad_signature", "stale", "double", "x")
        }
        if chances["drop"] < faults.drop:
            self._store.add_event(kind, snapshot, due=None, result="dropped")
            self.count("dropped")
            return
        if faults.delay_max_seconds and chances["delay"] < faults.delay:
            due += draw.uniform(0.0, faults.delay_max_seconds)
            self.count("delayed")
        held = chances["reorder"] < faults.reorder
        if held:
            due += faults.reorder_max_seconds
            self.count("held")
        spoil = next(
            (name for name in ("bad_signature", "stale") if chances[name] < getattr(faults, name)), ""
        )
        double = None
        if chances["double"] < faults.double:
            double = 0.0 if chances["x"] < 0.5 else draw.uniform(0.01, _LONGEST_PAUSE_OF_A_DOUBLE)
        event_id = self._store.add_event(kind, snapshot, due=due)
        self._store.insert(
            "event_plans",
            event=event_id,
            subject=subject,
            created=time.time(),
            held=held,
            double=double,
            spoil=spoil,
        )

    def plan_of(self, event_id: str) -> Plan | None:
        row = self._store.one(
            "SELECT subject, created, double, spoil FROM event_plans WHERE event = ?", event_id
        )
        return None if row is None else Plan(row["subject"], row["created"], row["double"], row["spoil"])

    def note_taken(self, event_id: str, plan: Plan) -> None:
        """The event was delivered: what was held back for it may go. Needs an open transaction."""
        now = time.time()
        overtaken_by = self._store.one(
            "SELECT 1 FROM event_plans WHERE subject = ? AND created > ? AND taken IS NOT NULL",
            plan.subject,
            plan.created,
        )
        if overtaken_by:
            self.count("reordered")
        self._store.change("UPDATE event_plans SET taken = ? WHERE event = ?", now, event_id)
        self._store.change(
            "UPDATE events SET due = ?1 WHERE due > ?1 AND id IN"
            " (SELECT event FROM event_plans WHERE subject = ?2 AND created < ?3 AND held)",
            now,
            plan.subject,
            plan.created,
        )

    # Answers

    def plan_answer(self) -> AnswerPlan:
        """Needs an open transaction."""
        self.count("requests")
        faults = self.current
        if not faults.of_answers:
            return AnswerPlan()
        draw = random.Random(f"{faults.seed} request {self.counters['requests']}")
        chances = {name: draw.random() for name in ("slow", "error", "cut", "moment")}
        delay = 0.0
        if faults.slow_max_seconds and chances["slow"] < faults.slow:
            delay = draw.uniform(0.0, faults.slow_max_seconds)
            self.count("slowed")
        moment: Literal["before", "after"] = "before" if chances["moment"] < 0.5 else "after"
        if chances["error"] < faults.error:
            self.count(f"errors_{moment}")
            return AnswerPlan(delay, "error", moment)
        if chances["cut"] < faults.cut:
            self.count(f"cuts_{moment}")
            return AnswerPlan(delay, "cut", moment)
        return AnswerPlan(delay)
