from __future__ import annotations

from django.db import models

from shared_lib.contracts.events import Event
from shared_lib.events.envelope import CloudEvent, decode


class OutboxEvent(models.Model):
    """One published event. `body` is the envelope exactly as it goes over the wire."""

    id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(max_length=100)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "outbox_event"
        indexes = (
            models.Index(
                fields=("id",), name="outbox_unpublished", condition=models.Q(published_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def envelope(self) -> CloudEvent:
        return decode(self.body)

    @property
    def event(self) -> Event:
        return self.envelope.event()
