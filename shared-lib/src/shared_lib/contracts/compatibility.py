"""What a change of a contract breaks, and for whom.

Two questions are asked of every place in a schema:

- *backward*: can code of the new schema read what was written by the old one?
- *forward*: can code of the old schema, which still runs elsewhere, read what the new one writes?

An event needs both, since producers and consumers are deployed on different days and old messages wait in queues and
tables: it may only gain optional fields. In internal HTTP a callee is deployed before its callers, so a request needs
*backward* (the new callee reads what old callers send), an answer *forward* (old callers read what the new callee sends).
A field that disappears is named in every direction: who still sends it is no longer heard.

`differences` compares two versions of one contract, as they are frozen. `misreadings` asks *forward* of two sides that
run: what of that which this one writes can that one not read?

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
    READING = "reading"

    @property
    def backward(self) -> bool:
        return self in (Direction.EVENT, Direction.REQUEST)

    @property
    def forward(self) -> bool:
        return self is not Direction.REQUEST


class Change(Enum):
    """What can be incompatible: said of two versions of one contract, and, where it can be, of a writer and a reader."""

    REMOVED = ("was removed", "is missing")
    REQUIRED = ("is new and required", "")
    MADE_REQUIRED = ("was optional and is required now", "")
    MADE_OPTIONAL = ("was required and is optional now", "may be absent, and is needed always")
    UNKNOWN = ("is new where unknown fields are refused", "is sent where unknown fields are refused")
    DEFAULT = (
        "changed what its absence means, from {old} to {new}",
        "is left out for {new}, and its absence is read as {old}",
    )
    TYPE = ("changed its type from {old} to {new}", "is {new}, and {old} is what can be read")
    NARROWED = ("was narrowed: it may no longer be {old}", "")
    WIDENED = ("was widened: it may now be {new}", "may be {new}, which cannot be read")
    LOST_VALUE = ("lost the value {old}", "")
    GAINED_VALUE = ("gained the value {new}", "may have the value {new}, which is not known")
    LOWERED = ("was narrowed: {name} {old} became {new}", "")
    RAISED = ("was widened: {name} {old} became {new}", "may go beyond {name} {old}")
    FORM = ("changed its {name} from {old} to {new}", "has the {name} {new}, and {old} is what can be read")

    def __init__(self, evolved: str, unread: str) -> None:
        self.evolved = evolved
        self.unread = unread


@dataclass(frozen=True, slots=True)
class Difference:
    """One incompatible change. `field` is a path as `lines[].quantity`, empty for the whole."""

    field: str
    change: Change
    old: str = ""
    new: str = ""
    name: str = ""

    @property
    def what(self) -> str:
        """What happened from one version to the next."""
        return self.change.evolved.format(old=self.old, new=self.new, name=self.name)

    @property
    def unread(self) -> str:
        """What a reader meets in what a writer writes."""
        return self.change.unread.format(old=self.old, new=self.new, name=self.name)


def differences(old: Schema, new: Schema, direction: Direction) -> list[Difference]:
    """All that keeps `new` from taking the place of `old`; empty when it may."""
    return list(_compare(old, new, "", direction))


def misreadings(writer: Schema, reader: Schema) -> list[Difference]:
    """What of that which `writer` writes code that reads by `reader` cannot take; empty when it understands all.

    An optional field that is not written is no misreading: the reader has a default for it.
    """
    return list(_compare(reader, writer, "", Direction.READING))


def fields(schema: Schema, at: str = "") -> Iterator[tuple[str, bool]]:
    """Every field of `schema` as a path like `lines[].quantity`, with whether its object always has it."""
    for part in _alternatives(schema).values():
        required = set(part.get("required", ()))
        for name, inner in part.get("properties", {}).items():
            yield _join(at, name), name in required
            yield from fields(inner, _join(at, name))
        if "items" in part:
            yield from fields(part["items"], f"{at}[]")
        if isinstance(part.get("additionalProperties"), dict):
            yield from fields(part["additionalProperties"], f"{at}{{}}")


def lost(before: Schema, after: Schema) -> list[str]:
    """The fields of `before` that `after` lacks; of a field that is gone, none that was in it."""
    left = {path for path, _ in fields(after)}
    gone = [path for path, _ in fields(before) if path not in left]
    return [path for path in gone if not any(path != other and _inside(path, other) for other in gone)]


def _inside(path: str, other: str) -> bool:
    return path.startswith(other) and path[len(other)] in ".[{"


def _compare(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    before, after = _alternatives(old), _alternatives(new)
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    if gone and come and len(before) == len(after):
        yield Difference(at, Change.TYPE, " or ".join(before), " or ".join(after))
    else:
        if gone and direction.backward:
            yield Difference(at, Change.NARROWED, old=" or ".join(gone))
        if come and direction.forward:
            yield Difference(at, Change.WIDENED, new=" or ".join(come))
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
        if direction is not Direction.READING or name in needed:
            yield Difference(_join(at, name), Change.REMOVED)
    for name in sorted(after.keys() - before.keys()):
        if name in needs and direction.backward:
            yield Difference(_join(at, name), Change.REQUIRED)
        elif closed and direction.forward:
            yield Difference(_join(at, name), Change.UNKNOWN)
    for name in sorted(before.keys() & after.keys()):
        path = _join(at, name)
        if name in needs - needed and direction.backward:
            yield Difference(path, Change.MADE_REQUIRED)
        if name in needed - needs and direction.forward:
            yield Difference(path, Change.MADE_OPTIONAL)
        one, other = before[name].get("default", _MISSING), after[name].get("default", _MISSING)
        if one is not _MISSING and other is not _MISSING and one != other:
            yield Difference(path, Change.DEFAULT, repr(one), repr(other))
        yield from _compare(before[name], after[name], path, direction)


def _compare_enum(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    before, after = set(old["enum"]), set(new["enum"])
    if (gone := before - after) and direction.backward:
        yield Difference(at, Change.LOST_VALUE, old=_listed(gone))
    if (come := after - before) and direction.forward:
        yield Difference(at, Change.GAINED_VALUE, new=_listed(come))


def _compare_constraints(old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[Difference]:
    for names, sign in ((_UPPER, 1), (_LOWER, -1)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            tighter = before is None or (after is not None and after * sign < before * sign)
            if tighter and direction.backward:
                yield Difference(at, Change.LOWERED, str(before), str(after), name)
            if not tighter and direction.forward:
                yield Difference(at, Change.RAISED, str(before), str(after), name)
    for name in _EXACT:
        before, after = old.get(name), new.get(name)
        narrowed, widened = before is None, after is None
        if before == after:
            continue
        if (narrowed and direction.backward) or (widened and direction.forward) or not (narrowed or widened):
            yield Difference(at, Change.FORM, str(before), str(after), name)


def _listed(values: set[Any]) -> str:
    return ", ".join(sorted(map(repr, values)))


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
