"""Invoices and credit notes, read back as a reader of PDF sees them."""

from __future__ import annotations

from dataclasses import asdict
from io import BytesIO
from string import Formatter
from typing import Any

import pytest
from pypdf import PdfReader

from orders import invoice_texts, selectors, services
from orders import pdf as pdf_module
from orders.models import Order, OrderLine, Refund
from shared_lib.auth.users import TokenUser
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.conftest import Buyer
from tests.messages import payment_refunded
from tests.shop import ADDRESS, Shop


def _text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def _get(api: Any, buyer: Buyer, path: str = "invoice") -> Any:
    return api.as_user(buyer.id).get(f"/api/v1/orders/{buyer.order().id}/{path}")


def test_an_invoice_has_what_was_bought_and_what_it_cost(paid: Buyer, api: Any):
    answer = _get(api, paid)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Cache-Control"] == "private, no-store"
    number = paid.order().number
    assert answer.headers["Content-Disposition"] == f'inline; filename="invoice-{number}.pdf"'
    text = _text(answer.content)
    for part in ("Invoice", f"INV-{number}", "Ada Lovelace", "London", "39.98 USD", "3.99 USD", "43.97 USD"):
        assert part in text, part
    assert "of which tax" in text


@pytest.mark.parametrize("asked", [None, "", "en-GB", "de-AT,de;q=0.9", "zh-CN", "fr"])
@pytest.mark.parametrize("ordered", ["", "de", "zh-hans"])
def test_an_invoice_speaks_the_language_of_its_buyer(paid: Buyer, api: Any, asked: str | None, ordered: str):
    """What the buyer asks for; without that, and for staff, what was spoken when it was ordered."""
    Order.objects.update(language=ordered)
    titles = {"en": "Invoice", "de": "Rechnung", "zh": "发票"}
    spoken = (ordered or "en")[:2]
    headers = {} if asked is None else {"HTTP_ACCEPT_LANGUAGE": asked}
    path = f"/api/v1/orders/{paid.order().id}/invoice"

    own = _text(api.as_user(paid.id).get(path, **headers).content)
    staff = _text(api.as_user(roles=("staff",)).get(path, **headers).content)

    wanted = spoken if asked is None else asked[:2] if asked[:2] in titles else "en"
    assert titles[wanted] in own
    assert titles[spoken] in staff


def test_the_language_of_a_checkout_is_kept(buyer: Buyer, api: Any):
    body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
    headers = {"HTTP_IDEMPOTENCY_KEY": "k", "HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9"}
    assert api.as_user(buyer.id).post("/api/v1/orders", body, **headers).status_code == 201
    assert buyer.order().language == "zh-hans"


@pytest.mark.parametrize("language", ["en", "de", "zh-hans"])
def test_every_word_is_drawn_by_a_font_that_is_in_the_file(paid: Buyer, api: Any, language: str):
    Order.objects.update(language=language)
    OrderLine.objects.update(name="紫砂茶壶、家用。臺灣烏龍茶 まっちゃ Teekännchen")
    path = f"/api/v1/orders/{paid.order().id}/invoice"
    pdf = PdfReader(BytesIO(api.as_user(roles=("staff",)).get(path).content))

    resources: Any = pdf.pages[0]["/Resources"]
    fonts = [font.get_object() for font in resources["/Font"].values()]
    drawn = {font["/BaseFont"].partition("+")[2] for font in fonts if "/FontDescriptor" in font}
    assert drawn == {"NotoSans-Regular", "NotoSansSC-Regular"}
    assert all("/FontFile2" in font["/FontDescriptor"] for font in fonts if "/FontDescriptor" in font)
    assert not [font for font in fonts if "/DescendantFonts" in font]
    assert str(pdf.root_object["/Lang"]) == language[:2]


def test_every_language_has_every_word_and_characters_that_are_embedded():
    for words in (invoice_texts.ENGLISH, invoice_texts.GERMAN, invoice_texts.CHINESE):
        for name, text in asdict(words).items():
            assert text.strip(), name
            fields = {field for _, field, _, _ in Formatter().parse(text) if field}
            assert fields == {"order": {"number", "date"}, "shipping": {"name"}}.get(name, set())
            assert all(pdf_module.font_of(character) != "STSong-Light" for character in text), text


