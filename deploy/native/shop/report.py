"""What a person reads while the stack starts, and after."""

import sys
import time
from collections.abc import Iterable


class Progress:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        print(f"{self.seconds:6.1f} s  {text}", flush=True)


def table(rows: Iterable[tuple[str, ...]], *, head: tuple[str, ...] | None = None) -> str:
    """Columns that line up."""
    lines = list(rows)
    every = [head, *lines] if head else lines
    widths = [max(len(row[column]) for row in every) for column in range(len(every[0]))] if every else []

    def draw(row: tuple[str, ...]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    text = [draw(row) for row in lines]
    if head:
        text = [draw(head), draw(tuple("-" * width for width in widths)), *text]
    return "\n".join(text)


def fail(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
