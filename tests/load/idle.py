"""What a stack holds of the memory while nothing happens: `make bench` asks it after a while of rest.

Proportional set size (PSS), from /proc: a page that several processes share counts once in all.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "native"))

from load.figures import Figure, Results
from shop import processes

MEGABYTE = 2**20


def pss(rollup: str) -> int:
    """Bytes, of the text of `/proc/PID/smaps_rollup`; 0 for a process that has no memory of its own any more."""
    for line in rollup.splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            return int(rest.split()[0]) * 1024
    return 0


def memory(pids: Iterable[int]) -> int:
    """Bytes of all of them together; one that has ended meanwhile counts nothing."""
    total = 0
    for pid in pids:
        try:
            total += pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--up-again", type=float, required=True, help="seconds that a second `make up` took")
    parser.add_argument("--figures", type=Path, help="a file for the results, as JSON")
    given = parser.parse_args()
    pids = processes.of_stack(Path(os.environ["SHOP_STATE_DIR"]))
    figures = (
        Figure(
            "memory of the idle stack", memory(pids) / MEGABYTE, "MiB", 2048, beside=f"{len(pids)} processes"
        ),
        Figure("`make up`, all up already", given.up_again, "s", 5),
    )
    return Results("The stack", "make bench", figures).hand_over(given.figures)


if __name__ == "__main__":
    sys.exit(main())
