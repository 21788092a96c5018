"""Traces as text: who called whom, when it began, and how long it took."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from traces.store import Span

#: So many leaves in a row with one name are one line.
_RUN = 3


@dataclass
class Node:
    """A span with its children; `repeats` are how many equal leaves followed it."""

    span: Span
    children: list["Node"] = field(default_factory=list)
    repeats: int = 0
    extra: int = 0

    @property
    def who(self) -> str:
        return f"{self.span['service']} {self.span['process']}".rstrip()


def roots(spans: Iterable[Span]) -> list[Node]:
    """The spans of one trace as trees: those whose parent is not here come first in none."""
    nodes = {span["span"]: Node(span) for span in spans}
    tops: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.span["parent"])
        (parent.children if parent else tops).append(node)
    for node in nodes.values():
        node.children = list(_folded(sorted(node.children, key=lambda each: int(each.span["start"]))))
    return sorted(tops, key=lambda each: int(each.span["start"]))


def _folded(children: list[Node]) -> Iterator[Node]:
    """Runs of equal leaves as one: the tenth INSERT into one table says nothing that the first did not."""
    at = 0
    while at < len(children):
        end = at + 1
        while end < len(children) and _alike(children[at], children[end]):
            end += 1
        if end - at > _RUN:
            first = children[at]
            first.repeats = end - at
            first.extra = sum(_length(each.span) for each in children[at + 1 : end])
            yield first
        else:
            yield from children[at:end]
        at = end


def _alike(one: Node, other: Node) -> bool:
    return (
        not one.children
        and not other.children
        and (one.who, one.span["name"], one.span["error"])
        == (other.who, other.span["name"], other.span["error"])
    )


def _length(span: Span) -> int:
    return int(span["end"]) - int(span["start"])


def lines(spans: list[Span]) -> Iterator[str]:
    """One trace, with a heading."""
    began, ended = min(int(s["start"]) for s in spans), max(int(s["end"]) for s in spans)
    moment = datetime.fromtimestamp(began / 1e9, UTC)
    services = sorted({span["service"] for span in spans})
    yield (
        f"Trace {spans[0]['trace']}  {moment:%Y-%m-%d %H:%M:%S} UTC  {(ended - began) / 1e6:.0f} ms"
        f"  {len(spans)} spans  {', '.join(services)}"
    )
    tops = roots(spans)
    rows = [
        row
        for index, node in enumerate(tops)
        for row in _branch(node, "", began, last=index == len(tops) - 1)
    ]
    width = max(len(name) for name, _, _ in rows)
    for name, after, took in rows:
        yield f"{name:<{width}} {after:>10.1f} {took:>9.1f} ms"


def _branch(node: Node, indent: str, began: int, *, last: bool) -> Iterator[tuple[str, float, float]]:
    """Each span of the branch: its line, when it began and how long it took, in ms."""
    span = node.span
    name = f"{indent}{'└─ ' if last else '├─ '}{node.who}  {span['name']}"
    status = span["attributes"].get("shop.status") or span["attributes"].get("http.response.status_code")
    name += f"  {status}" if status else ""
    name += f"  x {node.repeats}" if node.repeats else ""
    name += f"  ! {span['error']}" if span["error"] else ""
    yield name, (int(span["start"]) - began) / 1e6, (_length(span) + node.extra) / 1e6
    inner = indent + ("   " if last else "│  ")
    for index, child in enumerate(node.children):
        yield from _branch(child, inner, began, last=index == len(node.children) - 1)
