"""What clients send and see."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from payments.models import Payment, PaymentStatus
from shared_lib.api.fields import MoneyField


class ActionSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=["redirect"])
    url = serializers.URLField(help_text="Send the buyer's browser here; it comes back to `return_url`.")


class PaymentSerializer(serializers.Serializer[Payment]):
    """Describes what `represent_payment` writes."""

    id = serializers.UUIDField()
    order_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=PaymentStatus.choices)
    amount = MoneyField()
    refunded = MoneyField()
    provider = serializers.CharField()
    action = ActionSerializer(allow_null=True)


class PaymentMethodSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    type = serializers.CharField()
    name = serializers.CharField()
    publishable_key = serializers.CharField(
        required=False, help_text="Of Stripe: what its script in a page needs to make tokens."
    )
    test_tokens = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Of the sandbox: what to send as `payment_method`.",
    )


class PaymentMethodsSerializer(serializers.Serializer[Any]):
    results = PaymentMethodSerializer(many=True)


class ConfirmSerializer(serializers.Serializer[Any]):
    payment_method = serializers.RegexField(
        r"^[A-Za-z0-9_-]{1,100}\Z", help_text="A token of the payment provider, such as `pm_card_visa`."
    )
    return_url = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=2000,
        help_text="Where a 3-D Secure page sends the buyer back to; one of the shop's own addresses.",
    )

    def validate_return_url(self, value: str | None) -> str | None:
        if value is None or _is_allowed(value):
            return value
        raise serializers.ValidationError(
            "This address is not one of the shop's own.", code="return_url_not_allowed"
        )


class WebhookTakenSerializer(serializers.Serializer[Any]):
    received = serializers.BooleanField()


def represent_payment(payment: Payment) -> dict[str, Any]:
    """A payment as its buyer sees it."""
    return {
        "id": payment.id,
        "order_id": payment.order_id,
        "status": payment.status,
        "amount": {"amount": payment.payment_amount, "currency": payment.currency},
        "refunded": {"amount": payment.refunded_amount, "currency": payment.currency},
        "provider": payment.provider,
        "action": {"type": "redirect", "url": payment.action_url} if payment.action_url else None,
    }


def _is_allowed(url: str) -> bool:
    """The same scheme, host and port as an address of PAYMENT_RETURN_URLS, at its path or below."""
    if not all("!" <= character <= "~" and character not in '\\"<>^`{|}' for character in url):
        return False
    try:
        given = urlsplit(url)
        if given.scheme not in ("http", "https") or given.username is not None or not given.hostname:
            return False
        return any(_is_below(given, urlsplit(allowed)) for allowed in settings.PAYMENT_RETURN_URLS)
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _is_below(given: Any, allowed: Any) -> bool:
    if (given.scheme, given.hostname, _port(given)) != (allowed.scheme, allowed.hostname, _port(allowed)):
        return False
    path = allowed.path.rstrip("/")
    return ".." not in given.path and (given.path == path or given.path.startswith(f"{path}/"))


def _port(parts: Any) -> int:
    return parts.port or {"http": 80, "https": 443}[parts.scheme]
