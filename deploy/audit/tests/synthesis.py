"""A consistent shop of any size, written by SQL: what the services would have left behind after N checkouts.

Every eighth checkout ends alike (`KINDS`), every fifth has a coupon. Identities are made of a number, so each database is filled
alone. Columns that are not named here get a neutral value, so that a new one breaks nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from shared_lib.contracts.subscriptions import subscribed_types

KINDS = (
    "awaiting_payment",
    "confirmed",
    "shipped",
    "delivered",
    "cancelled, never paid",
    "cancelled after the payment, refunded",
    "confirmed, partially refunded",
    "undone: a draft",
)

# Identities: a UUIDv7 whose time grows with the number, `tag` tells what it names.
_BASICS = """
    CREATE FUNCTION pg_temp.uid(tag int, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT (lpad(to_hex({base} + i), 12, '0') || '7' || lpad(to_hex(tag), 3, '0') || '8' || lpad(to_hex(i), 15, '0'))::uuid
    $$;
    CREATE FUNCTION pg_temp.price(v bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 1000 + v % 50 * 10 $$;

    CREATE TEMP TABLE o AS
    SELECT i, i % 8 AS kind, pg_temp.uid(1, i) AS id, pg_temp.uid(2, i / 10) AS user_id, pg_temp.uid(3, i) AS payment_id,
           pg_temp.uid(4, i) AS refund_id, to_timestamp(({base} + i) / 1000.0) AS at,
           (i * 2) % {variants} AS a, (i * 2 + 1) % {variants} AS b, 1 + i % 3 AS quantity,
           CASE WHEN i % 8 IN (1, 2, 3, 5, 6) THEN 'succeeded' WHEN i % 8 = 0 THEN 'requires_payment_method' ELSE 'canceled' END
               AS payment_status
    FROM generate_series(1, {orders}) AS i;
    ALTER TABLE o ADD subtotal bigint, ADD total bigint, ADD back bigint;
    UPDATE o SET subtotal = quantity * pg_temp.price(a) + pg_temp.price(b);
    UPDATE o SET total = subtotal + 500 + 70;
    UPDATE o SET back = CASE kind WHEN 5 THEN total WHEN 6 THEN 100 ELSE 0 END;

    CREATE TEMP TABLE m AS
    SELECT o.i, o.id AS reference, l.v, s.kind, l.quantity * s.on_hand AS on_hand, l.quantity * s.reserved AS reserved, o.at,
           1 + row_number() OVER (PARTITION BY l.v ORDER BY o.i, s.step) AS version, s.step, l.place
    FROM o
    CROSS JOIN LATERAL (VALUES (a, quantity, 0), (b, 1, 1)) AS l (v, quantity, place)
    JOIN (VALUES (1, 'reserved', 0, 1), (2, 'sold', -1, -1), (3, 'released', 0, -1), (4, 'restocked', 1, 0), (5, 'returned', 1, 0))
        AS s (step, kind, on_hand, reserved)
      ON s.step = 1 OR (s.step = 2 AND o.kind IN (1, 2, 3, 5, 6)) OR (s.step = 3 AND o.kind IN (4, 7))
         OR (s.step = 4 AND o.kind = 5) OR (s.step = 5 AND o.kind = 3 AND l.place = 1);
    UPDATE m SET reference = pg_temp.uid(61, i) WHERE kind = 'returned';
    CREATE TEMP TABLE s AS
    SELECT v, 1000000 + coalesce(sum(on_hand), 0) AS on_hand, coalesce(sum(reserved), 0) AS reserved, 1 + count(m.v) AS version
    FROM generate_series(0, {variants} - 1) AS v LEFT JOIN m USING (v) GROUP BY v;

    CREATE TEMP TABLE e AS
    SELECT pg_temp.uid(100 + t.number, o.i) AS id, t.producer, t.type,
           CASE WHEN t.producer = 'svc-payments' THEN o.payment_id ELSE o.id END::text AS subject, o.user_id, o.at
    FROM o JOIN (VALUES
        (1, 'svc-orders', 'order.placed.v1', '{{0,1,2,3,4,5,6}}'::int[]), (2, 'svc-orders', 'order.confirmed.v1', '{{1,2,3,5,6}}'),
        (3, 'svc-orders', 'order.shipped.v1', '{{2,3}}'), (4, 'svc-orders', 'order.delivered.v1', '{{3}}'),
        (5, 'svc-orders', 'order.cancelled.v1', '{{4,5}}'), (6, 'svc-orders', 'order.refunded.v1', '{{5,6}}'),
        (12, 'svc-orders', 'order.return_received.v1', '{{3}}'),
        (7, 'svc-payments', 'payment.succeeded.v1', '{{1,2,3,5,6}}'), (8, 'svc-payments', 'payment.canceled.v1', '{{4,7}}'),
        (9, 'svc-payments', 'payment.refunded.v1', '{{5,6}}'), (10, 'svc-payments', 'payment.attempt_failed.v1', '{{1}}'),
        (11, 'svc-payments', 'payment.disputed.v1', '{{3}}')
    ) AS t (number, producer, type, kinds) ON o.kind = ANY(t.kinds)
    UNION ALL
    SELECT pg_temp.uid(200 + step * 2 + place, i), 'svc-catalog', 'stock.changed.v1', v::text, NULL, at FROM m
    UNION ALL
    SELECT pg_temp.uid(300, p), 'svc-catalog', 'product.published.v1', p::text, NULL, to_timestamp({base} / 1000.0)
    FROM generate_series(0, {variants} / 2 - 1) AS p
    UNION ALL
    SELECT pg_temp.uid(301, u), 'svc-accounts', 'user.registered.v1', u::text, pg_temp.uid(2, u), to_timestamp({base} / 1000.0)
    FROM generate_series(0, {orders} / 10) AS u;
    ANALYZE o; ANALYZE m; ANALYZE e;
"""

Connection = psycopg.Connection[Any]


def fill(connection: Connection, service: str, *, orders: int, base_ms: int | None = None) -> None:
    """Fills the migrated, empty database of `service`. All databases of one shop need the same `orders` and `base_ms`."""
    base = int((time.time() - 3600) * 1000) - orders if base_ms is None else base_ms
    variants = 2 * max(5, orders // 100)
    with connection.transaction():
        # No trigger and no foreign key slows this down, and the ledger's triggers let nobody write for another transaction.
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(_BASICS.format(base=base, orders=orders, variants=variants))
        _events(connection, service)
        _FILLERS[service](connection)
        connection.execute("DROP TABLE e, s, m, o")
    connection.execute("ANALYZE")


def insert(connection: Connection, table: str, columns: Mapping[str, str], source: str) -> None:
    """INSERT ... SELECT of expressions over `source`; columns without a default that are not named get a neutral value."""
    known = connection.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod), typcategory FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
          AND attidentity = '' AND attgenerated = ''
        """,
        (table,),
    ).fetchall()
    values = dict(columns)
    for name, type_, category in known:
        values.setdefault(name, _neutral(type_, category))
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.SQL(value) for value in values.values()),  # type: ignore[arg-type]
        sql.SQL(source),  # type: ignore[arg-type]
    )
    connection.execute(statement)


