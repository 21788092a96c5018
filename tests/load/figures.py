"""What a benchmark measured, each figure with its target, and the report of all of them.

A benchmark prints its figures for whoever runs it alone, and writes them as JSON where `--figures FILE` says; `load.report`
makes one report of such files.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


def percentile(values: Iterable[float], share: float) -> float:
    """By nearest rank: the smallest value that at least `share` (0 to 1) of all do not exceed. Raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("There is no percentile of no values.")
    return ordered[max(math.ceil(len(ordered) * share) - 1, 0)]


@dataclass(frozen=True)
class Figure:
    """One measured value. `target` is what it is to reach, `at_most` or at least; None where there is nothing to reach.

    `beside` says what the machine's own baseline did in the same run, in words.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = True
    beside: str = ""

    @property
    def met(self) -> bool | None:
        """None without a target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "**missed**"}[self.met]

    @property
    def wanted(self) -> str:
        if self.target is None:
            return ""
        return f"{'at most' if self.at_most else 'at least'} {number(self.target)} {self.unit}".strip()


@dataclass(frozen=True)
class Results:
    """What one benchmark hands over: how it was called, the figures, which answers were wrong, the load average at its end."""

    name: str
    command: str
    figures: tuple[Figure, ...]
    wrong: tuple[str, ...] = ()
    load_average: float = field(default_factory=lambda: os.getloadavg()[0])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    def hand_over(self, path: Path | None) -> int:
        """Print the figures, and write them to `path` if there is one; gives the exit code, 1 for wrong answers."""
        print(f"\n{table(self.figures)}\n\nLoad average {self.load_average:.1f}\n", flush=True)
        for text in self.wrong:
            print(f"Wrong: {text}")
        if path is not None:
            self.save(path)
        return 1 if self.wrong else 0

    @classmethod
    def load(cls, path: Path) -> Results:
        """Raises ValueError for a file that is not of this form."""
        try:
            found = json.loads(path.read_text())
            figures = tuple(Figure(**figure) for figure in found["figures"])
            wrong, load_average = tuple(found["wrong"]), float(found["load_average"])
            return cls(found["name"], found["command"], figures, wrong, load_average)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no results of a benchmark: {error!r}") from None


def number(value: float) -> str:
    """Three figures that count, or all of those before the point: 0.456, 45.6, 1,234."""
    if not value:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(figures: Sequence[Figure]) -> str:
    """A table in Markdown."""
    rows = [
        f"| {figure.what} | {number(figure.value)} {figure.unit} | {figure.beside} | {figure.wanted} | {figure.verdict} |"
        for figure in figures
    ]
    return "\n".join(["| what | measured | beside it | target | |", "| --- | --- | --- | --- | --- |", *rows])
