"""Why a sandbox does not start."""

from __future__ import annotations


class BadSettings(Exception):
    """The sandbox cannot or must not start; the message is one sentence for the person who started it."""
