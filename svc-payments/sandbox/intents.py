"""The life of a payment intent and of its refunds.

    requires_payment_method --confirm--> succeeded, processing, requires_action; declined: as it was
    requires_action         --3-D Secure page--> succeeded, requires_payment_method; --confirm--> as above
    processing              --by itself, after a while--> succeeded
    requires_payment_method, requires_action --cancel--> canceled

`succeeded` and `canceled` are final. A buyer's bank may take the money of a paid one back by a dispute, which evidence
wins or loses. Every change is a conditional UPDATE on the status it starts from, made
and its webhook queued in the caller's transaction.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from sandbox.faults import FaultBook
from sandbox.store import Store, new_id

PAYS = "pm_card_visa"
DECLINED = "pm_card_chargeDeclined"
NEEDS_AUTHENTICATION = "pm_card_authenticationRequired"
DELAYED = "pm_card_delayed"
PENDING_REFUND = "pm_card_pendingRefund"
FAILING_REFUND = "pm_card_refundFail"
DISPUTED = "pm_card_createDispute"

_OPEN = ("requires_payment_method", "requires_action")
_METHODS = frozenset(
    {PAYS, DECLINED, NEEDS_AUTHENTICATION, DELAYED, PENDING_REFUND, FAILING_REFUND, DISPUTED}
)
_LISTED = {"payment_intents": "intents", "refunds": "refunds", "disputes": "disputes"}


class ApiError(Exception):
    """Becomes the error document of the API. `kind` is its `type`, `extra` further members of `error`."""

    def __init__(self, status: int, kind: str, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error": {"type": kind, "code": code, "message": message, **extra}}


class Intents:
    """The seconds are those of `Settings`. A method that changes something needs an open transaction."""

    def __init__(
        self,
        store: Store,
        faults: FaultBook,
        *,
        public_url: str,
        settle_seconds: float,
        webhook_seconds: float,
    ) -> None:
        self._store = store
        self._faults = faults
        self._public_url = public_url
        self._settle_seconds = settle_seconds
        self._webhook_seconds = webhook_seconds

    def create(self, *, amount: int, currency: str, metadata: dict[str, str]) -> dict[str, Any]:
        intent_id = new_id("pi")
        self._store.insert(
            "intents",
            id=intent_id,
            amount=amount,
            currency=currency,
            status="requires_payment_method",
            metadata=orjson.dumps(metadata).decode(),
            created=time.time(),
        )
        return self.get(intent_id)

    def get(self, intent_id: str) -> dict[str, Any]:
        row = self._store.one("SELECT * FROM intents WHERE id = ?", intent_id)
        if row is None:
            raise ApiError(
                404, "invalid_request_error", "resource_missing", f"No such payment intent: {intent_id}"
            )
        next_action = None
        if row["status"] == "requires_action":
            url = f"{self._public_url}/3ds/{row['challenge']}"
            next_action = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": url, "return_url": row["return_url"]},
            }
        error = row["last_payment_error"]
        return {
            "id": row["id"],
            "object": "payment_intent",
            "amount": row["amount"],
            "amount_received": row["amount"] if row["status"] == "succeeded" else 0,
            "amount_refunded": row["amount_refunded"],
            "currency": row["currency"],
            "status": row["status"],
            "payment_method": row["payment_method"],
            "next_action": next_action,
            "last_payment_error": orjson.loads(error) if error else None,
            "metadata": orjson.loads(row["metadata"]),
            "created": int(row["created"]),
        }

    def confirm(self, intent_id: str, *, payment_method: str, return_url: str | None) -> dict[str, Any]:
        """Raises `ApiError` 400 for an unknown token, 409 in the wrong state. A decline is a result."""
        if payment_method not in _METHODS:
            raise ApiError(
                400,
                "invalid_request_error",
                "resource_missing",
                "No such payment method",
                param="payment_method",
            )
        if payment_method == DECLINED:
            return self._refuse(intent_id, _OPEN, "card_declined", "Your card was declined.", payment_method)
        if payment_method == NEEDS_AUTHENTICATION:
            challenge = new_id("tds")
            values: dict[str, Any] = {
                "status": "requires_action",
                "challenge": challenge,
                "return_url": return_url,
            }
            return self._move(
                intent_id, _OPEN, "payment_intent.requires_action", payment_method=payment_method, **values
            )
        if payment_method == DELAYED:
            values = {"status": "processing", "settle_at": time.time() + self._settle_seconds}
            return self._move(
                intent_id, _OPEN, "payment_intent.processing", payment_method=payment_method, **values
            )
        values = {"settle_at": time.time() + self._settle_seconds} if payment_method == DISPUTED else {}
        return self._move(
            intent_id,
            _OPEN,
            "payment_intent.succeeded",
            payment_method=payment_method,
            status="succeeded",
            **values,
        )

    def challenged(self, challenge: str) -> tuple[dict[str, Any], str | None]:
        """The intent that a 3-D Secure page is about, and where its buyer goes back to. 404: no such page."""
        row = self._store.one("SELECT id, return_url FROM intents WHERE challenge = ?", challenge)
        if row is None:
            raise ApiError(
                404, "invalid_request_error", "resource_missing", "There is no such 3-D Secure page."
            )
        return self.get(row["id"]), row["return_url"]

    def answer_challenge(self, challenge: str, *, authorised: bool) -> dict[str, Any]:
        """The buyer's answer. The first one counts; after that the intent is returned as it is."""
        intent, _ = self.challenged(challenge)
        if intent["status"] != "requires_action":
            return intent
        if authorised:
            return self._move(
                intent["id"], ("requires_action",), "payment_intent.succeeded", status="succeeded"
            )
        return self._refuse(
            intent["id"],
            ("requires_action",),
            "authentication_failed",
            "The buyer did not authorise the payment.",
            intent["payment_method"],
        )

    def cancel(self, intent_id: str) -> dict[str, Any]:
        """Final. Canceling twice is one cancel; 409 once money moves or has moved."""
        intent = self.get(intent_id)
        if intent["status"] == "canceled":
            return intent
        return self._move(intent_id, _OPEN, "payment_intent.canceled", status="canceled")

    def refund(self, intent_id: str, *, amount: int, reason: str, metadata: dict[str, str]) -> dict[str, Any]:
        """Never more than was paid, whatever else runs: one conditional UPDATE takes the amount."""
        taken = self._store.change(
            "UPDATE intents SET amount_refunded = amount_refunded + ?1"
            " WHERE id = ?2 AND status = 'succeeded' AND amount_refunded + ?1 <= amount"
            " AND NOT EXISTS (SELECT 1 FROM disputes WHERE intent = ?2 AND status <> 'won')",
            amount,
            intent_id,
        )
        intent = self.get(intent_id)
        if not taken:
            if intent["status"] != "succeeded":
                raise _wrong_state(intent)
            if self._store.one("SELECT 1 FROM disputes WHERE intent = ? AND status <> 'won'", intent_id):
                message = "The buyer's bank has taken the money back already."
                raise ApiError(
                    409, "invalid_request_error", "charge_disputed", message, payment_intent=intent
                )
            message = "The refund is larger than what is left of the payment."
            raise ApiError(
                409, "invalid_request_error", "charge_exceeds_amount", message, payment_intent=intent
            )
        later = intent["payment_method"] in (PENDING_REFUND, FAILING_REFUND)
        refund_id = new_id("re")
        self._store.insert(
            "refunds",
            id=refund_id,
            intent=intent_id,
            amount=amount,
            status="pending" if later else "succeeded",
            reason=reason,
            metadata=orjson.dumps(metadata).decode(),
            settle_at=time.time() + self._settle_seconds if later else None,
            created=time.time(),
        )
        return self._announce_refund(refund_id)

    def get_refund(self, refund_id: str) -> dict[str, Any]:
        row = self._store.one("SELECT * FROM refunds WHERE id = ?", refund_id)
        if row is None:
            raise ApiError(404, "invalid_request_error", "resource_missing", f"No such refund: {refund_id}")
        intent = self.get(row["intent"])
        return {
            "id": row["id"],
            "object": "refund",
            "payment_intent": row["intent"],
            "amount": row["amount"],
            "currency": intent["currency"],
            "status": row["status"],
            "reason": row["reason"],
            "failure_reason": row["failure_reason"],
            "metadata": orjson.loads(row["metadata"]),
            "created": int(row["created"]),
        }

    def get_dispute(self, dispute_id: str) -> dict[str, Any]:
        row = self._store.one("SELECT * FROM disputes WHERE id = ?", dispute_id)
        if row is None:
            raise ApiError(404, "invalid_request_error", "resource_missing", f"No such dispute: {dispute_id}")
        return {
            "id": row["id"],
            "object": "dispute",
            "payment_intent": row["intent"],
            "amount": row["amount"],
            "currency": self.get(row["intent"])["currency"],
            "status": row["status"],
            "reason": row["reason"],
            "created": int(row["created"]),
        }

    def close_dispute(self, dispute_id: str, *, won: bool) -> dict[str, Any]:
        """The bank decides, once; after that the dispute is returned as it is."""
        moved = self._store.change(
            "UPDATE disputes SET status = ? WHERE id = ? AND status = 'needs_response'",
            "won" if won else "lost",
            dispute_id,
        )
        dispute = self.get_dispute(dispute_id)
        if moved:
            self._announce("charge.dispute.closed", dispute, subject=dispute["payment_intent"])
        return dispute

    def page(self, kind: str, *, limit: int, starting_after: str, since: float) -> dict[str, Any]:
        """The latest first: those made at `since` or later and, if `starting_after` is given, before that one."""
        reads = {"payment_intents": self.get, "refunds": self.get_refund, "disputes": self.get_dispute}
        rows = self._store.all(
            f"SELECT id FROM {_LISTED[kind]} WHERE created >= ? AND (?2 = '' OR id < ?2)"  # noqa: S608 - own names
            " ORDER BY id DESC LIMIT ?3",
            since,
            starting_after,
            limit + 1,
        )
        data = [reads[kind](row["id"]) for row in rows[:limit]]
        return {"object": "list", "data": data, "has_more": len(rows) > limit}

    def settle_due(self, now: float) -> bool:
        """Ends what was left `processing` or `pending` and is due at `now`. True if anything changed."""
        intents = self._store.all("SELECT id, status FROM intents WHERE settle_at <= ?", now)
        for row in intents:
            if row["status"] == "succeeded":
                self._dispute(row["id"])
            else:
                self._move(row["id"], ("processing",), "payment_intent.succeeded", status="succeeded")
        refunds = self._store.all(
            "SELECT r.id, r.intent, r.amount, i.payment_method"
            " FROM refunds r JOIN intents i ON i.id = r.intent WHERE r.settle_at <= ?",
            now,
        )
        for row in refunds:
            failed = row["payment_method"] == FAILING_REFUND
            self._store.change(
                "UPDATE refunds SET status = ?, failure_reason = ?, settle_at = NULL"
                " WHERE id = ? AND status = 'pending'",
                "failed" if failed else "succeeded",
                "expired_or_canceled_card" if failed else None,
                row["id"],
            )
            if failed:
                self._store.change(
                    "UPDATE intents SET amount_refunded = amount_refunded - ? WHERE id = ?",
                    row["amount"],
                    row["intent"],
                )
            self._announce_refund(row["id"])
        return bool(intents or refunds)

    def next_settlement(self) -> float | None:
        """Unix time of the next thing that `settle_due` will find."""
        row = self._store.one(
            "SELECT min(due) AS due FROM ("
            "SELECT min(settle_at) AS due FROM intents WHERE settle_at IS NOT NULL"
            " UNION ALL SELECT min(settle_at) FROM refunds WHERE settle_at IS NOT NULL)"
        )
        return None if row is None else row["due"]

    def _dispute(self, intent_id: str) -> None:
        """The buyer's bank takes back what is left of a payment."""
        self._store.change("UPDATE intents SET settle_at = NULL WHERE id = ?", intent_id)
        intent = self.get(intent_id)
        left = intent["amount"] - intent["amount_refunded"]
        if not left:
            return
        dispute_id = new_id("dp")
        self._store.insert(
            "disputes",
            id=dispute_id,
            intent=intent_id,
            amount=left,
            status="needs_response",
            reason="fraudulent",
            created=time.time(),
        )
        self._announce("charge.dispute.created", self.get_dispute(dispute_id), subject=intent_id)

    def _refuse(
        self, intent_id: str, before: tuple[str, ...], code: str, message: str, payment_method: str
    ) -> dict[str, Any]:
        error = {"type": "card_error", "code": code, "message": message, "payment_method": payment_method}
        return self._move(
            intent_id,
            before,
            "payment_intent.payment_failed",
            status="requires_payment_method",
            last_payment_error=orjson.dumps(error).decode(),
            payment_method=None,
        )

    def _move(self, intent_id: str, before: tuple[str, ...], event: str, **values: Any) -> dict[str, Any]:
        changes = {"last_payment_error": None, "settle_at": None, **values}
        moved = self._store.change(
            f"UPDATE intents SET {', '.join(f'{column} = ?' for column in changes)}"  # noqa: S608 - own names
            f" WHERE id = ? AND status IN ({', '.join('?' * len(before))})",
            *changes.values(),
            intent_id,
            *before,
        )
        intent = self.get(intent_id)
        if not moved:
            raise _wrong_state(intent)
        self._announce(event, intent, subject=intent_id)
        return intent

    def _announce_refund(self, refund_id: str) -> dict[str, Any]:
        refund = self.get_refund(refund_id)
        self._announce(f"refund.{refund['status']}", refund, subject=refund["payment_intent"])
        return refund

    def _announce(self, kind: str, snapshot: dict[str, Any], *, subject: str) -> None:
        due = time.time() + self._webhook_seconds
        self._faults.add_event(kind, snapshot, subject=subject, due=due)


def _wrong_state(intent: dict[str, Any]) -> ApiError:
    message = f"This payment intent is {intent['status']}; it does not allow that any more."
    return ApiError(
        409, "invalid_request_error", "payment_intent_unexpected_state", message, payment_intent=intent
    )
