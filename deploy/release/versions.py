"""Which version may be released: semantic versions, growing, and patches of older lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import semver

from release.refusal import Refused


def parse(text: str) -> semver.Version:
    """`1.2.0` or `1.3.0-rc.1`. Raises `Refused`."""
    try:
        version = semver.Version.parse(text)
    except ValueError:
        raise Refused(
            f"VERSION={text} is not a semantic version: write it like 1.2.0 or 1.3.0-rc.1."
        ) from None
    if version.build:
        raise Refused(
            f"VERSION={text} carries build metadata, which no image tag can hold: leave out +{version.build}."
        )
    return version


def known(texts: Iterable[str]) -> list[semver.Version]:
    """Those of `texts` that are versions; a stack that runs the checkout says `dev`, which is none."""
    return sorted(semver.Version.parse(text) for text in set(texts) if semver.Version.is_valid(text))


def released(folder: Path) -> list[semver.Version]:
    """The versions that lie in `folder`, one folder each."""
    return known(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def check(version: semver.Version, running: Iterable[str], before: list[semver.Version]) -> None:
    """Raises `Refused` unless `version` is above all that run, or the next patch of an older line that was released.

    A line is MAJOR.MINOR. `before` are the releases of this service that there are; `version` is none of them.
    """
    newest = max(known(running), default=None)
    if newest is None or version > newest:
        return
    line = [one for one in before if (one.major, one.minor) == (version.major, version.minor)]
    if (version.major, version.minor) < (newest.major, newest.minor) and line and version > max(line):
        return
    raise Refused(
        f"VERSION={version} is not above {newest}, which runs: choose {newest.bump_patch()} or higher, or the next patch of"
        " an older line that was released."
    )
