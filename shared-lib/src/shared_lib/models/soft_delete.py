"""Rows that are hidden instead of removed."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.utils import timezone


class SoftDeleteQuerySet(models.QuerySet[Any]):
    def alive(self) -> Self:
        return self.filter(deleted_at__isnull=True)

    def soft_delete(self) -> int:
        """Hides all rows of the query set that are not hidden yet; says how many."""
        return self.alive().update(deleted_at=timezone.now())


class SoftDeleteManager(models.Manager.from_queryset(SoftDeleteQuerySet)):  # type: ignore[misc]
    """Sees only what is not deleted."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class SoftDeleteModel(models.Model):
    """`objects` leaves deleted rows out, `all_objects` has them. Foreign keys keep pointing at deleted rows."""

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SoftDeleteManager()
    all_objects = models.Manager.from_queryset(SoftDeleteQuerySet)()

    class Meta:
        abstract = True
        base_manager_name = "all_objects"

    def soft_delete(self) -> None:
        """Hides the row. Deleting twice keeps the first time."""
        if self.deleted_at is None:
            self.deleted_at = timezone.now()
            self.save(update_fields=["deleted_at"])
