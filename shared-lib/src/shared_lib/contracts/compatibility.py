"""What a change of a contract breaks, and for whom.

Two questions are asked of every place in a schema:

- *backward*: can code of the new schema read what was written by the old one?
- *forward*: can code of the old schema, which still runs elsewhere, read what the new one writes?

An event needs both, since producers and consumers are deployed on different days and old messages wait in queues and
tables: it may only gain optional fields. In internal HTTP a callee is deployed before its callers, so a request needs
*backward* (the new callee reads what old callers send), an answer *forward* (old callers read what the new callee sends).
A field that disappears is named in every direction: who still sends it is no longer heard.

Schemas are those of `shared_lib.contracts.frozen`: canonical, without references.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

Schema = dict[str, Any]

# Constraints, by which of two values admits less.
_UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
_EXACT = ("pattern", "format", "multipleOf", "contentEncoding")
_MISSING = object()


class Direction(Enum):
    EVENT = "event"
    REQUEST = "request"
    ANSWER = "answer"

    @property
    def backward(self) -> bool:
        return self is not Direction.ANSWER

    @property
    def forward(self) -> bool:
        return self is not Direction.REQUEST


@dataclass(frozen=True, slots=True)
class Difference:
    """One incompatible change. `field` is a path as `lines[].quantity`, empty for the whole."""

    field: str
    what: str


def differences(old: Schema, new: Schema, direction: Direction) -> list[Difference]:
    """All that keeps `new` from taking the place of `old`; empty when it may."""
    return list(_compare(old, new, "", direction))


def _compare(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    before, after = _alternatives(old), _alternatives(new)
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    if gone and come and len(before) == len(after):
        yield Difference(at, f"changed its type from {' or '.join(before)} to {' or '.join(after)}")
    else:
        if gone and direction.backward:
            yield Difference(at, f"was narrowed: it may no longer be {' or '.join(gone)}")
        if come and direction.forward:
            yield Difference(at, f"was widened: it may now be {' or '.join(come)}")
    for kind in sorted(before.keys() & after.keys()):
        one, other = before[kind], after[kind]
        match kind:
            case "object":
                yield from _compare_fields(one, other, at, direction)
            case "map":
                yield from _compare(
                    one["additionalProperties"], other["additionalProperties"], f"{at}{{}}", direction
                )
            case "array":
                yield from _compare(one.get("items", {}), other.get("items", {}), f"{at}[]", direction)
            case "enum":
                yield from _compare_enum(one, other, at, direction)
            case _:
                pass
        yield from _compare_constraints(one, other, at, direction)


def _alternatives(schema: Schema) -> dict[str, Schema]:
    """The types that a value may have, each with its schema."""
    if "anyOf" in schema:
        return {kind: part for each in schema["anyOf"] for kind, part in _alternatives(each).items()}
    if "enum" in schema:
        return {"enum": schema}
    kind = schema.get("type", "anything")
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = "map"
    return {kind: schema}


def _compare_fields(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    closed = old.get("additionalProperties") is False
    for name in sorted(before.keys() - after.keys()):
        yield Difference(_join(at, name), "was removed")
    for name in sorted(after.keys() - before.keys()):
        if name in needs and direction.backward:
            yield Difference(_join(at, name), "is new and required")
        elif closed and direction.forward:
            yield Difference(_join(at, name), "is new where unknown fields are refused")
    for name in sorted(before.keys() & after.keys()):
        path = _join(at, name)
        if name in needs - needed and direction.backward:
            yield Difference(path, "was optional and is required now")
        if name in needed - needs and direction.forward:
            yield Difference(path, "was required and is optional now")
        one, other = before[name].get("default", _MISSING), after[name].get("default", _MISSING)
        if one is not _MISSING and other is not _MISSING and one != other:
            yield Difference(path, f"changed what its absence means, from {one!r} to {other!r}")
        yield from _compare(before[name], after[name], path, direction)


def _compare_enum(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    before, after = set(old["enum"]), set(new["enum"])
    if (gone := before - after) and direction.backward:
        yield Difference(at, f"lost the value {_listed(gone)}")
    if (come := after - before) and direction.forward:
        yield Difference(at, f"gained the value {_listed(come)}")


def _compare_constraints(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    for names, sign in ((_UPPER, 1), (_LOWER, -1)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            tighter = before is None or (after is not None and after * sign < before * sign)
            if tighter and direction.backward:
                yield Difference(at, f"was narrowed: {name} {before} became {after}")
            if not tighter and direction.forward:
                yield Difference(at, f"was widened: {name} {before} became {after}")
    for name in _EXACT:
        before, after = old.get(name), new.get(name)
        narrowed, widened = before is None, after is None
        if before == after:
            continue
        if (narrowed and direction.backward) or (widened and direction.forward) or not (narrowed or widened):
            yield Difference(at, f"changed its {name} from {before} to {after}")


def _listed(values: set[Any]) -> str:
    return ", ".join(sorted(map(repr, values)))


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
