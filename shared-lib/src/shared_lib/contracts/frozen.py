"""The frozen JSON Schemas of all contracts: what was promised, in files that are never edited.

    schemas/events/order.confirmed.v1.json                the data of an event, as it was first frozen
    schemas/events/order.confirmed.v1.2.json              its second revision: the same with more optional fields
    schemas/internal/svc-catalog/post-reservations.request.json   .answer.json, .problem.json
    schemas/consumers.json                                who reads what; the one file that follows the code

A file is in canonical form: made by `msgspec.json.schema`, references resolved, names and descriptions left out, keys and
lists sorted, so that equal shapes are equal bytes. `freeze()` adds files and changes none. A contract that changed
compatibly gets its next revision; one that changed otherwise is refused, for that is a new `.v2` beside the old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from shared_lib.contracts.compatibility import Direction, Schema, differences
from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.internal.endpoints import ENDPOINTS, Endpoint
from shared_lib.contracts.subscriptions import subscribers

FOLDER = Path(__file__).parent / "schemas"
CONSUMERS = "consumers.json"
_DROPPED = ("title", "description", "$defs")


@dataclass(frozen=True, slots=True)
class Contract:
    """One frozen thing: `name` is its file below the folder without ending, `label` what people call it.

    `consumers` are the services that a break would reach: who reads the event, or who calls the endpoint.
    """

    name: str
    label: str
    direction: Direction
    consumers: tuple[str, ...]
    schema: Schema


@dataclass(frozen=True, slots=True)
class Break:
    """`what` happened to `field` of `contract`, and who is hit by it."""

    contract: str
    field: str
    what: str
    consumers: tuple[str, ...]

    def __str__(self) -> str:
        where = f"{self.contract}, {self.field}" if self.field else self.contract
        return f"{where}: {self.what}. Hits {', '.join(self.consumers) or 'nobody yet'}."


def current() -> dict[str, Contract]:
    """The contracts as the code has them."""
    events = (
        Contract(f"events/{name}", name, Direction.EVENT, subscribers(name), canonical(struct))
        for name, struct in sorted(CONTRACTS.items())
    )
    payloads = (each for endpoint in ENDPOINTS for each in _payloads(endpoint))
    return {contract.name: contract for contract in (*events, *payloads)}


def _payloads(endpoint: Endpoint) -> Iterator[Contract]:
    slug = "-".join((endpoint.method.lower(), *endpoint.path.replace("{", "").replace("}", "").split("/")))
    for part, struct, direction in (
        ("request", endpoint.request, Direction.REQUEST),
        ("answer", endpoint.response, Direction.ANSWER),
        ("problem", endpoint.problem, Direction.ANSWER),
    ):
        if struct is not None:
            yield Contract(
                f"internal/{endpoint.callee}/{slug}.{part}",
                f"{endpoint.callee} {endpoint.name} ({part})",
                direction,
                endpoint.callers,
                canonical(struct),
            )


def canonical(struct: type[msgspec.Struct]) -> Schema:
    """The shape of `struct`: equal for two types that read and write the same JSON."""
    document = msgspec.json.schema(struct)
    resolved = _resolved(document, document.get("$defs", {}), ())
    if not isinstance(resolved, dict):
        raise TypeError(f"{struct.__name__} has no schema of its own")
    return resolved


def _resolved(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        parts = [_resolved(each, definitions, inside) for each in node]
        return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        name = reference.removeprefix("#/$defs/")
        if name in inside:
            raise TypeError(f"{name} contains itself: such a contract cannot be frozen")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _resolved({**definitions[name], **rest}, definitions, (*inside, name))
    found: Schema = {}
    for key, value in node.items():
        if key == "properties":  # its keys are names of fields, which may be `title` as well
            found[key] = {name: _resolved(field, definitions, inside) for name, field in value.items()}
        elif key == "default":
            found[key] = value
        elif key not in _DROPPED:
            found[key] = _resolved(value, definitions, inside)
    return found


def text_of(document: Any) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def consumers_document() -> dict[str, list[str]]:
    """Who is hit by a break, by the name of the contract; endpoints without payload stand here too."""
    known = {name: sorted(contract.consumers) for name, contract in current().items()}
    calls = {f"calls/{each.callee} {each.name}": sorted(each.callers) for each in ENDPOINTS}
    return known | calls


@dataclass(frozen=True)
class Frozen:
    """Frozen files, from the tree or from a release: `files` maps a path below the folder to its text."""

    files: Mapping[str, str]
    origin: str = "the frozen files"

    @classmethod
    def of_folder(cls, folder: Path = FOLDER) -> Frozen:
        paths = sorted(folder.rglob("*.json")) if folder.is_dir() else []
        return cls({path.relative_to(folder).as_posix(): path.read_text() for path in paths})

    @cached_property
    def revisions(self) -> dict[str, list[Schema]]:
        """The schemas of each contract, from the first revision to the last."""
        found: dict[str, dict[int, Schema]] = {}
        for path, text in self.files.items():
            if path == CONSUMERS:
                continue
            name, number = path.removesuffix(".json"), 1
            head, _, tail = name.rpartition(".")
            if tail.isdecimal():
                name, number = head, int(tail)
            found.setdefault(name, {})[number] = json.loads(text)
        return {name: [schemas[number] for number in sorted(schemas)] for name, schemas in found.items()}

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        document: dict[str, list[str]] = json.loads(self.files.get(CONSUMERS, "{}"))
        return document


def breaks(frozen: Frozen, now: Mapping[str, Contract] | None = None) -> list[Break]:
    """All that keeps the code from taking the place of `frozen`, with the consumers of both."""
    now = current() if now is None else now
    found: list[Break] = []
    for name, schemas in sorted(frozen.revisions.items()):
        contract, then = now.get(name), frozen.consumers.get(name, [])
        if contract is None:
            label = name.partition("/")[2]
            found.append(Break(label, "", "was removed", tuple(then)))
            continue
        hit = tuple(sorted({*then, *contract.consumers}))
        found += [
            Break(contract.label, each.field, each.what, hit)
            for each in differences(schemas[-1], contract.schema, contract.direction)
        ]
    calls = consumers_document()
    for name, then in sorted(frozen.consumers.items()):
        if name.startswith("calls/") and (lost := sorted(set(then) - set(calls.get(name, [])))):
            found.append(Break(name.removeprefix("calls/"), "", "may no longer be called", tuple(lost)))
    return found


def edited(released: Frozen, tree: Frozen) -> list[str]:
    """Files of a release that were changed or removed since: what was published is never edited."""
    return [
        path
        for path, text in sorted(released.files.items())
        if path != CONSUMERS and tree.files.get(path) != text
    ]


def unfrozen(frozen: Frozen) -> list[Contract]:
    """Contracts whose present shape is in no file yet, though nothing keeps it from being frozen."""
    return [
        contract
        for contract in current().values()
        if (schemas := frozen.revisions.get(contract.name)) is None or schemas[-1] != contract.schema
    ]


class CannotFreeze(ValueError):
    """A contract changed in a way that its consumers would not survive; the message names each."""


def freeze(folder: Path = FOLDER) -> list[str]:
    """Writes what is new, changes no schema that is there. Returns the paths written. Raises `CannotFreeze`."""
    frozen = Frozen.of_folder(folder)
    if broken := breaks(frozen):
        raise CannotFreeze("\n".join(map(str, broken)))
    written = []
    for contract in unfrozen(frozen):
        number = len(frozen.revisions.get(contract.name, ())) + 1
        path = f"{contract.name}.json" if number == 1 else f"{contract.name}.{number}.json"
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x") as file:
            file.write(text_of(contract.schema))
        written.append(path)
    document = text_of(consumers_document())
    if frozen.files.get(CONSUMERS) != document:
        (folder / CONSUMERS).write_text(document)
        written.append(CONSUMERS)
    return written
