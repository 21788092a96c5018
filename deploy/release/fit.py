"""Whether a new version fits what runs, neighbour by neighbour, by what each says in its manifest.

Both ways for each neighbour: a new producer against running consumers and a new consumer against running producers, a new
callee against running callers and a new caller against running callees. The running version of the service itself is a
neighbour too, since both run side by side for a while, and old messages wait in queues. The rules are those of
`shared_lib.contracts.compatibility`. What is wrong already with the version that runs is no reason to keep the next one back.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from release.manifests import Manifest
from shared_lib.contracts.compatibility import Change, fields, lost, misreadings

GATEWAY = "gateway"


@dataclasses.dataclass(frozen=True)
class Break:
    """`victim` would break: by `place`, an event or an endpoint of the version `of`, whose `field` `what`.

    Versions do not tell two breaks apart.
    """

    victim: str
    place: str
    field: str
    what: str
    of: str = dataclasses.field(compare=False)
    version: str = dataclasses.field(compare=False)
    advice: str = dataclasses.field(compare=False, default="")

    def __str__(self) -> str:
        where = f"field {self.field} {self.what}" if self.field else f"it {self.what}"
        return f"{self.victim} {self.version} would break by {self.place} {self.of}: {where}{self.advice}."


def breaks(new: Manifest, running: list[Manifest]) -> list[Break]:
    """All that `new` would break, or be broken by, among what is `running`; each once."""
    before = [each for each in running if each["service"] == new["service"]]
    already = {found for each in before for found in _all(each, running, before)}
    return [found for found in dict.fromkeys(_all(new, running, before)) if found not in already]


def _all(new: Manifest, running: list[Manifest], before: list[Manifest]) -> Iterator[Break]:
    for other in running:
        if new["service"] == GATEWAY:
            if other["service"] != GATEWAY:
                yield from _new_routes(new, other, before)
        elif other["service"] == GATEWAY:
            yield from _unserved_routes(new, other, before)
        else:
            yield from _new_producer(new, other, before)
            yield from _new_consumer(new, other)
            yield from _new_callee(new, other, before)
            yield from _new_caller(new, other)


# Events


def _new_producer(new: Manifest, consumer: Manifest, before: list[Manifest]) -> Iterator[Break]:
    for name, read in consumer["consumes"].items():
        place = f"the event {name} of {new['service']}"
        earlier = [each["publishes"][name] for each in before if name in each["publishes"]]
        if name in new["publishes"]:
            for path, what in _unread(new["publishes"][name], read, earlier):
                yield _of_neighbour(consumer, new, place, path, what)
        elif earlier:
            yield _of_neighbour(consumer, new, place, "", "is no longer published")


def _new_consumer(new: Manifest, producer: Manifest) -> Iterator[Break]:
    for name, read in new["consumes"].items():
        if name in producer["publishes"]:
            place = f"the event {name} of {producer['service']}"
            for path, what in _unread(producer["publishes"][name], read, []):
                yield _of_itself(new, producer, place, path, what)


# Internal calls


def _new_callee(new: Manifest, caller: Manifest, before: list[Manifest]) -> Iterator[Break]:
    earlier = [_endpoints(each) for each in before]
    for call in _calls(caller, new):
        known = [each[_shape(call["endpoint"])] for each in earlier if _shape(call["endpoint"]) in each]
        for place, path, what in _call(call, caller, new, known):
            yield _of_neighbour(caller, new, place, path, what)


def _new_caller(new: Manifest, callee: Manifest) -> Iterator[Break]:
    for call in _calls(new, callee):
        for place, path, what in _call(call, new, callee, None):
            yield _of_itself(new, callee, place, path, what)


def _call(
    call: dict[str, Any], caller: Manifest, callee: Manifest, known: list[dict[str, Any]] | None
) -> Iterator[tuple[str, str, str]]:
    """Place, field and what of each misunderstanding. `known`: the endpoint as running callees have it; None: `callee` runs."""
    place = f"{call['endpoint']} of {callee['service']}"
    served = _endpoints(callee).get(_shape(call["endpoint"]))
    if served is None:
        yield place, "", "is not served"
        return
    if caller["service"] not in served["callers"]:
        yield place, "", f"does not admit {caller['service']}"
    for path, what in _unheard(call.get("request", {}), served.get("request", {}), known):
        yield f"the request of {place}", path, what
    for part in ("answer", "problem"):
        if part in call:
            earlier = [each[part] for each in known or [] if part in each]
            for path, what in _unread(served.get(part, {"type": "object"}), call[part], earlier):
                yield f"the {part} of {place}", path, what


def _unread(
    written: dict[str, Any], read: dict[str, Any], earlier: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What the reader misses or cannot take, with what was `written` earlier."""
    gone = {path for each in earlier for path in lost(each, written)}
    for each in misreadings(written, read["schema"]):
        if not (each.change is Change.REMOVED and each.field in gone):
            yield each.field, each.unread
    for path in sorted(gone & set(read["needs"])):
        yield path, "was removed"


