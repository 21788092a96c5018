"""What a person reads at the end of a run."""

from __future__ import annotations

from pathlib import Path

from faults.journal import Journal
from shop.report import table


def print_report(scenario: str, seed: int, journal: Journal, path: Path, facts: dict[str, object]) -> None:
    """A table of what was done and seen, then every finding as a sentence."""
    print(f"\n----- {scenario}, seed {seed}")
    rows = [(name, str(value)) for name, value in facts.items()]
    rows += [
        (name, str(number))
        for name, number in sorted(journal.counts.items())
        if not name.startswith("proxy ")
    ]
    print(table(rows, head=("what", "number")))
    times = [
        (name, str(its["number"]), f"{its['p50']:.3f}", f"{its['p99']:.3f}", f"{its['most']:.3f}")
        for name, its in journal.latencies().items()
    ]
    if times:
        print("\n" + table(times, head=("seconds, with all repetitions", "number", "p50", "p99", "most")))
    for finding in journal.findings:
        print(f"\n  * {finding}")
    verdict = f"{len(journal.findings)} findings" if journal.findings else "nothing lost, nothing twice"
    print(f"\n{scenario}: {verdict}. Report: {path}", flush=True)
