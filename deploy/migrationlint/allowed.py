"""`allowed.toml`: the migrations that may break a rule, each with its rules and a reason."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("allowed.toml")


class BadList(ValueError):
    """The file is not what it should be; the text says where."""


@dataclass(frozen=True)
class Permit:
    rules: frozenset[str]
    reason: str


def permits(file: Path = FILE) -> dict[str, Permit]:
    """By migration, as `orders.0003_coupons`. Raises `BadList`."""
    found = {}
    for name, entry in tomllib.loads(file.read_text()).items():
        if set(entry) != {"rules", "reason"} or not entry["rules"] or not entry["reason"].strip():
            raise BadList(f"{file.name}: {name} needs rules and a reason.")
        found[name] = Permit(frozenset(entry["rules"]), entry["reason"])
    return found
