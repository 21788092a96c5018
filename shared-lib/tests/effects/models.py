from __future__ import annotations

from django.db import models

from shared_lib.jobs.rows import DueModel


class Effect(models.Model):
    """How often an event changed something; more than once for one event is a mistake."""

    event_key = models.CharField(max_length=100, db_index=True)
    made_at = models.DateTimeField(auto_now_add=True)


class Counter(models.Model):
    """A row that handlers lock."""

    name = models.CharField(max_length=50, primary_key=True)
    value = models.IntegerField(default=0)


class Child(models.Model):
    """Its foreign key is checked at commit, outside of any savepoint."""

    counter = models.ForeignKey(Counter, on_delete=models.CASCADE)


class Chore(DueModel):
    name = models.CharField(max_length=50)
