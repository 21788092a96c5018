"""For each invariant: a wrong row that it alone can see, or with it those (`also`) that look at the same fact from another side.

`pick` finds what is to be broken in the consistent shop; `{id}` stands for it in the statements and in the id that the audit has
to name.
"""

from __future__ import annotations

from dataclasses import dataclass

ACCOUNTS, CATALOG, CART = "svc-accounts", "svc-catalog", "svc-cart"
ORDERS, PAYMENTS, NOTIFICATIONS = "svc-orders", "svc-payments", "svc-notifications"


@dataclass(frozen=True)
class Corruption:
    service: str
    pick: str
    statements: tuple[str, ...]
    named: str = "{id}"
    also: tuple[str, ...] = ()
    #: Whose the finding is, if not the service that is broken.
    found_at: str = ""


def wrong(
    service: str, table: str, change: str, where: str = "true", *, key: str = "id", **more: object
) -> Corruption:
    """One row of `table` changed. `drop` is a constraint of it, or `index` a unique index, that stands in the way."""
    drop, index = more.pop("drop", ""), more.pop("index", "")
    return Corruption(
        service,
        f"SELECT {key}::text FROM {table} WHERE {where} ORDER BY {key} LIMIT 1",
        tuple(
            statement
            for statement in (
                f"ALTER TABLE {table} DROP CONSTRAINT {drop}" if drop else "",
                f"DROP INDEX {index}" if index else "",
                f"UPDATE {table} SET {change} WHERE {key}::text = '{{id}}'",
            )
            if statement
        ),
        **more,  # type: ignore[arg-type]
    )


def missing(service: str, table: str, where: str = "true", *, key: str = "id", **more: object) -> Corruption:
    """One row of `table` gone."""
    return Corruption(
        service,
        f"SELECT {key}::text FROM {table} WHERE {where} ORDER BY {key} LIMIT 1",
        (f"DELETE FROM {table} WHERE {key}::text = '{{id}}'",),
        **more,  # type: ignore[arg-type]
    )


_OLD = "now() - interval '1 hour'"
_SOON = "now() + interval '1 hour'"
_STRANGER = "00000000-0000-7000-8000-000000000000"


def _swapped(kind: str, owner: str) -> Corruption:
    """A unit booked for another one than it was moved for: every transaction and every account is still balanced."""
    first = f"SELECT id FROM payments_ledgertransaction WHERE kind = '{kind}' ORDER BY id"
    return Corruption(
        PAYMENTS,
        f"SELECT {owner}::text FROM payments_ledgertransaction WHERE kind = '{kind}' ORDER BY id LIMIT 1",
        (
            f"""
            UPDATE payments_ledgerentry SET entry_amount = entry_amount
                + CASE WHEN account_id = 'customers' THEN -1 ELSE 1 END
                * CASE WHEN transaction_id = ({first} LIMIT 1) THEN 1 ELSE -1 END
            WHERE transaction_id IN ({first} LIMIT 2)
            """,
        ),
    )