def _neutral(type_: str, category: str) -> str:
    if type_ == "uuid":
        return "gen_random_uuid()"
    if type_ == "jsonb":
        return "'{}'::jsonb"
    return {"N": "0", "B": "false", "D": "now()", "A": "'{}'", "T": "interval '0'"}.get(category, "''")


def _events(connection: Connection, service: str) -> None:
    insert(
        connection,
        "outbox_event",
        {
            "id": "id",
            "type": "type",
            "subject": "subject",
            "body": "json_build_object('id', id, 'type', type, 'data', json_build_object('user_id', user_id))::text",
            "created_at": "at",
            "published_at": "at",
        },
        f"e WHERE producer = '{service}'",
    )
    types = ", ".join(f"'{each}'" for each in sorted(subscribed_types(service))) or "''"
    insert(
        connection,
        "inbox_event",
        {
            "event_id": "id",
            "type": "type",
            "subject": "subject",
            "status": "'processed'",
            "received_at": "at",
            "settled_at": "at",
        },
        f"e WHERE type IN ({types})",
    )
    insert(
        connection,
        "idempotency_idempotencykey",
        {
            "user_id": "user_id",
            "route": "'orders/payments'",
            "key": "i",
            "request_hash": "'x'",
            "response_status": "201",
            "created_at": "at",
        },
        "o WHERE i % 100 = 1",
    )


