from __future__ import annotations

from django.db import models

from shared_lib.events.envelope import CloudEvent, decode


class Status(models.TextChoices):
    PROCESSED = "processed", "took effect"
    WAITING = "waiting", "failed or came too early, will be tried again"
    DEAD = "dead", "given up"
    DROPPED = "dropped", "given up and dropped by hand"


class InboxEvent(models.Model):
    """One event that reached this service, by its id: the primary key is what makes a duplicate have no effect.

    The row and the effect are written in one transaction. `body` (the envelope) is kept only while the event has not
    taken effect. `attempts` counts runs of the handler that failed, also those that ended the process; `deferrals` counts
    answers `TooEarly`.
    """

    event_id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(max_length=100)
    subject = models.CharField(max_length=200)
    status = models.CharField(max_length=10)
    received_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    deferrals = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(default="")
    body = models.TextField(default="")

    class Meta:
        db_table = "inbox_event"
        indexes = (
            models.Index(fields=("due_at",), name="inbox_due", condition=models.Q(status="waiting")),
            models.Index(fields=("received_at",), name="inbox_dead", condition=models.Q(status="dead")),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id} ({self.status})"

    @property
    def envelope(self) -> CloudEvent:
        return decode(self.body)
