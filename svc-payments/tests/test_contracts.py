"""svc-payments consumes no event; whom it lets in."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403