def _accounts(connection: Connection) -> None:
    insert(
        connection,
        "accounts_user",
        {"id": "pg_temp.uid(2, u)", "email": "'u' || u || '@example.com'", "roles": "'{customer}'"},
        "(SELECT DISTINCT i / 10 AS u FROM o) AS users",
    )
    insert(
        connection,
        "accounts_address",
        {"user_id": "pg_temp.uid(2, u)", "country": "'GB'", "is_default": "n = 1"},
        "(SELECT DISTINCT i / 10 AS u FROM o) AS users CROSS JOIN generate_series(1, 2) AS n",
    )


def _catalog(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO catalog_category (id, created_at, updated_at, slug, name, position, product_count)"
        " VALUES (pg_temp.uid(20, 0), now(), now(), 'things', 'Things', 0, 0)"
    )
    old = "now() - interval '1 hour'"
    insert(
        connection,
        "catalog_product",
        {
            "id": "pg_temp.uid(10, v / 2)",
            "slug": "'p' || v",
            "name": "'Product ' || v",
            "status": "'published'",
            "published_at": old,
            "updated_at": old,
            "version": "1",
            "currency": "'USD'",
            "category_id": "pg_temp.uid(20, 0)",
            "variants_in_stock": "2",
        },
        "s WHERE v % 2 = 0",
    )
    insert(
        connection,
        "catalog_variant",
        {
            "id": "pg_temp.uid(9, v)",
            "product_id": "pg_temp.uid(10, v / 2)",
            "sku": "'sku-' || v",
            "price_amount": "pg_temp.price(v)",
            "updated_at": old,
        },
        "s",
    )
    insert(
        connection,
        "catalog_stock",
        {
            "variant_id": "pg_temp.uid(9, v)",
            "on_hand": "on_hand",
            "reserved": "reserved",
            "version": "version",
            "updated_at": old,
        },
        "s",
    )
    movement = {"variant_id": "pg_temp.uid(9, v)", "created_at": old}
    opening = {"stock_version": "1", "kind": "'received'", "on_hand_delta": "1000000", "reserved_delta": "0"}
    insert(connection, "catalog_stockmovement", movement | opening, "s")
    moved = {
        "stock_version": "version",
        "kind": "kind",
        "on_hand_delta": "on_hand",
        "reserved_delta": "reserved",
        "reference": "reference",
    }
    insert(connection, "catalog_stockmovement", movement | moved, "m")
    insert(
        connection,
        "catalog_reservation",
        {
            "order_id": "id",
            "status": "CASE WHEN kind = 0 THEN 'reserved' WHEN kind IN (1, 2, 3, 6) THEN 'sold' ELSE 'released' END",
            "expires_at": "now() + interval '1 day'",
            "updated_at": "at",
        },
        "o",
    )
    insert(
        connection,
        "catalog_reservationline",
        {
            "reservation_id": "o.id",
            "variant_id": "pg_temp.uid(9, l.v)",
            "product_id": "pg_temp.uid(10, l.v / 2)",
            "quantity": "l.n",
            "currency": "'USD'",
            "unit_price_amount": "pg_temp.price(l.v)",
        },
        "o CROSS JOIN LATERAL (VALUES (a, quantity), (b, 1)) AS l (v, n)",
    )


