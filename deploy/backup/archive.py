"""The folder of one backup and its manifest, which says what belongs to it and how to see that it is whole."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "shop-backup/1"
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
#: Everything that must be kept from others' eyes, apart from the rest.
SECRETS = "secrets"


class Refused(Exception):
    """A folder that is no backup, not a whole one, or of another shop; the text is a sentence."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`made_at` is the moment that the databases show, RFC 3339 in UTC. `migrations` are those applied, by service.

    `files` has size and SHA-256 of each file, by its path in the folder.
    """

    made_at: str
    postgres: str
    stood_still_seconds: float
    migrations: dict[str, list[str]]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def services(self) -> list[str]:
        return sorted(self.migrations)


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest of all that is in the folder; the owner alone may read any of it."""
    files = {}
    for path in sorted(folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if path.is_file():
            files[str(path.relative_to(folder))] = {"bytes": path.stat().st_size, "sha256": digest(path)}
    whole = Manifest(**{**asdict(manifest), "files": files})
    text = json.dumps({"format": FORMAT, **asdict(whole)}, indent=1) + "\n"
    for name, content in ((MANIFEST, text), (SEAL, hashlib.sha256(text.encode()).hexdigest() + "\n")):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content)
        with path.open() as stream:
            os.fsync(stream.fileno())
    return whole


def read(folder: Path) -> Manifest:
    """The manifest of a backup, after every file was compared with it. Raises `Refused`."""
    try:
        text = (folder / MANIFEST).read_text()
        sealed = (folder / SEAL).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Refused(
            f"{folder} is no backup of a shop: it has no readable {MANIFEST} with its {SEAL}."
        ) from None
    if hashlib.sha256(text.encode()).hexdigest() != sealed:
        raise Refused(f"{folder} is damaged: {MANIFEST} is not the one that was sealed.")
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise Refused(
                f"{folder} is not of the format {FORMAT}: restore it with the version that made it."
            )
        manifest = Manifest(**document)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(f"{folder} is no backup of a shop: {MANIFEST} is not one of ours.") from None
    for name, known in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Refused(f"{folder} is damaged: {name} is missing.")
        if path.stat().st_size != known["bytes"] or digest(path) != known["sha256"]:
            raise Refused(f"{folder} is damaged: {name} is not what was written.")
    return manifest


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_fit(folder: Path, manifest: Manifest, known: dict[str, set[str]]) -> None:
    """Raise `Refused` unless this tree has the backup's services and, of each, every migration that was applied."""
    if set(manifest.services) != set(known):
        raise Refused(
            f"{folder} is of another shop: it has {', '.join(manifest.services)}, and this tree {', '.join(sorted(known))}."
        )
    for service, names in manifest.migrations.items():
        if missing := sorted(set(names) - known[service]):
            raise Refused(
                f"{folder} is newer than this tree: {service} had the migration {missing[0]}, which is not here."
            )
