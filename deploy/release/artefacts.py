"""The files of a release, made from the tree: the service's folder, shared-lib's wheel, the lock, the chart."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import helm_python

from release.records import RECORD
from release.refusal import Refused
from shared_lib.contracts.manifest import digest_of

GATEWAY = "gateway"
#: Folders of a service that never run: its tests, and the gateway's benchmarks.
LEFT_OUT = ("tests", "bench")
_PLAIN_FILE = 0o644
_PROGRAM = 0o755


def services(root: Path) -> list[str]:
    """What can be released: every service of the tree, and the gateway."""
    return [*sorted(path.parent.name for path in root.glob("svc-*/manage.py")), GATEWAY]


def build(root: Path, service: str, version: str, target: Path) -> None:
    """Fill `target` with `app/`, `chart/` and, for a Django service, `wheels/` and `requirements.lock`. Raises `Refused`."""
    copy_app(root, service, target / "app")
    package_chart(root, service, version, target / "chart")
    if service != GATEWAY:
        build_wheel(root, target / "wheels")
        shutil.copyfile(root / service / "requirements.lock", target / "requirements.lock")


def copy_app(root: Path, service: str, target: Path) -> None:
    """The service's folder as git would keep it, without what never runs."""
    listed = subprocess.run(
        [
            "git",
            "-C",
            str(root),
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            service,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise Refused(f"{root} is no git repository: a release must be able to name its commit.")
    for name in filter(None, listed.stdout.split("\0")):
        source, below = root / name, Path(name).relative_to(service)
        if source.is_file() and below.parts[0] not in LEFT_OUT:
            path = target / below
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            path.chmod(_PROGRAM if source.stat().st_mode & 0o100 else _PLAIN_FILE)


def build_wheel(root: Path, target: Path) -> None:
    """`shared_lib-VERSION-py3-none-any.whl`; the same source gives the same bytes."""
    target.mkdir(parents=True)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            str(target.resolve()),
        ],
        cwd=root / "shared-lib",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(f"shared-lib's wheel cannot be built: {_last_line(done.stderr or done.stdout)}")


def package_chart(root: Path, service: str, version: str, target: Path) -> None:
    """`SERVICE-VERSION.tgz`: the chart, its library in it, with `version` as its version and as its image's tag."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        charts = Path(folder) / "charts"
        ignored = shutil.ignore_patterns("*.tgz", "Chart.lock")
        for name in (service, "service-lib"):
            shutil.copytree(root / "k8s" / "charts" / name, charts / name, ignore=ignored)
        try:
            helm_python.dependency_update(charts / service, skip_refresh=True)
            helm_python.package(charts / service, destination=target, version=version, app_version=version)
        except helm_python.HelmError as error:
            raise Refused(f"The chart of {service} cannot be packaged: {error}") from None


def digest(folder: Path) -> str:
    """One hash of everything that a release holds: equal exactly when a user of the two would see the same.

    Archives count by what is in them, since they carry moments.
    """
    found = hashlib.sha256()
    for name, mode, content in sorted(_contents(folder)):
        found.update(f"{name}\0{mode}\0{len(content)}\0".encode() + content)
    return f"sha256:{found.hexdigest()}"


def wheel_digest(wheels: Path) -> str:
    """The hash of shared-lib in the folder `wheels`, as a process that runs it tells it in its manifest."""
    with zipfile.ZipFile(only_wheel(wheels)) as archive:
        return digest_of(
            (name, archive.read(name)) for name in archive.namelist() if ".dist-info/" not in name
        )


def only_wheel(wheels: Path) -> Path:
    (found,) = wheels.glob("shared_lib-*.whl")
    return found


def wheel_version(wheels: Path) -> str:
    return only_wheel(wheels).name.split("-")[1]


def _contents(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == RECORD or name == "image":
            continue
        if path.suffix == ".whl":
            yield from _of_wheel(path)
        elif path.suffix == ".tgz":
            yield from _of_chart(path)
        else:
            yield name, path.stat().st_mode & 0o111, path.read_bytes()


def _of_wheel(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield f"{path.name}/{name}", 0, archive.read(name)


def _of_chart(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            # Helm writes the moment into its lock.
            if content and not member.name.endswith("/Chart.lock"):
                yield f"{path.name}/{member.name}", 0, content.read()


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