CORRUPTIONS: dict[str, Corruption] = {
    "order-total-adds-up": wrong(
        ORDERS,
        "orders_order",
        "shipping_amount = shipping_amount + 1",
        "status = 'shipped'",
        drop="order_total_adds_up",
    ),
    "order-line-adds-up": wrong(
        ORDERS,
        "orders_orderline",
        "unit_price_amount = unit_price_amount + 1",
        drop="orderline_total_adds_up",
    ),
    "order-lines-make-subtotal": wrong(
        ORDERS,
        "orders_order",
        "subtotal_amount = subtotal_amount + 1, shipping_amount = shipping_amount - 1",
        "status = 'shipped'",
    ),
    "order-discounts-make-discount": Corruption(
        ORDERS,
        "SELECT order_id::text FROM orders_orderline ORDER BY order_id LIMIT 1",
        ("UPDATE orders_orderline SET discount_amount = 1 WHERE order_id = '{id}' AND position = 0",),
    ),
    "order-taxes-make-tax": wrong(
        ORDERS,
        "orders_order",
        "tax_amount = tax_amount + 1, shipping_amount = shipping_amount - 1",
        "status = 'shipped'",
    ),
    "shipped-is-what-parcels-hold": wrong(
        ORDERS, "orders_shipmentline", "quantity = quantity + 1", key="line_id"
    ),
    "order-is-shipped-when-all-of-it-is": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'shipped' ORDER BY id LIMIT 1",
        (
            """
            WITH line AS (SELECT id FROM orders_orderline WHERE order_id = '{id}' AND position = 1), parcel AS (
                DELETE FROM orders_shipmentline WHERE line_id = (SELECT id FROM line)
            )
            UPDATE orders_orderline SET shipped_quantity = 0 WHERE id = (SELECT id FROM line)
            """,
        ),
    ),
    "return-is-of-what-was-ordered": Corruption(
        ORDERS,
        "SELECT line_id::text FROM orders_returnline ORDER BY line_id LIMIT 1",
        (
            # Asked for and not received yet, so that the catalog has nothing to do with it.
            f"""
            WITH r AS (
                INSERT INTO orders_return (id, order_id, status, reason, created_at, updated_at)
                SELECT '{_STRANGER}', order_id, 'requested', '', now(), now() FROM orders_orderline WHERE id = '{{id}}'
            )
            INSERT INTO orders_returnline (id, part_of_id, line_id, quantity, created_at, updated_at)
            VALUES ('{_STRANGER}', '{_STRANGER}', '{{id}}', 1, now(), now())
            """,
        ),
    ),
    "order-history-tells-status": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'delivered' ORDER BY id LIMIT 1",
        (
            f"UPDATE orders_orderhistory SET id = '{_STRANGER}' WHERE order_id = '{{id}}' AND status = 'delivered'",
        ),
    ),
    "paid-order-has-its-money": wrong(
        ORDERS,
        "orders_order",
        "total_amount = total_amount + 1, shipping_amount = shipping_amount + 1",
        "status = 'shipped'",
    ),
    "money-has-an-order": missing(ORDERS, "orders_order", "payment_status = 'refunded'", found_at=PAYMENTS),
    "ended-order-keeps-no-money": wrong(
        ORDERS,
        "orders_order",
        "status = 'draft', number = NULL",
        "status = 'shipped'",
        also=("reservation-has-an-order",),
    ),
    "order-keeps-its-total-at-most": wrong(
        ORDERS,
        "orders_order",
        "total_amount = total_amount - 1, shipping_amount = shipping_amount - 1",
        "status = 'shipped'",
        also=("paid-order-has-its-money",),
        found_at=PAYMENTS,
    ),
    "order-shows-what-went-back": wrong(
        ORDERS, "orders_order", "payment_status = 'paid'", "payment_status = 'partially_refunded'"
    ),
    "payment-is-known-to-both": missing(
        ORDERS, "orders_orderpayment", "status = 'requires_payment_method'", found_at=PAYMENTS
    ),
    "payment-is-the-same-to-both": wrong(
        ORDERS, "orders_orderpayment", "amount = amount + 1", "status = 'succeeded'"
    ),
    "refund-is-known-to-both": wrong(ORDERS, "orders_refund", f"id = '{_STRANGER}'"),
    "refund-is-the-same-to-both": wrong(ORDERS, "orders_refund", "amount = amount + 1"),
    "ledger-transaction-is-balanced": Corruption(
        PAYMENTS,
        "SELECT id::text FROM payments_ledgertransaction ORDER BY id LIMIT 1",
        (
            (
                "UPDATE payments_ledgerentry SET entry_amount = entry_amount + 1"
                " WHERE transaction_id = '{id}' AND account_id = 'customers'"
            ),
        ),
    ),
    "payment-is-booked-once": _swapped("capture", "payment_id"),
    "refund-is-booked-once": _swapped("refund", "refund_id"),
    "ledger-account-is-what-was-taken": wrong(
        PAYMENTS,
        "payments_ledgerentry",
        "account_id = 'provider.another'",
        "account_id = 'provider.sandbox'",
        named="provider.another USD",
    ),
    "refunds-make-what-went-back": wrong(
        PAYMENTS, "payments_payment", "refunding_amount = 1", "status = 'succeeded' AND refunded_amount = 0"
    ),
    "refunds-within-what-was-taken": Corruption(
        PAYMENTS,
        "SELECT payment_id::text FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id"
        " WHERE p.refunded_amount = p.payment_amount ORDER BY payment_id LIMIT 1",
        (
            "ALTER TABLE payments_payment DROP CONSTRAINT payment_refunds_within_amount",
            "UPDATE payments_payment SET refunding_amount = 1 WHERE id = '{id}'",
            # Young enough for svc-orders not to know it yet.
            f"""
            INSERT INTO payments_refund (id, payment_id, refund_amount, currency, reason, status, provider_reference, failure_code,
                                         attempts, due_at, created_at, updated_at)
            VALUES ('{_STRANGER}', '{{id}}', 1, 'USD', '', 'pending', '', '', 0, {_SOON}, now(), now())
            """,
        ),
    ),
    "dispute-is-booked-as-it-stands": wrong(PAYMENTS, "payments_dispute", "status = 'open'"),
    "provider-agrees": wrong(
        PAYMENTS,
        "payments_difference",
        "healed = false, provider_reference = 'pi_1', theirs = 'canceled', ours = 'succeeded'",
        named="pi_1",
    ),
    "provider-reference-is-one-payment": wrong(
        PAYMENTS,
        "payments_payment",
        "provider_reference = (SELECT max(provider_reference) FROM payments_payment)",
        "status = 'succeeded' AND provider_reference < (SELECT max(provider_reference) FROM payments_payment)",
        index="payment_provider_reference_unique",
        named="sandbox pi_",
    ),
    "final-payment-has-no-open-attempt": wrong(
        PAYMENTS, "payments_paymentattempt", "state = 'requires_action'"
    ),
    "stock-is-what-moved": Corruption(
        CATALOG,
        "SELECT variant_id::text FROM catalog_stock ORDER BY variant_id LIMIT 1",
        (
            "UPDATE catalog_stockmovement SET on_hand_delta = on_hand_delta + 1 WHERE variant_id = '{id}' AND kind = 'received'",
        ),
    ),
    "stock-version-is-a-movement": Corruption(
        CATALOG,
        "SELECT variant_id::text FROM catalog_stock WHERE version > 1 ORDER BY variant_id LIMIT 1",
        (
            (
                "UPDATE catalog_stockmovement SET stock_version = stock_version + 1 WHERE variant_id = '{id}' AND stock_version ="
                " (SELECT version FROM catalog_stock WHERE variant_id = '{id}')"
            ),
        ),
    ),
    "stock-reserved-is-reservations": Corruption(
        CATALOG,
        "SELECT variant_id::text FROM catalog_stock ORDER BY variant_id LIMIT 1",
        (
            "UPDATE catalog_stock SET reserved = reserved + 1, on_hand = on_hand + 1 WHERE variant_id = '{id}'",
            (
                "UPDATE catalog_stockmovement SET reserved_delta = 1, on_hand_delta = on_hand_delta + 1"
                " WHERE variant_id = '{id}' AND kind = 'received'"
            ),
        ),
    ),
    "stock-is-never-negative": wrong(
        CATALOG,
        "catalog_stock",
        "on_hand = reserved - 1",
        "reserved > 0",
        key="variant_id",
        drop="stock_reserved_within_on_hand",
        also=("stock-is-what-moved", "product-counts-what-is-in-stock", "cart-shows-what-is-there"),
    ),
    "reservation-moved-its-lines-once": Corruption(
        CATALOG,
        "SELECT reference || ' ' || variant_id FROM catalog_stockmovement WHERE kind = 'sold' ORDER BY 1 LIMIT 1",
        (
            (
                f"UPDATE catalog_stockmovement SET reference = '{_STRANGER}'"
                " WHERE kind = 'sold' AND reference || ' ' || variant_id = '{id}'"
            ),
        ),
    ),
    "product-counts-what-is-in-stock": wrong(CATALOG, "catalog_product", "variants_in_stock = 1"),
    "unpaid-order-holds-its-lines": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'awaiting_payment' ORDER BY id LIMIT 1",
        (
            f"UPDATE orders_orderline SET variant_id = '{_STRANGER}' WHERE order_id = '{{id}}' AND position = 0",
        ),
        found_at=CATALOG,
    ),
    "confirmed-order-sold-its-lines": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'shipped' ORDER BY id LIMIT 1",
        (
            f"UPDATE orders_orderline SET variant_id = '{_STRANGER}' WHERE order_id = '{{id}}' AND position = 0",
        ),
        found_at=CATALOG,
    ),
    "cancelled-order-holds-nothing": Corruption(
        CATALOG,
        "SELECT order_id::text FROM catalog_reservation r WHERE status = 'released' AND EXISTS (SELECT FROM"
        " catalog_stockmovement WHERE reference = r.order_id AND kind = 'restocked') ORDER BY order_id LIMIT 1",
        ("UPDATE catalog_reservation SET status = 'sold' WHERE order_id = '{id}'",),
        also=("reservation-moved-its-lines-once",),
    ),
    "reservation-has-an-order": missing(
        ORDERS, "orders_order", "status = 'awaiting_payment'", found_at=CATALOG
    ),
    "shortage-ends-its-order": Corruption(
        CATALOG,
        "SELECT order_id::text FROM catalog_reservation WHERE status = 'sold' ORDER BY order_id LIMIT 1",
        (
            (
                "INSERT INTO catalog_stockshortage (order_id, variant_id, quantity, available, created_at)"
                f" SELECT '{{id}}', variant_id, 2, 1, {_OLD} FROM catalog_stock LIMIT 1"
            ),
        ),
        found_at=ORDERS,
    ),
    "what-came-back-was-sent-back": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_return ORDER BY id LIMIT 1",
        (f"UPDATE orders_returnline SET line_id = '{_STRANGER}' WHERE part_of_id = '{{id}}'",),
        found_at=CATALOG,
    ),
    "cart-shows-what-is-there": wrong(CART, "cart_stock", "available = available - 1", key="variant_id"),
    "cart-shows-the-price": wrong(CART, "cart_variant", "price_amount = price_amount + 1"),
    "coupon-counts-its-uses": wrong(CART, "cart_coupon", "used = used + 1"),
    "coupon-keeps-its-limits": wrong(CART, "cart_coupon", "user_limit = 1"),
    "closed-order-uses-no-coupon": Corruption(
        CART,
        "SELECT order_id::text FROM cart_couponuse ORDER BY order_id LIMIT 1",
        ("UPDATE cart_couponorder SET closed_at = now() WHERE order_id = '{id}'",),
    ),
    "order-uses-its-coupons": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'shipped' AND coupon_codes = '[]' ORDER BY id LIMIT 1",
        ("UPDATE orders_order SET coupon_codes = '[\"TEN\"]' WHERE id = '{id}'",),
        found_at=CART,
    ),
    "ended-order-uses-no-coupon": Corruption(
        CART,
        "SELECT order_id::text FROM cart_couponorder WHERE closed_at IS NOT NULL ORDER BY order_id LIMIT 1",
        (
            "UPDATE cart_couponorder SET closed_at = NULL WHERE order_id = '{id}'",
            "UPDATE cart_coupon SET used = used + 1",
            f"""
            INSERT INTO cart_couponuse (id, order_id, coupon_id, number, paid, created_at)
            SELECT '{_STRANGER}', '{{id}}', id, 1, false, {_OLD} FROM cart_coupon
            """,
        ),
    ),
    "coupon-use-is-paid-as-its-order": wrong(CART, "cart_couponuse", "paid = false", "paid", key="order_id"),
    "event-is-in-the-inbox-of-its-user": missing(
        NOTIFICATIONS, "notifications_notification", "kind = 'order_placed'", key="event_id"
    ),
    "event-is-mailed-to-its-user": missing(
        NOTIFICATIONS, "notifications_email", "kind = 'order_shipped'", key="event_id"
    ),
    "address-book-has-one-default": Corruption(
        ACCOUNTS,
        "SELECT user_id::text FROM accounts_address ORDER BY user_id LIMIT 1",
        ("UPDATE accounts_address SET is_default = false WHERE user_id = '{id}'",),
    ),
    "order-step-is-an-event": Corruption(
        ORDERS,
        "SELECT subject FROM outbox_event WHERE type = 'order.confirmed.v1' ORDER BY id LIMIT 1",
        (
            f"UPDATE outbox_event SET subject = '{_STRANGER}' WHERE subject = '{{id}}' AND type = 'order.confirmed.v1'",
        ),
    ),
    "booking-is-an-event": Corruption(
        PAYMENTS,
        "SELECT subject FROM outbox_event WHERE type = 'payment.succeeded.v1' ORDER BY id LIMIT 1",
        (
            f"UPDATE outbox_event SET subject = '{_STRANGER}' WHERE subject = '{{id}}' AND type = 'payment.succeeded.v1'",
        ),
    ),
    "event-reaches-every-subscriber": missing(
        CART, "inbox_event", "type = 'stock.changed.v1'", key="event_id"
    ),
    "event-comes-from-an-outbox": missing(
        ACCOUNTS, "outbox_event", "type = 'user.registered.v1'", found_at=NOTIFICATIONS
    ),
    "event-is-published-in-time": wrong(
        CATALOG, "outbox_event", "published_at = NULL", "type = 'stock.changed.v1'"
    ),
    "event-takes-effect-in-time": wrong(
        CART, "inbox_event", "status = 'waiting'", "type = 'stock.changed.v1'", key="event_id"
    ),
    "no-event-is-a-dead-letter": wrong(
        CART, "inbox_event", "status = 'dead'", "type = 'stock.changed.v1'", key="event_id"
    ),
    "checkout-ends-in-time": wrong(
        ORDERS, "orders_checkoutsaga", "step = 'undoing'", "step = 'undone'", key="order_id"
    ),
    "unpaid-order-ends-in-time": wrong(
        ORDERS, "orders_order", f"expires_at = {_OLD}", "status = 'awaiting_payment'"
    ),
    "refund-ends-in-time": Corruption(
        ORDERS,
        "SELECT id::text FROM orders_order WHERE status = 'shipped' ORDER BY id LIMIT 1",
        (
            # Asked for an hour ago, tried just now.
            f"""
            INSERT INTO orders_refund (id, order_id, payment_id, currency, amount, reason, status, error, attempts, due_at,
                                       created_at, updated_at)
            SELECT '{_STRANGER}', id, payment_id, 'USD', 1, 'buyer', 'pending', '', 3, {_SOON}, {_OLD}, now()
            FROM orders_order WHERE id = '{{id}}'
            """,
        ),
        named=_STRANGER,
    ),
    "attempt-ends-in-time": Corruption(
        PAYMENTS,
        "SELECT id::text FROM payments_payment WHERE status = 'requires_payment_method' ORDER BY id LIMIT 1",
        (
            f"""
            INSERT INTO payments_paymentattempt (id, payment_id, state, payment_method, failure_code, attempts, due_at,
                                                 created_at, updated_at)
            VALUES ('{_STRANGER}', '{{id}}', 'running', 'pm_card_visa', '', 3, {_SOON}, {_OLD}, now())
            """,
        ),
        named=_STRANGER,
    ),
    "webhook-takes-effect-in-time": wrong(PAYMENTS, "payments_webhookevent", "settled_at = NULL"),
    "due-job-is-taken-in-time": wrong(NOTIFICATIONS, "notifications_email", f"due_at = {_OLD}"),
    "no-job-is-given-up": wrong(PAYMENTS, "payments_webhookevent", "gave_up_at = now()"),
    "idempotency-key-is-answered-in-time": wrong(
        ORDERS,
        "idempotency_idempotencykey",
        "response_status = NULL, created_at = created_at - interval '27 hours'",
        named="orders/payments {id}",
    ),
}
