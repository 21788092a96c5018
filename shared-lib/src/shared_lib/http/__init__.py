"""Calls to other services."""

from shared_lib.http.client import ServiceClient

__all__ = ["ServiceClient"]
