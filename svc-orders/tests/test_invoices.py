"""Invoices and credit notes, read back as a reader of PDF sees them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from orders import selectors, services
from orders.models import Order, OrderLine, Refund
from shared_lib.auth.users import TokenUser
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.conftest import Buyer
from tests.messages import payment_refunded
from tests.shop import Shop


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
