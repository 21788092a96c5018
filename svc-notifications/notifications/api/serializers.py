"""What comes in is validated here; what goes out is shown here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from notifications.kinds import WAYS
from notifications.models import Notification
from notifications.rendering import render_entry
from notifications.texts import find_language

KINDS = [(kind.value, kind.value) for kind, ways in WAYS.items() if ways.in_app]


class InboxQuerySerializer(serializers.Serializer[Any]):
    unread = serializers.BooleanField(default=False, help_text="Only what was not read yet.")


class NotificationSerializer(serializers.Serializer[Notification]):
    """`title` and `body` are written in the language of the request (`Accept-Language`)."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    title = serializers.CharField()
    body = serializers.CharField()
    data = serializers.JSONField(  # type: ignore[assignment]
        help_text="What it is about, such as `order_id` and `number`; depends on the kind."
    )
    read = serializers.BooleanField()
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Notification) -> dict[str, Any]:
        language = find_language(self.context["language"])
        title, body = render_entry(kind=instance.kind, data=instance.data, language=language)
        return {
            "id": instance.pk,
            "kind": instance.kind,
            "title": title,
            "body": body,
            "data": instance.data,
            "read": instance.read_at is not None,
            "created_at": instance.created_at,
        }
