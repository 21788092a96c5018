"""Create, confirm, cancel.

A confirmation takes three steps, and a process that dies at any point loses nothing:

1. A transaction claims the payment by an open attempt; a second confirmation finds it and is refused.
2. The provider is called, with no transaction open, under the attempt's id as idempotency key.
3. A transaction records the outcome (`outcomes`). No answer in time: the payment is `processing`, and what really
   happened comes by webhook or by the reconciling task, which also finds claims whose process died.

Confirm against cancel: the provider decides, since one intent is either paid or canceled there. Only a payment that the
provider was never asked to charge (no `provider_reference`) is canceled without asking.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from payments import providers
from payments.exceptions import CardDeclined, OrderHasPayment, PaymentIdReused, PaymentNotConfirmable
from payments.models import AttemptState, Payment, PaymentAttempt, PaymentStatus, PaymentTombstone
from payments.providers import Intent, Provider
from payments.services import outcomes
from shared_lib.exceptions import InvalidValue, NotFound, ServiceUnavailable
from shared_lib.failpoints import around
from shared_lib.money import Money
from shared_lib.observability import tracing

logger = structlog.get_logger(__name__)

MAX_AMOUNT = 99_999_999_999  # minor units; more than any provider takes at once

_CONFIRMABLE = (PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_ACTION)


def create_payment(
    *, payment_id: UUID, order_id: UUID, user_id: UUID, amount: Money, provider: str | None = None
) -> tuple[Payment, bool]:
    """The payment named `payment_id` and whether it is new. One that was canceled before it came is made canceled; one of
    nothing has succeeded at once, which the caller learns from the answer and from no event.

    Raises `PaymentIdReused` when the id names something else, `OrderHasPayment` while the order has another payment that
    is not canceled, `InvalidValue` for an amount or a provider that cannot be.
    """
    payment = Payment(
        id=payment_id,
        order_id=order_id,
        user_id=user_id,
        payment_amount=amount.amount,
        currency=amount.currency,
        provider=_check_request(amount, provider),
    )
    if payment.is_of_nothing:
        payment.status = PaymentStatus.SUCCEEDED
    try:
        with around("payments.create"), transaction.atomic():
            _lock_id(payment_id)
            if PaymentTombstone.objects.filter(pk=payment_id).exists():
                payment.status = PaymentStatus.CANCELED
            payment.save(force_insert=True)
    except IntegrityError as error:
        if existing := Payment.objects.filter(pk=payment_id).first():
            if (existing.order_id, existing.user_id, existing.amount) != (order_id, user_id, amount):
                raise PaymentIdReused from None
            return existing, False
        if "payment_one_live_per_order" in str(error):
            raise OrderHasPayment from None
        raise
    return payment, True


def confirm_payment(
    *,
    user_id: UUID,
    payment_id: UUID,
    payment_method: str,
    return_url: str | None = None,
    precondition: Callable[[Payment], None] = lambda _: None,
) -> Payment:
    """Has the provider charge and returns the payment, which may now be paid, processing or in need of an action.

    `precondition` is asked under the row's lock and may raise. Raises `CardDeclined`, `PaymentNotConfirmable`, `NotFound`,
    `InvalidValue` for a token that the provider does not know, `ServiceUnavailable` when it certainly was not asked.
    """
    payment, attempt = _claim(user_id, payment_id, payment_method, precondition)
    tracing.note(order_id=payment.order_id)
    provider = _provider_of(payment)
    try:
        _ensure_intent(provider, payment, attempt)
        with around("payments.confirm.provider"):
            intent = provider.confirm_intent(
                payment.provider_reference,
                attempt_id=attempt.id,
                payment_method=payment_method,
                return_url=return_url,
            )
    except providers.ProviderUnavailable as error:
        _release(attempt, "provider_unavailable")
        logger.warning("payment_provider_unavailable", provider=payment.provider, error=str(error))
        raise ServiceUnavailable("The payment provider cannot be reached.") from None
    except providers.ProviderRefused as error:
        _release(attempt, error.code)
        if error.param in ("payment_method", "return_url"):
            raise InvalidValue(error.param, error.message) from None
        logger.exception("payment_provider_refused", provider=payment.provider, payment_id=str(payment.id))
        raise ServiceUnavailable("The payment provider refused the payment.") from None
    except providers.OutcomeUnknown as error:
        logger.warning("payment_outcome_unknown", payment_id=str(payment.id), error=str(error))
        return _await_outcome(payment.id, attempt.id)
    payment = outcomes.record_outcome(payment_id=payment.id, intent=intent, attempt_id=attempt.id)
    if intent.status == "requires_payment_method" and payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD:
        raise CardDeclined(failure_code=intent.failure_code)
    return payment


def cancel_payment(*, payment_id: UUID) -> Payment:
    """Cancels the payment if nothing was or is being charged, and returns it: canceled, succeeded or processing.

    Raises `NotFound` for an id that has no payment, which from then on cannot get one that may be paid;
    `ServiceUnavailable` when the provider has to be asked and does not answer: ask again.
    """
    payment = _cancel_here(payment_id)
    if payment is None:
        raise NotFound
    if not payment.is_open:
        return payment
    try:
        with around("payments.cancel.provider"):
            intent = _provider_of(payment).cancel_intent(payment.provider_reference)
    except providers.ProviderError as error:
        logger.warning("payment_not_canceled", payment_id=str(payment.id), error=str(error))
        raise ServiceUnavailable("The payment provider does not answer.") from None
    return outcomes.record_outcome(payment_id=payment.id, intent=intent)


def _check_request(amount: Money, provider: str | None) -> str:
    if not 0 <= amount.amount <= MAX_AMOUNT:
        raise InvalidValue("amount.amount", f"Must be between 0 and {MAX_AMOUNT}.")
    if amount.currency != settings.SHOP_CURRENCY:
        raise InvalidValue("amount.currency", f"The shop's currency is {settings.SHOP_CURRENCY}.")
    offered = providers.offered_providers()
    name = provider or next(iter(offered), "")
    if name not in offered:
        raise InvalidValue("provider", "This shop does not offer that payment provider.")
    return name


def _lock_id(payment_id: UUID) -> None:
    """Serialises the creation and the cancellation of an id that has no row to lock yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(payment_id)])


