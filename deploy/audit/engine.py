"""The audit: every invariant over a snapshot of all databases, and what differs looked at once more after a pause.

The snapshots of six databases are not of one moment, and events take their time. So what differs between databases counts
only if nothing has touched it for `in_flight_limit` seconds and it is still so after `wait` seconds. What one database
guarantees at every commit (`since` is None there) counts at once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from audit.databases import Snapshots, snapshots
from audit.invariants import INVARIANTS
from audit.model import Difference, Invariant, Judge, Match, Report, Row, Rows, Source, Tally, Verdict

#: Findings of one invariant that a report keeps.
KEPT = 1000
#: Differences of one check that are remembered for the second look; more than these are counted without it.
REMEMBERED = 100_000

_Key = tuple[str, str]


@dataclass(slots=True)
class _Seen:
    """What one look at one invariant found."""

    checked: int = 0
    differences: dict[_Key, Difference] = field(default_factory=dict)
    beyond: int = 0

    def add(self, difference: Difference) -> None:
        if len(self.differences) < REMEMBERED:
            self.differences[difference.service, difference.id] = difference
        else:
            self.beyond += 1


def run(
    urls: Mapping[str, str],
    *,
    in_flight_limit: float = 300,
    wait: float = 3,
    events_since: float = 0,
    invariants: Sequence[Invariant] = INVARIANTS,
) -> Report:
    """Audits the databases at `urls` (by service). Raises `Unreadable`.

    `events_since` (seconds since 1970) leaves out events that were made before: those of a time at which a service that
    subscribes now did not.
    """
    started, began = datetime.now(UTC), time.monotonic()
    with snapshots(urls) as now:
        first_at = now.now
        first = _look(now, invariants, events_since)
    again = [each for each in invariants if _may_count(first[each.name], first_at, wait, in_flight_limit)]
    second: dict[str, _Seen] = {}
    second_at = first_at
    if again:
        time.sleep(wait)
        with snapshots(urls) as now:
            second_at = now.now
            second = _look(now, again, events_since)
    tallies = tuple(
        _weigh(each, first[each.name], second.get(each.name), second_at, in_flight_limit)
        for each in invariants
    )
    return Report(
        started_at=started.isoformat(timespec="milliseconds"),
        seconds=round(time.monotonic() - began, 3),
        in_flight_limit=in_flight_limit,
        wait=wait,
        rechecked=bool(again),
        tallies=tallies,
    )


def _may_count(seen: _Seen, moment: float, wait: float, limit: float) -> bool:
    """Whether a second look could make a finding of something."""
    return any(
        each.since is not None and moment + wait + 1 - each.since >= limit
        for each in seen.differences.values()
    )


def _weigh(invariant: Invariant, first: _Seen, second: _Seen | None, moment: float, limit: float) -> Tally:
    tally = Tally(invariant, checked=first.checked)
    for key, difference in first.differences.items():
        # Without a second look nothing is old enough to count.
        still = difference if difference.since is None or second is None else second.differences.get(key)
        if still is None:
            tally.healed += 1
        elif still.since is not None and (second is None or moment - still.since < limit):
            tally.in_flight += 1
        else:
            tally.wrong += 1
            if len(tally.findings) < KEPT:
                tally.findings.append(still)
    tally.wrong += first.beyond
    return tally


def _look(now: Snapshots, invariants: Iterable[Invariant], events_since: float) -> dict[str, _Seen]:
    """Each pair of sources is read once, whichever invariants judge it."""
    seen: dict[str, _Seen] = {}
    matches: dict[tuple[Source, Source], list[tuple[_Seen, Match]]] = defaultdict(list)
    for each in invariants:
        its = seen[each.name] = _Seen()
        for check in each.checks:
            if isinstance(check, Rows):
                _read_rows(now, check, its, events_since)
            else:
                matches[check.left, check.right].append((its, check))
    for (left, right), judged in matches.items():
        _read_match(now, left, right, judged, events_since)
    return seen


def _read_rows(now: Snapshots, check: Rows, seen: _Seen, events_since: float) -> None:
    seen.checked += now.number(check.service, f"SELECT count(*) FROM {check.of}")  # noqa: S608 - made of constants
    rows = now.stream(check.service, _filled(check.sql, events_since))
    found = [Difference(check.service, *row) for row in rows]
    for difference in check.excuse(now, found) if found and check.excuse else found:
        seen.add(difference)


def _filled(sql: str, events_since: float) -> str:
    return sql.replace(":events_since", f"{events_since:f}")


@dataclass(slots=True)
class _Judged:
    seen: _Seen
    match: Match
    judge: Judge
    differences: list[Difference] = field(default_factory=list)


def _read_match(
    now: Snapshots, left: Source, right: Source, judged: list[tuple[_Seen, Match]], events_since: float
) -> None:
    working = [_Judged(seen, match, match.judge) for seen, match in judged]
    here = now.stream(left.service, _filled(left.sql, events_since))
    there = now.stream(right.service, _filled(right.sql, events_since))
    for one, other in merge(here, there):
        for each in working:
            said = each.judge(one, other)
            if said is Verdict.SKIP:
                continue
            each.seen.checked += 1
            if said is Verdict.HOLDS or not isinstance(said, tuple):
                continue
            each.differences.append(_difference(each.match.service, one, other, said))
    for each in working:
        found = each.differences
        if found and each.match.excuse is not None:
            found = each.match.excuse(now, found)
        for difference in found:
            each.seen.add(difference)


def _difference(service: str, one: Row | None, other: Row | None, said: tuple[str, str]) -> Difference:
    since = max((row[1] for row in (one, other) if row is not None and row[1] is not None), default=0.0)
    row = one or other or ("",)
    return Difference(service, str(row[0]), *said, since=float(since))


def merge(left: Iterator[Row], right: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Pairs the rows of two streams that are ordered by their first column and have each key once."""
    one, other = next(left, None), next(right, None)
    while one is not None and other is not None:
        if one[0] == other[0]:
            yield one, other
            one, other = next(left, None), next(right, None)
        elif one[0] < other[0]:
            yield one, None
            one = next(left, None)
        else:
            yield None, other
            other = next(right, None)
    while one is not None:
        yield one, None
        one = next(left, None)
    while other is not None:
        yield None, other
        other = next(right, None)
