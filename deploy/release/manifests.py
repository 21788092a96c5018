"""What runs, as it says itself: the documents of `/internal/v1/manifest`, from addresses or from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from release.refusal import Refused
from shared_lib.contracts.manifest import FORMAT

Manifest = dict[str, Any]

TIMEOUT_SECONDS = 10


def read(places: str) -> list[Manifest]:
    """The manifests at `places`: addresses, files, or folders of `*.json`, separated by commas. Raises `Refused`."""
    found = [manifest for place in filter(None, map(str.strip, places.split(","))) for manifest in _at(place)]
    if not found:
        raise Refused(f"MANIFESTS={places} names no manifest: what runs is unknown.")
    return found


def _at(place: str) -> list[Manifest]:
    if place.startswith(("http://", "https://")):
        return [_parsed(_fetched(place), place)]
    path = Path(place)
    if not path.exists():
        raise Refused(f"MANIFESTS names {place}, which is neither an address nor a file or folder.")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return [_parsed(file.read_text(), str(file)) for file in files]


def _fetched(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=TIMEOUT_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(f"{url} does not answer ({error}): what runs there is unknown.") from None
    if answer.status_code != 200:
        raise Refused(f"{url} answers {answer.status_code}: what runs there is unknown.")
    return answer.text


def _parsed(text: str, place: str) -> Manifest:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("service"), str):
        raise Refused(f"{place} holds no manifest of a service.")
    if document.get("format") != FORMAT:
        raise Refused(
            f"{document['service']} {document.get('version', '')} at {place} tells a manifest of format"
            f" {document.get('format', 'none')}, and {FORMAT} is what can be compared: release it again first."
        )
    return document
