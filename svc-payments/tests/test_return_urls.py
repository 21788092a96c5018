from __future__ import annotations

from typing import Any

import pytest

from payments.api.serializers import ConfirmSerializer


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.PAYMENT_RETURN_URLS = ["http://storefront.test", "https://shop.example:8443/checkout/"]


def is_allowed(url: Any) -> bool:
    return ConfirmSerializer(data={"payment_method": "pm_card_visa", "return_url": url}).is_valid()


@pytest.mark.parametrize(
    "url",
    [
        "http://storefront.test",
        "http://storefront.test/",
        "http://storefront.test/orders/1?payment=2#done",
        "http://storefront.test:80/orders",
        "http://STOREFRONT.test/orders",
        "https://shop.example:8443/checkout",
        "https://shop.example:8443/checkout/done",
        None,
    ],
)
def test_the_shops_own_addresses_are_allowed(url: str | None) -> None:
    assert is_allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/orders",
        "//storefront.test/",
        "storefront.test",
        "https://storefront.test/",
        "http://storefront.test:8080/",
        "http://storefront.test.evil.example/",
        "http://storefront.test@evil.example/",
        "http://user@storefront.test/",
        "http://evil.example/http://storefront.test/",
        "http://evil.example\\@storefront.test/",
        "http://storefront.test\\.evil.example/",
        "http://evil.example#@storefront.test/",
        "javascript:alert(1)//storefront.test",
        "http://storefront.test/\r\nX: y",
        "http://storefront.test/ x",
        "http://storefront.test/\u00e4",
        "http://storefront.test:port/",
        "http://[::1",
        "https://shop.example:8443/checkoutx",
        "https://shop.example:8443/checkout/../admin",
        "https://shop.example/checkout",
        "http://storefront.test/" + "x" * 2000,
        5,
    ],
)
def test_everything_else_is_refused(url: Any) -> None:
    assert not is_allowed(url)
