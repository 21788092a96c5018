"""What an invariant is, and what an audit says of it.

An invariant is a sentence about the data with one check or several. A check is either `Rows` (a statement that one database
answers alone) or `Match` (two databases, each read in the order of a key, laid side by side). Both give `Difference`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit.databases import Snapshots

SERVICES = ("svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications")

#: A row as a statement gives it. For `Match` the first two columns are the key and `since`.
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as the sentence says.

    `since` is when it became so at the latest, in seconds since 1970: while that is recent it is something in flight. None
    says that the sentence holds at every commit, so that nothing excuses it.
    """

    service: str
    id: str
    expected: str
    actual: str
    since: float | None = None


#: Drops differences that have a reason which only a further look can tell.
Excuse = Callable[["Snapshots", list[Difference]], list[Difference]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one database that break the sentence.

    `sql` gives `id, expected, actual, since` (texts, seconds since 1970 or null) of each. `of` is what follows FROM to count
    the rows that the sentence is about.
    """

    service: str
    sql: str
    of: str
    excuse: Excuse | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A statement that gives `key, since, ...`, unique by key and ordered by it (a UUID as text)."""

    service: str
    sql: str


class Verdict:
    """What a judge says of a pair when it finds no difference."""

    #: The sentence is not about this pair.
    SKIP = 0
    HOLDS = 1


#: Of the two rows of a key, one of which may be missing: a verdict, or what is expected and what is there.
Judge = Callable[[Row | None, Row | None], "int | tuple[str, str]"]


@dataclass(frozen=True, slots=True)
class Match:
    """Two sources side by side. `service` is named in a finding: that which has to be looked at first."""

    left: Source
    right: Source
    judge: Judge
    service: str
    excuse: Excuse | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    name: str
    sentence: str
    checks: tuple[Rows | Match, ...]


def invariant(name: str, sentence: str, *checks: Rows | Match) -> Invariant:
    return Invariant(name, sentence, checks)


@dataclass(slots=True)
class Tally:
    """What came of one invariant. `healed`: differences that were gone when they were looked at again."""

    invariant: Invariant
    checked: int = 0
    in_flight: int = 0
    healed: int = 0
    wrong: int = 0
    findings: list[Difference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. Of each invariant at most `audit.engine.KEPT` findings are kept; `wrong` counts all."""

    started_at: str
    seconds: float
    in_flight_limit: float
    wait: float
    rechecked: bool
    tallies: tuple[Tally, ...]

    @property
    def clean(self) -> bool:
        return not any(tally.wrong for tally in self.tallies)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the invariants that do not hold."""
        return tuple(tally.invariant.name for tally in self.tallies if tally.wrong)

    def findings(self) -> Iterable[tuple[Invariant, Difference]]:
        for tally in self.tallies:
            for finding in tally.findings:
                yield tally.invariant, finding

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "clean": self.clean,
            "started_at": self.started_at,
            "seconds": self.seconds,
            "in_flight_limit": self.in_flight_limit,
            "wait": self.wait,
            "rechecked": self.rechecked,
            "invariants": [
                {
                    "name": tally.invariant.name,
                    "sentence": tally.invariant.sentence,
                    "checked": tally.checked,
                    "in_flight": tally.in_flight,
                    "healed": tally.healed,
                    "wrong": tally.wrong,
                }
                for tally in self.tallies
            ],
            "findings": [
                {
                    "invariant": each.name,
                    "service": finding.service,
                    "id": finding.id,
                    "expected": finding.expected,
                    "actual": finding.actual,
                    "since": finding.since,
                }
                for each, finding in self.findings()
            ],
        }
