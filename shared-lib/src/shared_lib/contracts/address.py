"""A postal address as the public contract writes it."""

from __future__ import annotations

from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    full_name: Text
    line1: Text
    city: Text
    postal_code: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    line2: str | None = None
    region: str | None = None
    phone: str | None = None
