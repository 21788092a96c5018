"""The pages that a buyer sees, in a real browser: to the payment provider's 3-D Secure page and back to the storefront.

The storefront is not part of the shop: a server of this test stands for it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import expect as see
from pytest_httpserver import HTTPServer
from storefront import Json, Storefront, eventually, expect

RETURN_PATH = "/checkout/return"


@pytest.fixture(scope="module")
def storefront_url(stack_env: dict[str, str]) -> str:
    return stack_env["STOREFRONT_URL"]


@pytest.fixture(scope="module")
def pages() -> Iterator[HTTPServer]:
    """Every path of the storefront is a page with its name."""
    with HTTPServer(host="127.0.0.1") as server:
        page = "<!doctype html><title>Storefront</title><h1>Storefront</h1>"
        server.expect_request(re.compile(".*")).respond_with_data(page, content_type="text/html")
        yield server


@pytest.fixture(scope="module")
def browser(storefront_url: str, pages: HTTPServer) -> Iterator[Browser]:
    """The distribution's own, which `make test` installs (deploy/native/packages.txt).

    It finds the storefront at our server, whatever may listen at the storefront's real address.
    """
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert program, "there is no chromium-headless-shell: `make test` installs it"
    rule = f"MAP {urlsplit(storefront_url).netloc} 127.0.0.1:{pages.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[f"--host-resolver-rules={rule}"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new window; nothing in it may fail."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def order(buyer: Storefront) -> Json:
    buyer.add_to_cart(buyer.find_variant()["id"])
    return buyer.place_order()


def challenge(buyer: Storefront, order: Json, storefront_url: str) -> str:
    """Where the buyer's browser is sent when the card asks for 3-D Secure."""
    return_url = f"{storefront_url}{RETURN_PATH}?order={order['id']}"
    payment = expect(buyer.confirm(order, "pm_card_authenticationRequired", return_url=return_url), 200)
    assert (payment["status"], payment["action"]["type"]) == ("requires_action", "redirect")
    return str(payment["action"]["url"])


def came_back(page: Page, storefront_url: str) -> dict[str, str]:
    """What the provider told the storefront in the address."""
    page.wait_for_url(f"{storefront_url}{RETURN_PATH}?**")
    see(page.get_by_role("heading")).to_have_text("Storefront")
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_buyer_authorises_on_the_3d_secure_page_and_comes_back(
    buyer: Storefront, order: Json, page: Page, storefront_url: str
) -> None:
    url = challenge(buyer, order, storefront_url)
    page.goto(url)
    see(page.get_by_role("heading")).to_contain_text("3-D Secure")
    amount = order["total"]["amount"]
    see(page.locator(".amount")).to_have_text(f"{amount // 100}.{amount % 100:02d} USD")
    page.get_by_role("button", name="Authorise").click()
    told = came_back(page, storefront_url)
    assert (told["order"], told["redirect_status"]) == (order["id"], "succeeded")
    assert buyer.wait_for_order(order["id"], "confirmed")["payment_status"] == "paid"

    page.goto(url)
    see(page.get_by_role("heading")).to_contain_text("nothing left to decide")
    page.get_by_role("link", name="Back to the shop").click()
    came_back(page, storefront_url)


def test_a_buyer_who_fails_comes_back_too_and_pays_with_another_card(
    buyer: Storefront, order: Json, page: Page, storefront_url: str
) -> None:
    page.goto(challenge(buyer, order, storefront_url))
    page.get_by_role("button", name="Fail").click()
    assert came_back(page, storefront_url)["redirect_status"] == "failed"
    eventually(
        lambda: expect(buyer.get(f"/payments/{order['payment']['id']}"), 200)["status"],
        lambda status: status == "requires_payment_method",
    )
    assert buyer.order(order["id"])["status"] == "awaiting_payment"
    assert expect(buyer.confirm(order), 200)["status"] == "succeeded"
    buyer.wait_for_order(order["id"], "confirmed")
