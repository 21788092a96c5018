"""What a process does that dies at a failpoint: `python -m effects.crash request|lease|job KEY`."""

from __future__ import annotations

import sys
from datetime import timedelta
from uuid import UUID

import django

USER = UUID("01938b8e-0000-7000-8000-0000000000c1")
HASH = b"h" * 32


def request(key: str) -> str:
    """A POST whose whole effect is one transaction."""
    from rest_framework.test import APIRequestFactory, force_authenticate
    from sample.api import NotesView

    from shared_lib.auth.users import TokenUser

    post = APIRequestFactory().post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": key})
    force_authenticate(post, TokenUser({"sub": str(USER), "sid": str(USER), "roles": ["customer"], "iat": 0}))
    response = NotesView.as_view()(post)
    return f"{response.status_code} {response.headers.get('Idempotent-Replayed', 'false')}"


def lease(key: str) -> str:
    """Work outside of a single transaction: the key is leased for a second."""
    from django.db import transaction
    from effects.models import Effect

    from shared_lib.api.idempotency import IdempotencyInProgress, Replay, claim, complete
    from shared_lib.ids import uuid7

    try:
        claimed = claim(
            user_id=USER,
            route="crash",
            key=key,
            request_hash=HASH,
            lease=timedelta(seconds=1),
            resource_id=uuid7(),
        )
    except IdempotencyInProgress:
        return "in progress"
    if isinstance(claimed, Replay):
        return f"replayed {claimed.body.decode()}"
    with transaction.atomic():
        Effect.objects.create(event_key=str(claimed.resource_id))
        complete(claimed, status=201, body=str(claimed.resource_id).encode())
    return f"{'resumed' if claimed.resumed else 'made'} {claimed.resource_id}"


def job(key: str) -> str:
    """A row that guarantees the work, and the hint after its commit."""
    from django.db import transaction
    from effects.models import Chore
    from effects.tasks import note

    from shared_lib.jobs import enqueue

    with transaction.atomic():
        Chore.objects.create(name=key)
        enqueue(note, key)
    return "done"


if __name__ == "__main__":
    django.setup()
    print({"request": request, "lease": lease, "job": job}[sys.argv[1]](sys.argv[2]))
