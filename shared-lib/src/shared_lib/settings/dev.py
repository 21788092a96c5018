"""Development: as production, with what a laptop needs."""

from __future__ import annotations

from typing import Any


def adjust(settings: dict[str, Any]) -> dict[str, Any]:
    return settings
