"""The table of breaks."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent


class BadTable(ValueError):
    """The table is not what it should be; the text says where."""


@dataclass(frozen=True)
class Break:
    """`patch` (beside the table) applied, `test` in the folder `suite` fails at the line `assertion`."""

    name: str
    what: str
    suite: str
    test: str
    assertion: str
    patch: Path


def breaks(folder: Path = FOLDER) -> list[Break]:
    """All of them, in the order of the table. Raises `BadTable`."""
    rows = tomllib.loads((folder / "breaks.toml").read_text()).get("break", [])
    found = []
    for row in rows:
        if set(row) != {"patch", "what", "suite", "test", "assertion"}:
            raise BadTable(f"a break has patch, what, suite, test and assertion, and not {sorted(row)}")
        name = row.pop("patch")
        found.append(Break(name=name, patch=folder / f"{name}.patch", **row))
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadTable(f"twice in the table: {', '.join(sorted(twice))}")
    files = {path.stem for path in folder.glob("*.patch")}
    if files != set(names):
        raise BadTable(f"only a file or only in the table: {', '.join(sorted(files ^ set(names)))}")
    return found
