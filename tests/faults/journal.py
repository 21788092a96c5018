"""What happened in a run: a timeline, counters, and every sentence that says what was wrong."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Journal:
    """Written by many threads. Times are seconds since `begin`, or since the journal was made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.began_at = time.time()
        self.timeline: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self.seconds: dict[str, list[float]] = {}

    def begin(self) -> None:
        """Now is second 0."""
        self._began, self.began_at = time.monotonic(), time.time()

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def note(self, what: str, **details: Any) -> None:
        """One line of the timeline, counted under its name."""
        with self._lock:
            self.timeline.append({"t": round(self.now, 2), "what": what, **details})
            self.counts[what] += 1

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def took(self, what: str, seconds: float) -> None:
        with self._lock:
            self.seconds.setdefault(what, []).append(seconds)

    def find(self, sentence: str) -> None:
        """Something that must never be. The run fails."""
        with self._lock:
            if sentence not in self.findings:
                self.findings.append(sentence)

    def latencies(self) -> dict[str, dict[str, float]]:
        """By name: how many, and median, 99th percentile and longest in seconds."""
        with self._lock:
            return {name: summary(values) for name, values in sorted(self.seconds.items())}

    def write(self, path: Path, **facts: Any) -> None:
        """The report, as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        report = {
            **facts,
            "began_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began_at)),
            "findings": self.findings,
            "counts": dict(sorted(self.counts.items())),
            "seconds": self.latencies(),
            "timeline": self.timeline,
        }
        path.write_text(json.dumps(report, indent=1, default=str) + "\n")


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(part: float) -> float:
        return round(ordered[min(int(part * len(ordered)), len(ordered) - 1)], 3)

    return {"number": len(ordered), "p50": at(0.5), "p99": at(0.99), "most": round(ordered[-1], 3)}
