"""One version of shared-lib has one content: what differs must have another number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import semver

from release.manifests import Manifest
from release.records import every_record
from release.refusal import Refused


def check(record: dict[str, Any], running: list[Manifest], releases: Path) -> None:
    """Raises `Refused` when shared-lib of `record` was released or runs with the same version and other contents.

    What is tried out of a tree that was not committed binds nobody, nor does a checkout that runs as `dev`.
    """
    mine = record["shared_lib"]
    if mine is None or record["dirty"]:
        return
    for with_whom, theirs in _others(running, releases):
        if theirs["version"] == mine["version"] and theirs["digest"] != mine["digest"]:
            raise Refused(
                f"shared-lib {mine['version']} is part of {with_whom} with other contents: raise its version in"
                " shared-lib/pyproject.toml and shared_lib/__init__.py."
            )


def _others(running: list[Manifest], releases: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for each in running:
        if semver.Version.is_valid(each["version"]) and each.get("shared_lib"):
            yield f"{each['service']} {each['version']}, which runs,", each["shared_lib"]
    for each in every_record(releases):
        if each["shared_lib"] and not each["dirty"]:
            yield f"{each['service']} {each['version']}", each["shared_lib"]
