"""Base classes of all tables: UUIDv7 keys, timestamps, versions, soft delete."""

from shared_lib.ids import uuid7
from shared_lib.models.base import BaseModel, VersionedModel
from shared_lib.models.origin import OriginModel
from shared_lib.models.soft_delete import SoftDeleteManager, SoftDeleteModel, SoftDeleteQuerySet

__all__ = [
    "BaseModel",
    "OriginModel",
    "SoftDeleteManager",
    "SoftDeleteModel",
    "SoftDeleteQuerySet",
    "VersionedModel",
    "uuid7",
]
