"""The inbox of each user, and the e-mails that are to be sent.

No name and no address is stored here: who sends a mail asks svc-accounts for them at that moment.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from shared_lib.jobs.rows import DueModel
from shared_lib.models import BaseModel, uuid7


class Recipient(models.Model):
    """One row for each user that anything was ever told. Every write about a user locks it first.

    Of an erased user nothing but this row is left, so that a late event cannot bring anything back.
    """

    user_id = models.UUIDField(primary_key=True)
    erased_at = models.DateTimeField(null=True)


class Notification(models.Model):
    """One entry of a user's inbox. `title` and `body` are made from `kind` and `data` in the reader's language."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.UUIDField(editable=False)
    event_id = models.UUIDField(editable=False)
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_id", "kind"], name="notification_once_for_each_event"),
        ]
        indexes = [
            models.Index("user_id", F("created_at").desc(), F("id").desc(), name="notification_newest_first"),
            models.Index(
                "user_id",
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(read_at__isnull=True),
                name="notification_unread",
            ),
        ]


class Email(BaseModel, DueModel):
    """One mail that is to reach a user. Its id is also its Message-ID, the same at every attempt.

    While `due_at` is set it is still to be sent. Afterwards `sent_at` says that the mail server took it, `gave_up_at` that
    it never will; with neither the mail was not needed any more. `last_error` says why.
    """

    user_id = models.UUIDField(editable=False)
    event_id = models.UUIDField(editable=False)
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_id", "kind"], name="email_once_for_each_event"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="email_due"),
            models.Index(fields=["user_id"], name="email_user"),
        ]
