"""`python -m release`: exit code 0 and where the release lies, or 1 and a sentence."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from release import manifests
from release.engine import Order, run
from release.manifests import Manifest
from release.refusal import Refused

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        run(order_of(environ))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


def order_of(environ: Mapping[str, str]) -> Order:
    """The order that the variables of `make release` give. Raises `Refused`."""
    missing = [name for name in ("SERVICE", "VERSION") if not environ.get(name)]
    if missing:
        raise Refused(f"Name the {' and the '.join(missing)}: make release SERVICE=svc-cart VERSION=1.2.0.")
    state = Path(environ.get("SHOP_STATE_DIR") or ROOT / ".local").absolute()
    return Order(
        root=ROOT,
        service=environ["SERVICE"],
        version=environ["VERSION"],
        releases=state / "releases",
        running=_running(environ),
        tested=_switch(environ, "TESTS", "skip") is None,
        dirty_allowed=_switch(environ, "DIRTY", "allow") is not None,
        images=environ.get("SHOP_IMAGES") or "shop",
        say=lambda text: print(text, flush=True),
    )


def _running(environ: Mapping[str, str]) -> list[Manifest] | None:
    places = environ.get("MANIFESTS") or ""
    if _switch(environ, "AGAINST", "none"):
        if places:
            raise Refused("AGAINST=none and MANIFESTS contradict each other: leave one of them out.")
        return None
    if not places:
        raise Refused(
            "Nothing is known to run here, so nobody can tell what this release would break: start the shop, name what runs"
            " (MANIFESTS=a folder of manifests, or addresses with commas), or say AGAINST=none for the very first release."
        )
    return manifests.read(places)


def _switch(environ: Mapping[str, str], name: str, word: str) -> str | None:
    value = environ.get(name) or None
    if value not in (None, word):
        raise Refused(f"{name}={value} means nothing: leave it out, or write {name}={word}.")
    return value
