"""Serializers that more than one service uses."""

from __future__ import annotations

from typing import Any

import msgspec
from rest_framework import serializers

from shared_lib.api.fields import CountryField
from shared_lib.contracts.address import Address


class AddressSerializer(serializers.Serializer[Any]):
    """A postal address. `to_address()` gives the contract type."""

    full_name = serializers.CharField(max_length=200)
    line1 = serializers.CharField(max_length=200)
    line2 = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    city = serializers.CharField(max_length=200)
    region = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    postal_code = serializers.CharField(max_length=20)
    country = CountryField()
    phone = serializers.RegexField(
        r"^\+?[0-9 ()./-]{3,30}$", required=False, allow_blank=True, allow_null=True
    )

    @staticmethod
    def to_address(data: dict[str, Any]) -> Address:
        """The validated data of this serializer as an `Address`; blank optional parts become None."""
        return msgspec.convert(
            {key: data.get(key) or None for key in Address.__struct_fields__ if data.get(key)}, Address
        )


class ProblemItemSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. Used in the API description only."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = ProblemItemSerializer(many=True, required=False)  # type: ignore[assignment]
