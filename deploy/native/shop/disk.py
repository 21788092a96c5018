"""Disk space: said before it runs out half-way."""

import shutil
from pathlib import Path

from shop.problems import Problem

#: An empty shop takes about 250 MB: the six databases with their log, Erlang's and Redis's files, pictures, logs.
NEEDED_MB = 600


def check_space(*folders: Path) -> None:
    """Raise Problem when a folder that the stack writes to has too little room."""
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free // 1_000_000
        if free < NEEDED_MB:
            raise Problem(
                f"The disk of {there} has {free} MB left and the shop needs {NEEDED_MB} MB:"
                " free some space, or work from another disk."
            )


def explain_full(text: str) -> None:
    """Raise Problem if `text`, what a program said, is about a full disk."""
    if "No space left on device" in text:
        raise Problem("The disk is full: free some space and run the command again.")
