"""Kubernetes' own schemas, strictly: a field that a version doesn't know is an error, and so is a kind."""

from __future__ import annotations

import functools
import json

import kubernetes_validate
from kubernetes_validate import utils

from tests.support.helm import Manifest

#: Each run would read the definitions of all kinds anew.
utils.schema_contents = functools.cache(utils.schema_contents)
NEWEST = kubernetes_validate.latest_version().rpartition(".")[0]
VERSIONS = ("1.25", "1.29", NEWEST)
_good: set[tuple[str, str]] = set()


def mistakes(manifests: list[Manifest], version: str) -> list[str]:
    """What is wrong with them, a sentence each."""
    return [sentence for one in manifests if (sentence := _mistake(one, version))]


def _mistake(manifest: Manifest, version: str) -> str | None:
    seen = (version, json.dumps(manifest, sort_keys=True))
    if seen in _good:
        return None
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    try:
        used = kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{name}: {'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return f"{name}: {error.message}"
    assert used == version, f"there is no schema for {version}"
    _good.add(seen)
    return None