def _cancel_here(payment_id: UUID) -> Payment | None:
    """Cancels what needs no provider; an open payment that is returned has to be canceled there."""
    with around("payments.cancel.here"), transaction.atomic():
        payments = Payment.objects.select_for_update().filter(pk=payment_id)
        payment = payments.first()
        if payment is None:
            _lock_id(payment_id)
            payment = payments.first()
        if payment is None:
            PaymentTombstone.objects.bulk_create(
                [PaymentTombstone(payment_id=payment_id)], ignore_conflicts=True
            )
        elif not payment.provider_reference and (
            payment.is_open or (payment.is_of_nothing and payment.status != PaymentStatus.CANCELED)
        ):
            outcomes.mark_canceled(payment)
        return payment


def _claim(
    user_id: UUID, payment_id: UUID, payment_method: str, precondition: Callable[[Payment], None]
) -> tuple[Payment, PaymentAttempt]:
    try:
        with around("payments.confirm.claim"), transaction.atomic():
            payment = Payment.objects.select_for_update().filter(pk=payment_id, user_id=user_id).first()
            if payment is None:
                raise NotFound
            precondition(payment)
            if payment.status not in _CONFIRMABLE:
                raise PaymentNotConfirmable(f"The payment is {payment.status}.")
            if payment.status == PaymentStatus.REQUIRES_ACTION:
                outcomes.supersede_action(payment)
            attempt = PaymentAttempt.objects.create(
                payment=payment,
                payment_method=payment_method,
                due_at=timezone.now() + _longest_confirmation(),
            )
            return payment, attempt
    except IntegrityError as error:
        if "attempt_one_open_per_payment" not in str(error):
            raise
        raise PaymentNotConfirmable("A confirmation of this payment is under way.") from None


def _longest_confirmation() -> timedelta:
    """After this a running attempt belongs to a dead process: two calls to the provider, each sent twice at most."""
    return timedelta(seconds=5 + 5 * settings.PAYMENT_PROVIDER_TIMEOUT_SECONDS)


def _provider_of(payment: Payment) -> Provider:
    try:
        return providers.get_provider(payment.provider)
    except LookupError:
        logger.error("payment_provider_not_configured", provider=payment.provider)
        raise ServiceUnavailable("The payment provider is not available.") from None


def _ensure_intent(provider: Provider, payment: Payment, attempt: PaymentAttempt) -> None:
    """The provider's intent exists, and we have stored its reference before anything can be charged to it.

    Creating one moves no money, so an unknown outcome is none: the same key gives the same intent next time.
    """
    if payment.provider_reference:
        return
    try:
        with around("payments.confirm.create_intent"):
            intent: Intent = provider.create_intent(
                payment_id=payment.id, order_id=payment.order_id, amount=payment.amount
            )
    except providers.OutcomeUnknown as error:
        raise providers.ProviderUnavailable(str(error)) from None
    outcomes.check_amount(payment, intent)
    unnamed = Payment.objects.filter(pk=payment.id, status__in=_CONFIRMABLE, provider_reference="")
    with around("payments.confirm.reference"):
        stored = unnamed.update(provider_reference=intent.reference, updated_at=timezone.now())
    if not stored:
        _release(attempt, "canceled")
        raise PaymentNotConfirmable("The payment was canceled.")
    payment.provider_reference = intent.reference


def _release(attempt: PaymentAttempt, failure_code: str) -> None:
    """The provider did nothing for this attempt. An action that it still waits for from an earlier one is kept open."""
    with around("payments.confirm.release"), transaction.atomic():
        payment = outcomes.lock_payment(attempt.payment_id)
        current = outcomes.open_attempt(payment)
        if current is None or current.id != attempt.id or current.state != AttemptState.RUNNING:
            return
        if payment.status == PaymentStatus.REQUIRES_ACTION:
            outcomes.keep_open(current, AttemptState.REQUIRES_ACTION)
        else:
            outcomes.close_attempt(current, AttemptState.FAILED, failure_code=failure_code)


def _await_outcome(payment_id: UUID, attempt_id: UUID) -> Payment:
    with around("payments.confirm.wait"), transaction.atomic():
        payment = outcomes.lock_payment(payment_id)
        current = outcomes.open_attempt(payment)
        if current and current.id == attempt_id:
            outcomes.mark_processing(payment, current)
        return payment
