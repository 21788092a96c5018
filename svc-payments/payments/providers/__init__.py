"""Payment providers, by the names in PAYMENT_PROVIDERS."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.conf import settings

from payments.providers.base import (
    BadWebhook,
    Intent,
    OutcomeUnknown,
    Page,
    Provider,
    ProviderDispute,
    ProviderError,
    ProviderRefund,
    ProviderRefused,
    ProviderUnavailable,
    UnreadableEvent,
    Webhook,
)
from payments.providers.sandbox import SandboxProvider

__all__ = [
    "BadWebhook",
    "Intent",
    "OutcomeUnknown",
    "Page",
    "Provider",
    "ProviderDispute",
    "ProviderError",
    "ProviderRefund",
    "ProviderRefused",
    "ProviderUnavailable",
    "UnreadableEvent",
    "Webhook",
    "get_provider",
    "offered_providers",
]


def _stripe() -> Provider:
    from payments.providers.stripe import (
        StripeProvider,  # its SDK costs memory in every process that imports it
    )

    return StripeProvider.from_settings()


_PROVIDERS: dict[str, Callable[[], Provider]] = {
    "sandbox": SandboxProvider.from_settings,
    "stripe": _stripe,
}


def offered_providers() -> list[str]:
    """The names that this shop offers; the first is the default."""
    return list(settings.PAYMENT_PROVIDERS)


@cache
def get_provider(name: str) -> Provider:
    """The provider of that name, one object a process. Raises `LookupError` when the shop does not offer it."""
    if name not in offered_providers():
        raise LookupError(name)
    return _PROVIDERS[name]()
