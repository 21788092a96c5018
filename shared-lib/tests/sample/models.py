"""Tables of the sample service."""

from django.db import models

from shared_lib.models import BaseModel, SoftDeleteModel, VersionedModel


class Note(VersionedModel):
    text = models.CharField(max_length=50)


class Draft(SoftDeleteModel, BaseModel):
    text = models.CharField(max_length=50)
