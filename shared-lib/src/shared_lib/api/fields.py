"""Serializer fields of the public contract."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from shared_lib.money import Money

_MAX_AMOUNT = 2**53 - 1  # the largest integer that every JSON client reads exactly


@extend_schema_field(
    {
        "type": "object",
        "required": ["amount", "currency"],
        "properties": {
            "amount": {"type": "integer", "description": "Minor units", "example": 1999},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "example": "USD"},
        },
    }
)
class MoneyField(serializers.Field):  # type: ignore[type-arg]
    """`{"amount": 1999, "currency": "USD"}` in and out, as `Money`. Only the shop's currency is taken."""

    default_error_messages = {
        "invalid": "Must be an object with an integer amount in minor units and a currency.",
        "currency": "The shop's currency is {currency}.",
    }

    def to_internal_value(self, data: Any) -> Money:
        amount = data.get("amount") if isinstance(data, dict) else None
        currency = data.get("currency") if isinstance(data, dict) else None
        if (
            isinstance(amount, bool)
            or not isinstance(amount, int)
            or abs(amount) > _MAX_AMOUNT
            or not isinstance(currency, str)
        ):
            self.fail("invalid")
        if currency != settings.SHOP_CURRENCY:
            self.fail("currency", currency=settings.SHOP_CURRENCY)
        return Money(amount, currency)

    def to_representation(self, value: Money) -> dict[str, Any]:
        return {"amount": value.amount, "currency": value.currency}


class CountryField(serializers.RegexField):
    """ISO 3166-1 alpha-2, in capitals."""

    default_error_messages = {
        "invalid": "Must be a country code of two capital letters (ISO 3166-1 alpha-2)."
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(re.compile(r"^[A-Z]{2}\Z"), **kwargs)
