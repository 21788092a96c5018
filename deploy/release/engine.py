"""One release, step by step: what could refuse it comes first, and nothing is written before all of that has agreed."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release import artefacts, fit, image, library, own, source, versions
from release.manifests import Manifest
from release.records import RECORD, read_record
from release.refusal import Refused


@dataclass(frozen=True)
class Order:
    """What is wanted: `service` of the tree `root` as `version`, below the folder `releases`.

    `tested`: False when this version is packaged again and its tests are known to pass. `dirty_allowed`: what is not committed
    may go in. `images`: the first part of the image's name. `running`: the manifests of what runs; None: the very first release.
    """

    root: Path
    service: str
    version: str
    releases: Path
    running: list[Manifest] | None
    tested: bool = True
    dirty_allowed: bool = False
    images: str = "shop"
    say: Callable[[str], None] = field(default=print)

    @property
    def folder(self) -> Path:
        return self.releases / self.service

    @property
    def target(self) -> Path:
        return self.folder / self.version


def run(order: Order) -> Path:
    """Release it; returns the folder that holds the release. Raises `Refused`."""
    known = artefacts.services(order.root)
    if order.service not in known:
        raise Refused(f"SERVICE={order.service} is not in this tree; there are: {', '.join(known)}.")
    version = versions.parse(order.version)
    commit, changes = source.commit(order.root), source.changes(order.root)
    if changes and not order.dirty_allowed:
        raise Refused(
            f"{_listed(changes)} not committed: a release is made of a commit. Commit first, or try it with DIRTY=allow."
        )
    running = order.running or []
    if not order.target.exists():
        versions.check(version, _versions(running, order.service), versions.released(order.folder))
    manifest = own.manifest(order.root, order.service, order.version)
    _compare(order, manifest, running)
    if order.tested:
        _test(order)
    order.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=order.folder) as making:
        made = Path(making) / order.version
        made.mkdir(mode=0o755)
        order.say(f"packaging {order.service} {order.version}")
        artefacts.build(order.root, order.service, order.version, made)
        record = _record(order, made, manifest, commit, dirty=bool(changes))
        if order.target.exists():
            _same_again(order, record)
        else:
            library.check(record, running, order.releases)
            (made / RECORD).write_text(json.dumps(record, indent=1) + "\n")
            made.rename(order.target)
    _add_image(order)
    order.say(f"{order.service} {order.version} lies in {order.target}")
    return order.target


def _versions(running: list[Manifest], service: str) -> list[str]:
    return [str(each["version"]) for each in running if each["service"] == service]


def _compare(order: Order, manifest: Manifest, running: list[Manifest]) -> None:
    if order.running is None:
        order.say("compared with nothing: AGAINST=none")
        return
    names = ", ".join(f"{each['service']} {each['version']}" for each in running)
    order.say(f"comparing with what runs: {names}")
    found = fit.breaks(manifest, running)
    if found:
        raise Refused(
            "\n".join(["This release would not fit what runs; nothing has changed.", *map(str, found)])
        )


def _record(order: Order, made: Path, manifest: Manifest, commit: str, *, dirty: bool) -> dict[str, Any]:
    wheels = made / "wheels"
    shared_lib = None
    if wheels.is_dir():
        shared_lib = {"version": artefacts.wheel_version(wheels), "digest": artefacts.wheel_digest(wheels)}
    return {
        "service": order.service,
        "version": order.version,
        "commit": commit,
        "dirty": dirty,
        "tests": "passed" if order.tested else "skipped",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "shared_lib": shared_lib,
        "digest": artefacts.digest(made),
        "against": sorted(f"{each['service']} {each['version']}" for each in order.running or []),
        "manifest": manifest,
    }


def _same_again(order: Order, record: dict[str, Any]) -> None:
    there = read_record(order.target)
    if there["digest"] != record["digest"]:
        raise Refused(
            f"{order.service} {order.version} was released already, from commit {there['commit'][:12]} and with other contents:"
            " a release never changes, so choose a higher VERSION."
        )
    order.say("the same release was there already: nothing of it changes")


def _add_image(order: Order) -> None:
    named = order.target / "image"
    if named.exists():
        return
    if not image.engine_answers():
        order.say("no Docker engine answers: the release has no image")
        return
    order.say("building the image")
    log = order.releases.parent / "logs" / f"release-{order.service}-image.log"
    named.write_text(image.build(order.root, order.service, order.version, order.images, log) + "\n")


def _test(order: Order) -> None:
    order.say(f"testing {order.service} (TESTS=skip leaves it out, for packaging again what was tested)")
    done = subprocess.run(
        [str(order.root / "deploy" / "native" / "run"), "test", order.service], cwd=order.root, check=False
    )
    if done.returncode:
        raise Refused(f"The tests of {order.service} do not pass: nothing was packaged.")


def _listed(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    verb = "is" if len(names) == 1 else "are"
    return f"{shown}{f' and {len(names) - most} more' if len(names) > most else ''} {verb}"
