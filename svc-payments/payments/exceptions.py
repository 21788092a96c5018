"""Domain errors of svc-payments."""

from __future__ import annotations

from shared_lib.exceptions import DomainError


class CardDeclined(DomainError):
    """402. `failure_code` says why; the payment may be confirmed again with another method."""

    status = 402
    code = "card_declined"
    title = "The payment was declined"


class PaymentNotConfirmable(DomainError):
    """409. The payment is final, or a confirmation of it is under way."""

    code = "payment_not_confirmable"
    title = "This payment cannot be confirmed now"


class CardNumberRefused(DomainError):
    """422. The body holds what looks like a card number. It is not repeated anywhere."""

    status = 422
    code = "card_number_refused"
    title = "Card numbers are not accepted here"

    def __init__(self) -> None:
        super().__init__("Send a token of the payment provider, never a card number.")


class WebhookRefused(DomainError):
    """400. The signature is missing or wrong, the time stamp too far from now, or the body is not an event."""

    status = 400
    code = "webhook_refused"
    title = "This webhook is not accepted"


class PaymentIdReused(DomainError):
    """409. The id names another payment already."""

    code = "payment_id_reused"
    title = "This id names another payment"


class OrderHasPayment(DomainError):
    """409. The order has a payment that is not canceled; two could both be paid."""

    code = "order_has_payment"
    title = "The order has a payment already"


class PaymentNotRefundable(DomainError):
    """409. Nothing was paid."""

    code = "payment_not_refundable"
    title = "This payment cannot be refunded"


class RefundExceedsPayment(DomainError):
    """409. `refundable` is what is left."""

    code = "refund_exceeds_payment"
    title = "The refund is larger than what is left of the payment"


class RefundIdReused(DomainError):
    """409. The id names another refund already."""

    code = "refund_id_reused"
    title = "This id names another refund"


class IllegalTransition(RuntimeError):
    """A state that cannot follow: a mistake in the calling code, never a client's."""


class ToldTooEarly(RuntimeError):
    """The provider tells of something that follows what it has not told us yet: to be tried again later."""


class ProviderMismatch(RuntimeError):
    """The provider's amount or currency is not ours: nothing is booked, somebody has to look."""
