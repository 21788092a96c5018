"""`make secrets-check`: looks for every secret of the running stack where none may be."""

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from shop import processes, stack
from shop.envfile import accepted, known_keys
from shop.layout import Layout
from shop.problems import Problem
from shop.report import Progress

#: What looks like a secret whatever its value: in what was ever committed.
LOOKS_SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/=]{40}"
    rb"|\bsk_live_[A-Za-z0-9]{16}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
)
#: Large, and nobody's but the engine's whose they are: a password is a hash there.
ENGINES = ("postgres", "venv", "pycache", "cache")
NEWLINE = b"\n"
LARGEST = 64 * 1024 * 1024
#: The label of the images that are built here; the others are bought.
OURS = "org.opencontainers.image.title"


def values(layout: Layout, env: dict[str, str], found: list[str]) -> dict[str, list[bytes]]:
    """By its name, what each secret can be found by; of a private key a line of its middle."""
    known = {
        name: [value.encode() for value in accepted(env, name)]
        for name, key in known_keys(found).items()
        if key.secret
    }
    for path in sorted(layout.keys.rglob("private/*.pem")):
        known[path.name] = [path.read_bytes().splitlines()[1]]
    return {name: each for name, each in known.items() if each}


class Finder:
    """Knows the values, and tells names of those that are in a text."""

    def __init__(self, known: dict[str, list[bytes]]) -> None:
        self._names = {value: name for name, each in known.items() for value in each}
        self._pattern = re.compile(b"|".join(map(re.escape, self._names)))

    def names(self, text: bytes) -> set[str]:
        return {self._names[value] for value in self._pattern.findall(text)}


def check(layout: Layout, env: dict[str, str], found: list[str]) -> list[str]:
    """A sentence for each place that holds a secret and may not."""
    finder = Finder(values(layout, env, found))
    return [
        *_told("a log", finder, _files(layout.logs)),
        *_told("a command line", finder, _command_lines()),
        *_told("a file that others may read", finder, _open_files(layout)),
        *_told("what was committed", finder, _committed(layout.root)),
        *_told("Docker", finder, _docker(layout)),
    ]


def _told(where: str, finder: Finder, texts: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    for name, text in texts:
        for secret in sorted(finder.names(text)):
            yield f"{secret} is in {where}: {name}"
        if where == "what was committed" and (look := LOOKS_SECRET.search(text)):
            yield f"Something like a secret is in {where}: {name}: {look[0][:24].decode(errors='replace')}..."


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < LARGEST:
            yield str(path), path.read_bytes()


def _command_lines() -> Iterator[tuple[str, bytes]]:
    for pid in processes.pids():
        try:
            yield f"process {pid}", Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue


def _open_files(layout: Layout) -> Iterator[tuple[str, bytes]]:
    for folder in (path for path in layout.state.iterdir() if path.name not in ENGINES):
        for path in [folder, *folder.rglob("*")] if folder.is_dir() else [folder]:
            # What lies in a folder that only its owner may enter cannot be read by others, whatever its own mode is.
            shut = any(
                each.stat().st_mode & 0o007 == 0 for each in path.parents if each.is_relative_to(layout.state)
            )
            if path.is_file() and not shut and path.stat().st_mode & 0o004 and path.stat().st_size < LARGEST:
                yield str(path), path.read_bytes()


def _committed(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every change of every commit that this repository has."""
    if not (root / ".git").exists():
        return
    log = subprocess.run(
        ["git", "log", "--all", "--no-color", "--patch", "--text", "--format=%x00%h"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    for commit in log.stdout.split(b"\0"):
        yield f"commit {commit.partition(NEWLINE)[0].decode(errors='replace')}", commit


def _docker(layout: Layout) -> Iterator[tuple[str, bytes]]:
    """What the engine tells of this stack's containers and their images, and what is in those, where it has some."""
    if not shutil.which("docker") or not (layout.state / "docker").exists():
        return
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        print("No Docker engine answers: its containers and images were not looked into.", file=sys.stderr)
        return
    folder = str(layout.root)
    listed = _ask(
        "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project.working_dir={folder}"
    )
    images = set()
    for container in listed.decode().split():
        told = _ask("inspect", container)
        [found] = json.loads(told)
        name = found["Name"].lstrip("/")
        yield f"docker inspect {name}", told
        yield f"docker logs {name}", _ask("logs", container)
        images.add(found["Image"])
    seen: set[bytes] = set()
    for image in sorted(images):
        told = _ask("image", "inspect", image)
        [found] = json.loads(told)
        name = (found["RepoTags"] or [image[:19]])[0]
        yield f"docker image inspect {name}", told
        yield f"docker history {name}", _ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
        if OURS in (found["Config"].get("Labels") or {}):
            yield from _contents(image, name, seen)


def _ask(*words: str) -> bytes:
    """What the engine's client says; raises Problem if it fails. A container's log has two streams."""
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise Problem(f"The Docker engine cannot be asked (docker {words[0]}): {said[-300:]}")
    return done.stdout


def _contents(image: str, name: str, seen: set[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every file of every layer, also those that a later layer removed; but each content once, `seen` knows which."""
    with (
        subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved,
        tarfile.open(fileobj=saved.stdout, mode="r|") as archive,
    ):
        for part in archive:
            content = archive.extractfile(part).read() if part.isfile() else b""  # type: ignore[union-attr]
            for path, text in _unpacked(content):
                digest = hashlib.blake2b(text, digest_size=16).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield f"image {name}, {path or part.name}", text
    if saved.returncode:
        raise Problem(f"The Docker engine cannot save {name}, to look into it.")


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a layer with their paths, or what is none as it is."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as layer:
            for each in layer:
                if each.isfile():
                    yield f"/{each.name}", layer.extractfile(each).read()  # type: ignore[union-attr]
    except tarfile.ReadError:
        yield "", content


def run(layout: Layout, arguments: argparse.Namespace) -> int:
    shop = stack.find(layout, Progress())
    if shop is None:
        raise Problem("There are no secrets here yet: `make up` makes them.")
    found = check(layout, shop.env, shop.services)
    for sentence in found:
        print(sentence)
    if not found:
        print(f"None of {len(values(layout, shop.env, shop.services))} secrets is where it may not be.")
    return 1 if found else 0
