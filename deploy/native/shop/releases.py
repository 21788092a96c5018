"""Which release of each service runs here, and what a release needs to run as host processes.

A release is the folder that `make release` writes, `releases/SERVICE/VERSION/` of the state folder. Its libraries are installed
from its own lock into an environment of its own, `installed/SERVICE/VERSION/`. The checkout's code is the release "dev".
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shop.envfile import write_private
from shop.layout import Layout
from shop.problems import Problem

DEV = "dev"
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,63}")


@dataclass(frozen=True)
class Home:
    """Where a service's code is: its folder, and the interpreter that has its libraries."""

    service: str
    version: str
    folder: Path
    python: Path

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.version == DEV else {"SERVICE_VERSION": self.version}


@dataclass(frozen=True)
class Record:
    """What runs of a service, and what ran before."""

    current: str = DEV
    previous: str | None = None


def records(layout: Layout) -> Path:
    """Which releases run as host processes."""
    return layout.data / "releases.json"


def record(path: Path, service: str) -> Record:
    """What the file says of a service; one that it does not name runs the checkout's code."""
    found = _records(path).get(service)
    return Record(found["current"], found["previous"]) if found else Record()


def remember(path: Path, service: str, now: Record) -> None:
    """Written in one step: whatever dies, one of the two is what starts again."""
    found = {**_records(path), service: vars(now)}
    write_private(path, json.dumps(found, indent=1, sort_keys=True) + "\n")


def _records(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Problem(
            f"{path} cannot be read ({error}): it says which releases run; remove it for the checkout's code."
        ) from None
    return found


def current(layout: Layout, service: str) -> Home:
    """The code that a service runs now."""
    return home(layout, service, record(records(layout), service).current)


def home(layout: Layout, service: str, version: str) -> Home:
    """Where that release of a service is; it may have to be installed first."""
    if version == DEV:
        return Home(service, DEV, layout.root / service, layout.python)
    installed = layout.state / "installed" / service / version
    return Home(
        service, version, layout.state / "releases" / service / version / "app", installed / "bin" / "python"
    )


def ensure(layout: Layout, service: str, version: str) -> Home:
    """Check the release, and install its libraries where that was not done; raises Problem if it cannot run."""
    found = home(layout, service, version)
    if version == DEV:
        return found
    folder = _checked(layout, service, version)
    target = found.python.parents[1]
    (wheel,) = (folder / "wheels").glob("shared_lib-*.whl")
    lock = folder / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes() + wheel.read_bytes()).hexdigest()
    stamp = target / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return found
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = layout.logs / f"install-{service}.log"
    with log.open("w") as output:

        def run(*command: str) -> bool:
            return not subprocess.run(command, stdout=output, stderr=output, check=False).returncode

        python, uv = str(layout.python), (str(layout.python), "-m", "uv", "--quiet")
        into = ("--python", str(found.python))
        pip = (
            python,
            "-m",
            "pip",
            "--python",
            str(found.python),
            "--disable-pip-version-check",
            "--quiet",
            "install",
        )
        # uv does not read pip's settings; where an index is named only there, pip itself installs.
        done = (
            run(*uv, "venv", "--python", sys.executable, str(target))
            and (
                run(*uv, "pip", "sync", *into, "--require-hashes", str(lock))
                or run(*pip, "--require-hashes", "--no-deps", "-r", str(lock))
            )
            and run(*uv, "pip", "install", *into, "--no-deps", "--offline", str(wheel))
        )
    if not done:
        said = log.read_text(errors="replace").strip().splitlines()[-8:]
        raise Problem(
            f"The libraries of {service} {version} cannot be installed (see {log}):\n" + "\n".join(said)
        )
    stamp.write_text(digest)
    return found


def _checked(layout: Layout, service: str, version: str) -> Path:
    """The folder of a release that is whole."""
    folder = layout.state / "releases" / service / version
    if not VERSION.fullmatch(version) or not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("[0-9A-Za-z]*") if path.is_dir())
        known = (
            f"there are: {', '.join(there)}"
            if there
            else f"`make release SERVICE={service} VERSION=` makes one"
        )
        raise Problem(f"There is no release {version} of {service} in {folder.parent}; {known}.")
    wanted = ("release.json", "app/manage.py", "requirements.lock")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if len(list((folder / "wheels").glob("shared_lib-*.whl"))) != 1:
        missing.append("wheels/shared_lib-*.whl")
    if missing:
        raise Problem(f"{folder} is no whole release: {missing[0]} is missing. Release it again.")
    try:
        told = json.loads((folder / "release.json").read_text())
        names = told["service"], told["version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Problem(f"{folder}/release.json cannot be read: release it again.") from None
    if names != (service, version):
        raise Problem(
            f"{folder} says that it is {' '.join(map(str, names))}: release {service} {version} again."
        )
    return folder