def test_a_long_name_without_a_space_stays_in_its_column(paid: Buyer, api: Any):
    OrderLine.objects.update(name="很长的商品名称" * 30)
    pdf = PdfReader(BytesIO(_get(api, paid).content))
    texts: list[tuple[float, str]] = []

    def visit(text: str, _: Any, at: list[float], *__: Any) -> None:
        texts.append((at[4], text))

    pdf.pages[0].extract_text(visitor_text=visit)
    assert max(text.count("长") for _, text in texts) < 8


def test_every_script_that_the_shop_sells_to_can_be_read(paid: Buyer, api: Any):
    order = paid.order()
    Order.objects.filter(pk=order.pk).update(
        shipping_address={
            **order.shipping_address,
            "full_name": "Jürgen Weiß <b>& Söhne</b>",
            "city": "北京市",
            "line2": "Ὀδυσσεύς Ёлкин",
        }
    )
    OrderLine.objects.filter(order=order).update(name="紫砂茶壶 Teekännchen “1001”")

    text = _text(_get(api, paid).content)

    for part in ("Jürgen Weiß <b>& Söhne</b>", "北京市", "Ὀδυσσεύς Ёлкин", "紫砂茶壶", "Teekännchen “1001”"):
        assert part in text, part


def test_characters_that_no_font_has_do_no_harm(paid: Buyer, api: Any):
    OrderLine.objects.update(name="bell \x07 form \x0c feed \u202e turned \ud7ff 😀 שלום สวัสดี end")

    text = _text(_get(api, paid).content)

    assert "bell" in text
    assert "end" in text


def test_the_same_order_gives_the_same_bytes(paid: Buyer, api: Any):
    assert _get(api, paid).content == _get(api, paid).content


def test_a_hundred_lines_go_on_as_many_pages_as_they_need(paid: Buyer):
    line = OrderLine.objects.get()
    for position in range(1, 100):
        line.pk, line.position, line.name = uuid7(), position, f"Thing number {position} " * 5
        line.save(force_insert=True)
    user = TokenUser({"sub": str(paid.id), "sid": str(uuid7()), "roles": [], "iat": 0})

    _, pdf = selectors.get_invoice(paid.order().id, user=user)

    assert len(PdfReader(BytesIO(pdf)).pages) > 2
    assert "Thing number 99" in _text(pdf)


def test_there_is_no_invoice_before_the_order_is_paid_and_none_for_strangers(
    buyer: Buyer, paid: Buyer, api: Any, shop: Shop
):
    path = f"/api/v1/orders/{paid.order().id}/invoice"
    assert api.as_user().get(path).status_code == 404
    assert api.as_user(roles=("staff",)).get(path).status_code == 200

    shop.fill_cart(paid.id, (paid.variant, 1))
    unpaid = paid.place("key-2")["id"]
    refused = api.as_user(paid.id).get(f"/api/v1/orders/{unpaid}/invoice")
    assert (refused.status_code, refused.json()["code"]) == (409, "invoice_not_available")
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_an_order_that_was_cancelled_after_it_was_paid_keeps_its_invoice(paid: Buyer, api: Any):
    services.cancel_order(order_id=paid.order().id, who=paid.id)
    assert _get(api, paid).status_code == 200


@pytest.mark.parametrize("by_line", [True, False])
def test_a_credit_note_has_what_was_paid_back_once_it_was(
    paid: Buyer, shop: Shop, api: Any, deliver: Any, by_line: bool
):
    values: dict[str, Any] = {"lines": {paid.variant: 1}} if by_line else {"amount": Money(1999, "USD")}
    refund = services.refund_order(order_id=paid.order().id, who=uuid7(), **values)
    path = f"credit-notes/{refund.id}"
    assert _get(api, paid, path).status_code == 404

    payment = shop.move_payment(refund.payment_id, "succeeded")
    deliver(payment_refunded(payment, refund_id=refund.id, amount=1999, total=1999))

    text = _text(_get(api, paid, path).content)
    for part in ("Credit note", "19.99 USD", "3.33 USD", "SKU-" if by_line else "Refund"):
        assert part in text, part
    assert api.as_user().get(f"/api/v1/orders/{paid.order().id}/{path}").status_code == 404
    assert Refund.objects.count() == 1