def _cart(connection: Connection) -> None:
    insert(
        connection,
        "cart_product",
        {
            "id": "pg_temp.uid(10, v / 2)",
            "version": "1",
            "slug": "'p' || v",
            "updated_at": "now() - interval '1 hour'",
        },
        "s WHERE v % 2 = 0",
    )
    insert(
        connection,
        "cart_variant",
        {
            "id": "pg_temp.uid(9, v)",
            "product_id": "pg_temp.uid(10, v / 2)",
            "price_amount": "pg_temp.price(v)",
            "currency": "'USD'",
            "sold": "true",
        },
        "s",
    )
    insert(
        connection,
        "cart_stock",
        {"variant_id": "pg_temp.uid(9, v)", "available": "on_hand - reserved", "version": "version"},
        "s",
    )

    insert(
        connection,
        "cart_coupon",
        {
            "id": "pg_temp.uid(30, 0)",
            "code": "'TEN'",
            "kind": "'percent'",
            "basis_points": "1000",
            "currency": "'USD'",
            "used": "(SELECT count(*) FROM o WHERE i % 5 = 0 AND kind NOT IN (4, 5, 7))",
            "total_limit": "1000000",
            "user_limit": "2",
            "updated_at": "now() - interval '1 day'",
        },
        "(SELECT) AS one",
    )
    insert(
        connection,
        "cart_couponorder",
        {"order_id": "id", "closed_at": "CASE WHEN kind IN (4, 5, 7) THEN at END"},
        "o WHERE i % 5 = 0",
    )
    insert(
        connection,
        "cart_couponuse",
        {
            "order_id": "id",
            "coupon_id": "pg_temp.uid(30, 0)",
            "user_id": "user_id",
            "number": "1 + i / 5 % 2",
            "paid": "kind <> 0",
            "created_at": "at",
        },
        "o WHERE i % 5 = 0 AND kind NOT IN (4, 5, 7)",
    )


def _orders(connection: Connection) -> None:
    placed = "o WHERE kind <> 7"
    insert(
        connection,
        "orders_order",
        {
            "id": "id",
            "created_at": "at",
            "updated_at": "at",
            "version": "1",
            "user_id": "user_id",
            "number": "CASE WHEN kind <> 7 THEN 'N' || i END",
            "status": "(ARRAY['awaiting_payment', 'confirmed', 'shipped', 'delivered', 'cancelled', 'cancelled', 'confirmed',"
            " 'draft'])[kind + 1]",
            "payment_status": "(ARRAY['unpaid', 'paid', 'paid', 'paid', 'unpaid', 'refunded', 'partially_refunded', 'unpaid'])"
            "[kind + 1]",
            "fulfillment_status": "'unfulfilled'",
            "currency": "'USD'",
            "subtotal_amount": "CASE WHEN kind <> 7 THEN subtotal ELSE 0 END",
            "shipping_amount": "CASE WHEN kind <> 7 THEN 500 ELSE 0 END",
            "tax_amount": "CASE WHEN kind <> 7 THEN 70 ELSE 0 END",
            "total_amount": "CASE WHEN kind <> 7 THEN total ELSE 0 END",
            "coupon_codes": "CASE WHEN i % 5 = 0 AND kind <> 7 THEN '[\"TEN\"]' ELSE '[]' END::jsonb",
            "payment_id": "CASE WHEN kind <> 7 THEN payment_id END",
            "cart_id": "pg_temp.uid(5, i / 10)",
            "cart_version": "i",
            "expires_at": "now() + interval '1 day'",
            "close_at": "CASE WHEN kind = 0 THEN now() + interval '1 day' END",
        },
        "o",
    )
    insert(
        connection,
        "orders_orderline",
        {
            "order_id": "o.id",
            "position": "l.place",
            "variant_id": "pg_temp.uid(9, l.v)",
            "product_id": "pg_temp.uid(10, l.v / 2)",
            "id": "pg_temp.uid(50 + l.place, o.i)",
            "quantity": "l.n",
            "shipped_quantity": "CASE WHEN kind IN (2, 3) THEN l.n ELSE 0 END",
            "unit_price_amount": "pg_temp.price(l.v)",
            "line_total_amount": "pg_temp.price(l.v) * l.n",
            "tax_amount": "CASE WHEN l.place = 0 THEN 70 ELSE 0 END",
        },
        "o CROSS JOIN LATERAL (VALUES (0, a, quantity), (1, b, 1)) AS l (place, v, n) WHERE kind <> 7",
    )
    _parcels(connection)
    insert(
        connection,
        "orders_orderpayment",
        {
            "id": "payment_id",
            "order_id": "id",
            "provider": "'sandbox'",
            "currency": "'USD'",
            "amount": "total",
            "refunded_amount": "back",
            "status": "payment_status",
            "version": "2",
            "updated_at": "at",
        },
        placed,
    )
    insert(
        connection,
        "orders_orderhistory",
        {"id": "pg_temp.uid(400 + h.step, o.i)", "order_id": "o.id", "status": "h.status", "at": "o.at"},
        "o JOIN (VALUES (1, 'awaiting_payment', '{0,1,2,3,4,5,6}'::int[]), (2, 'confirmed', '{1,2,3,5,6}'),"
        " (3, 'shipped', '{2,3}'), (4, 'delivered', '{3}'), (5, 'cancelled', '{4,5}'))"
        " AS h (step, status, kinds) ON o.kind = ANY(h.kinds)",
    )
    insert(
        connection,
        "orders_refund",
        {
            "id": "refund_id",
            "order_id": "id",
            "payment_id": "payment_id",
            "currency": "'USD'",
            "amount": "back",
            "status": "'succeeded'",
            "created_at": "at",
            "updated_at": "at",
            "due_at": "NULL",
        },
        "o WHERE back > 0",
    )
    insert(
        connection,
        "orders_checkoutsaga",
        {
            "order_id": "id",
            "user_id": "user_id",
            "payment_id": "payment_id",
            "step": "CASE WHEN kind = 7 THEN 'undone' ELSE 'done' END",
            "answer": "CASE WHEN kind <> 7 THEN '{}'::bytea END",
            "created_at": "at",
            "updated_at": "at",
        },
        "o",
    )


