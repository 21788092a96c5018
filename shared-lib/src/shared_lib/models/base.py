from __future__ import annotations

from django.db import models

from shared_lib.ids import uuid7


class BaseModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class VersionedModel(BaseModel):
    """A row whose `version` grows by one with each change: it names the state in events and in `ETag`."""

    version = models.PositiveBigIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    def bump(self) -> int:
        """Raises the version in memory. The caller holds the row's lock and saves."""
        self.version += 1
        return self.version
