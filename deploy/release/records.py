"""`release.json`, what a release says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from release.refusal import Refused

RECORD = "release.json"


def read_record(folder: Path) -> dict[str, Any]:
    """`release.json` of a release. Raises `Refused` when it cannot be read."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        raise Refused(
            f"{folder} holds no release (its {RECORD} cannot be read): remove the folder."
        ) from None
    return record


def every_record(releases: Path) -> Iterator[dict[str, Any]]:
    """The records of all releases of all services below `releases`. Raises `Refused` for one that cannot be read."""
    for path in sorted(releases.glob(f"[!.]*/[!.]*/{RECORD}")):
        yield read_record(path.parent)