def _parcels(connection: Connection) -> None:
    """One for each shipped order. Of each delivered order one unit of the second line comes back and may be sold again."""
    lines = "o CROSS JOIN LATERAL (VALUES (0, quantity), (1, 1)) AS l (place, n)"
    parcel = {"id": "pg_temp.uid(60, i)", "order_id": "id", "created_at": "at"}
    insert(connection, "orders_shipment", parcel, "o WHERE kind IN (2, 3)")
    held = {"shipment_id": "pg_temp.uid(60, i)", "line_id": "pg_temp.uid(50 + l.place, i)", "quantity": "l.n"}
    insert(connection, "orders_shipmentline", held, f"{lines} WHERE kind IN (2, 3)")
    back = {
        "id": "pg_temp.uid(61, i)",
        "order_id": "id",
        "status": "'received'",
        "received_at": "at",
        "updated_at": "at",
    }
    insert(connection, "orders_return", back, "o WHERE kind = 3")
    line = {"part_of_id": "pg_temp.uid(61, i)", "line_id": "pg_temp.uid(51, i)", "quantity": "1"}
    insert(connection, "orders_returnline", line, "o WHERE kind = 3")


def _payments(connection: Connection) -> None:
    insert(
        connection,
        "payments_payment",
        {
            "id": "payment_id",
            "order_id": "id",
            "user_id": "user_id",
            "payment_amount": "total",
            "currency": "'USD'",
            "status": "payment_status",
            "provider": "'sandbox'",
            "provider_reference": "CASE WHEN payment_status = 'succeeded' THEN 'pi_' || i ELSE '' END",
            "refunding_amount": "0",
            "refunded_amount": "back",
            "version": "2",
            "created_at": "at",
            "updated_at": "at",
        },
        "o",
    )
    paid = "o WHERE payment_status = 'succeeded'"
    done = {"created_at": "at", "updated_at": "at", "due_at": "NULL"}
    insert(
        connection,
        "payments_paymentattempt",
        {"payment_id": "payment_id", "state": "'succeeded'", **done},
        paid,
    )
    insert(
        connection,
        "payments_webhookevent",
        {"provider": "'sandbox'", "event_id": "'evt_' || i", "type": "'paid'", "settled_at": "at", **done},
        paid,
    )
    refund = {"id": "refund_id", "payment_id": "payment_id", "refund_amount": "back", "currency": "'USD'"}
    insert(connection, "payments_refund", {**refund, "status": "'succeeded'", **done}, "o WHERE back > 0")
    connection.execute(
        "INSERT INTO payments_ledgeraccount (code)"
        " VALUES ('provider.sandbox'), ('customers'), ('disputed'), ('chargebacks')"
    )
    capture = {"id": "pg_temp.uid(6, i)", "kind": "'capture'", "payment_id": "payment_id", "created_at": "at"}
    insert(connection, "payments_ledgertransaction", capture, paid)
    refunded = {
        "id": "pg_temp.uid(7, i)",
        "kind": "'refund'",
        "payment_id": "payment_id",
        "refund_id": "refund_id",
    }
    insert(connection, "payments_ledgertransaction", {**refunded, "created_at": "at"}, "o WHERE back > 0")
    entry = {"account_id": "e.account", "entry_amount": "e.sign * o.amount", "currency": "'USD'"}
    accounts = "CROSS JOIN (VALUES ('provider.sandbox', 1), ('customers', -1)) AS e (account, sign)"
    insert(
        connection,
        "payments_ledgerentry",
        {"transaction_id": "pg_temp.uid(6, o.i)", **entry},
        f"(SELECT i, total AS amount FROM {paid}) AS o {accounts}",
    )
    insert(
        connection,
        "payments_ledgerentry",
        {"transaction_id": "pg_temp.uid(7, o.i)", **entry},
        f"(SELECT i, -back AS amount FROM o WHERE back > 0) AS o {accounts}",
    )

    _disputes(connection)
    run = {"id": "pg_temp.uid(41, 0)", "provider": "'sandbox'", "finished_at": "now()"}
    insert(connection, "payments_reconciliation", run, "(SELECT) AS one")
    difference = {"reconciliation_id": "pg_temp.uid(41, 0)", "kind": "'status'", "healed": "true"}
    insert(connection, "payments_difference", difference, "(SELECT) AS one")


