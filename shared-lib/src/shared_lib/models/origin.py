from __future__ import annotations

from django.db import models

from shared_lib.observability import context


class OriginModel(models.Model):
    """A row that remembers which request it came from, for the work that is done on it later and elsewhere."""

    request_id = models.CharField(max_length=128, default=context.request_id, db_default="", editable=False)
    traceparent = models.CharField(
        max_length=55, blank=True, default=context.traceparent, db_default="", editable=False
    )

    class Meta:
        abstract = True
