"""Documents for the buyer's books."""

from __future__ import annotations

from uuid import UUID

from orders import pdf
from orders.exceptions import InvoiceNotAvailable
from orders.invoice_texts import Words, words_in
from orders.models import Order, OrderStatus, RefundStatus
from orders.selectors.returns import WHOLE_REFUNDS
from shared_lib.auth.users import TokenUser
from shared_lib.exceptions import NotFound


def get_invoice(order_id: UUID, *, user: TokenUser, language: str | None = None) -> tuple[str, bytes]:
    """File name and PDF of an order of the user's own, of any for staff. Raises `NotFound`, `InvoiceNotAvailable`.

    `language` is what the user asks for; a buyer gets it. Without it, and for staff, it is the one of the order.
    """
    order = _order(order_id, user)
    confirmed = order.history.filter(status=OrderStatus.CONFIRMED, reason="").first()
    if confirmed is None:
        raise InvoiceNotAvailable
    lines = order.lines.order_by("position")
    words = _words(order, user, language)
    return f"invoice-{order.number}.pdf", pdf.invoice(order, lines, at=confirmed.at, words=words)


def get_credit_note(
    order_id: UUID, refund_id: UUID, *, user: TokenUser, language: str | None = None
) -> tuple[str, bytes]:
    """File name and PDF of a refund whose money has moved, in the language of `get_invoice`. Raises `NotFound`."""
    order = _order(order_id, user)
    refund = WHOLE_REFUNDS.filter(order=order, pk=refund_id, status=RefundStatus.SUCCEEDED).first()
    if refund is None:
        raise NotFound("There is no such credit note.")
    words = _words(order, user, language)
    return f"credit-note-{order.number}.pdf", pdf.credit_note(
        order, refund, at=refund.updated_at, words=words
    )


def _words(order: Order, user: TokenUser, language: str | None) -> Words:
    return words_in((language if order.user_id == user.id else None) or order.language)


def _order(order_id: UUID, user: TokenUser) -> Order:
    orders = Order.objects.placed() if user.is_staff else Order.objects.placed().of(user.id)
    order = orders.filter(pk=order_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    return order
