"""Tests: real PostgreSQL, no pool (a test's transaction must see one connection), cheap password hashes."""

from __future__ import annotations

from typing import Any


def adjust(settings: dict[str, Any]) -> dict[str, Any]:
    database = settings["DATABASES"]["default"]
    database["OPTIONS"].pop("pool", None)
    database["CONN_MAX_AGE"] = 0
    database["CONN_HEALTH_CHECKS"] = False
    settings["PASSWORD_HASHERS"] = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return settings