def _disputes(connection: Connection) -> None:
    """Every delivered order's payment is disputed for 50, and lost."""
    disputed = "o WHERE kind = 3"
    dispute = {
        "id": "pg_temp.uid(40, i)",
        "payment_id": "payment_id",
        "dispute_amount": "50",
        "currency": "'USD'",
    }
    insert(
        connection,
        "payments_dispute",
        {**dispute, "status": "'lost'", "provider_reference": "'dp_' || i"},
        disputed,
    )
    for tag, kind, to, of in (
        (42, "dispute_opened", "disputed", "provider.sandbox"),
        (43, "dispute_lost", "chargebacks", "disputed"),
    ):
        its = {
            "payment_id": "payment_id",
            "dispute_id": "pg_temp.uid(40, i)",
            "kind": f"'{kind}'",
            "created_at": "at",
        }
        insert(connection, "payments_ledgertransaction", {"id": f"pg_temp.uid({tag}, i)", **its}, disputed)
        entry = {"transaction_id": f"pg_temp.uid({tag}, i)", "currency": "'USD'"}
        for account, amount in ((to, 50), (of, -50)):
            more = {"account_id": f"'{account}'", "entry_amount": f"{amount}"}
            insert(connection, "payments_ledgerentry", {**entry, **more}, disputed)


def _notifications(connection: Connection) -> None:
    kind = "replace(regexp_replace(type, '\\.v1$', ''), '.', '_')"
    told = {
        "user_id": "user_id",
        "event_id": "id",
        "kind": kind,
        "created_at": "at",
        "data": "CASE WHEN type = 'order.cancelled.v1' THEN '{\"reason\": \"buyer\"}' ELSE '{}' END::jsonb",
    }
    orders = "type LIKE 'order.%' AND type <> 'order.return_received.v1'"
    shown = f"{orders} OR type = 'payment.attempt_failed.v1'"
    mailed = f"{orders} AND type <> 'order.placed.v1'"
    insert(connection, "notifications_notification", told, f"e WHERE {shown}")
    insert(
        connection, "notifications_email", {**told, "sent_at": "at", "due_at": "NULL"}, f"e WHERE {mailed}"
    )
    insert(
        connection,
        "notifications_recipient",
        {"user_id": "user_id"},
        "(SELECT DISTINCT user_id FROM o) AS users",
    )


_FILLERS = {
    "svc-accounts": _accounts,
    "svc-catalog": _catalog,
    "svc-cart": _cart,
    "svc-orders": _orders,
    "svc-payments": _payments,
    "svc-notifications": _notifications,
}
