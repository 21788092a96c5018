"""The table of idempotency keys."""

from __future__ import annotations

from django.db import models


class IdempotencyKey(models.Model):
    """One key of one user on one route. The unique constraint decides which of several requests is the first.

    `response_status` is null until there is a final answer. `lease_expires_at` is set while a process works on it outside
    of a single transaction; once it has passed, a retry may take the work over. `resource_id` names what is being made.
    """

    user_id = models.CharField(max_length=64)
    route = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    request_hash = models.BinaryField(max_length=32)
    resource_id = models.UUIDField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.BinaryField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "route", "key"], name="idempotency_key_unique")
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
