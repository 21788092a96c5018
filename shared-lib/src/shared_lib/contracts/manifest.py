"""What a service says of itself at `/internal/v1/manifest`: the contracts of the code that runs, with their shapes.

`make release` compares these documents before it changes anything, so each must tell by itself all that a neighbour can be
broken by. No other code reads them.

    {"format": 1, "service": "svc-cart", "version": "1.2.0", "shared_lib": {"version": "0.1.0", "digest": "sha256:..."},
     "publishes": {"cart.abandoned.v1": SCHEMA},
     "consumes": {"stock.changed.v1": {"schema": SCHEMA, "needs": ["variant_id", "available", ...]}},
     "serves": [{"endpoint": "GET carts/{user_id}", "callers": ["svc-orders"], "answer": SCHEMA}],
     "calls": [{"callee": "svc-catalog", "endpoint": "GET variants", "answer": {"schema": SCHEMA, "needs": [...]}}],
     "public": [{"method": "GET", "path": "/api/v1/cart"}]}

SCHEMA is a JSON Schema in the canonical form of `shared_lib.contracts.frozen`. `needs` are the fields without which the
service does not work as it does: those that its type requires, and of the optional ones those that its code reads. An
endpoint has `request`, `answer` and `problem` where there is such a payload.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import msgspec

import shared_lib
from shared_lib.contracts.compatibility import Schema, fields
from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.frozen import canonical
from shared_lib.contracts.internal.endpoints import ENDPOINTS, Endpoint
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS

FORMAT = 1


def document(service: str, *, version: str, package: str, public: list[dict[str, str]]) -> dict[str, Any]:
    """The manifest of `service`, whose code is the imported `package`. `public`: methods and paths below /api/v1."""
    words = names_in(package)
    return {
        "format": FORMAT,
        "service": service,
        "version": version,
        "shared_lib": {"version": shared_lib.__version__, "digest": library_digest()},
        "publishes": {
            name: canonical(contract)
            for name, contract in sorted(CONTRACTS.items())
            if contract.producer == service
        },
        "consumes": {
            contract.event_type: _read(contract, words)
            for contract in sorted(SUBSCRIPTIONS[service], key=lambda each: each.event_type)
        },
        "serves": [_served(endpoint) for endpoint in ENDPOINTS if endpoint.callee == service],
        "calls": [_called(endpoint, words) for endpoint in ENDPOINTS if service in endpoint.callers],
        "public": public,
    }


def library_digest() -> str:
    """A hash of all files of this shared-lib, however it was installed: the wheel of one version has one."""
    folder = Path(shared_lib.__file__).parent
    return digest_of(
        (path.relative_to(folder.parent).as_posix(), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    )


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    found = hashlib.sha256()
    for name, content in sorted(files):
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"sha256:{found.hexdigest()}"


def _served(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {"endpoint": endpoint.name, "callers": sorted(endpoint.callers)}
    return found | {part: canonical(struct) for part, struct in _payloads(endpoint)}


def _called(endpoint: Endpoint, words: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"callee": endpoint.callee, "endpoint": endpoint.name}
    return found | {
        part: canonical(struct) if part == "request" else _read(struct, words)
        for part, struct in _payloads(endpoint)
    }


def _payloads(endpoint: Endpoint) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    parts = (("request", endpoint.request), ("answer", endpoint.response), ("problem", endpoint.problem))
    return ((part, struct) for part, struct in parts if struct is not None)


def _read(struct: type[msgspec.Struct], words: frozenset[str]) -> dict[str, Any]:
    schema = canonical(struct)
    return {"schema": schema, "needs": needs(schema, words)}


def needs(schema: Schema, words: frozenset[str]) -> list[str]:
    """Fields that are required, or whose name is among `words`; of an optional field that is not needed, none inside."""
    found: list[str] = []
    left_out: list[str] = []
    for path, required in fields(schema):
        if any(path.startswith(f"{each}{sign}") for each in left_out for sign in ".[{"):
            continue
        if required or path.rpartition(".")[2] in words:
            found.append(path)
        else:
            left_out.append(path)
    return found


def names_in(package: str) -> frozenset[str]:
    """Every name and word in the code of `package`: a field that is not among them is read by nothing in there.

    More than what is read, never less: `thumbnail` of something else counts too.
    """
    found: set[str] = set()
    for name in _modules(package):
        spec = importlib.util.find_spec(name)
        if spec and spec.loader and (code := spec.loader.get_code(name)):  # type: ignore[attr-defined]
            found |= _words(code)
    return frozenset(found)


def _modules(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    yield package
    for found in pkgutil.iter_modules(spec.submodule_search_locations if spec else None, f"{package}."):
        if found.ispkg and not found.name.endswith((".migrations", ".tests")):
            yield from _modules(found.name)
        elif not found.ispkg:
            yield found.name


def _words(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _words(constant)
        elif isinstance(constant, str):
            found.add(constant)
        elif isinstance(constant, tuple):
            found.update(each for each in constant if isinstance(each, str))
    return found