def _unheard(
    sent: dict[str, Any], heard: dict[str, Any], known: list[dict[str, Any]] | None
) -> Iterator[tuple[str, str]]:
    """What the callee wants and does not get, cannot take, or would no longer hear."""
    for each in misreadings(sent or {"type": "object"}, heard or {"type": "object"}):
        yield each.field, "is required and not sent" if each.change is Change.REMOVED else each.unread
    always = {path for path, required in fields(sent) if required}
    silent = set(lost(sent, heard))
    if known is None:
        for path in sorted(silent & always):
            yield path, "is not known there"
    else:
        once = {path for each in known for path, _ in fields(each.get("request", {}))}
        for path in sorted(silent & once):
            yield path, "was removed: it is no longer heard"


def _calls(caller: Manifest, callee: Manifest) -> list[dict[str, Any]]:
    return [call for call in caller["calls"] if call["callee"] == callee["service"]]


def _endpoints(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {_shape(each["endpoint"]): each for each in manifest["serves"]}


# Routes of the gateway


def _unserved_routes(new: Manifest, gateway: Manifest, before: list[Manifest]) -> Iterator[Break]:
    """What the running version serves, the gateway routes, and `new` no longer has."""
    left = {(each["method"], _shape(each["path"])) for each in new["public"]}
    for operation in (each for one in before for each in one["public"]):
        method, path = operation["method"], operation["path"]
        if not left & {(method, _shape(path)), ("*", _shape(path))} and any(
            _covers(route["path"], path)
            for route in gateway["routes"]
            if route["service"] == new["service"] and method in ("*", route["method"])
        ):
            place = f"{method} {path} of {new['service']}"
            yield _of_neighbour(gateway, new, place, "", "is no longer served, and routed still")


def _new_routes(new: Manifest, service: Manifest, before: list[Manifest]) -> Iterator[Break]:
    """Routes that the running gateway does not have, to what the running service does not serve."""
    if not before:
        return
    old = {
        (each["method"], _shape(each["path"]), each["service"]) for one in before for each in one["routes"]
    }
    for route in new["routes"]:
        method, path = route["method"], route["path"]
        if route["service"] != service["service"] or (method, _shape(path), route["service"]) in old:
            continue
        if not any(
            _covers(path, each["path"]) or _covers(each["path"], path)
            for each in service["public"]
            if each["method"] in ("*", method)
        ):
            place = f"{method} {path} of {service['service']}"
            yield _of_itself(new, service, place, "", "is not served")


def _covers(general: str, special: str) -> bool:
    """Whether every path of the shape `special` has the shape `general`, in which a last `/**` is one segment or more."""
    wide, narrow = general.strip("/").split("/"), special.strip("/").split("/")
    if wide[-1] == "**":
        wide.pop()
        if len(narrow) <= len(wide):
            return False
        narrow = narrow[: len(wide)]
    return len(wide) == len(narrow) and all(
        one.startswith("{") or one == other for one, other in zip(wide, narrow, strict=True)
    )


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


# Words


def _of_neighbour(other: Manifest, new: Manifest, place: str, path: str, what: str) -> Break:
    return Break(other["service"], place, path, what, new["version"], f"{other['version']}, which runs,")


def _of_itself(new: Manifest, other: Manifest, place: str, path: str, what: str) -> Break:
    of = f"{other['version']}, which runs"
    return Break(new["service"], place, path, what, of, f"{new['version']} itself", _first(other, new))


def _first(other: Manifest, new: Manifest) -> str:
    if other["service"] == new["service"]:
        return "; both versions run side by side for a while, so that this takes two releases"
    return f"; release {other['service']} first"
