"""What svc-accounts consumes, as others write it, and whom it lets in."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403

SAMPLES = [
    (
        "session.revoked.v1",
        {
            "user_id": "01938b8e-0000-7000-8000-0000000000c1",
            "session_id": "01938b8e-0000-7000-8000-0000000000c2",
            "expires_at": "2026-11-22T18:30:00Z",
        },
    ),
    (
        "session.revoked.v1",
        {
            "user_id": "01938b8e-0000-7000-8000-0000000000c1",
            "issued_before": "2026-11-22T18:20:00.250000+00:00",
            "expires_at": "2026-11-22T18:30:00Z",
        },
    ),
]
