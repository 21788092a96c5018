"""What is begun is ended: nothing is in flight for longer than the limit."""

from __future__ import annotations

from audit.invariants.money import PAYMENTS
from audit.invariants.notifications import NOTIFICATIONS
from audit.invariants.orders import ORDERS
from audit.model import SERVICES, Rows, invariant

#: Jobs as rows: the table, and what tells one that is due from one that is done.
_JOBS = (
    (ORDERS, "orders_refund"),
    (PAYMENTS, "payments_refund"),
    (PAYMENTS, "payments_paymentattempt"),
    (PAYMENTS, "payments_webhookevent"),
    (NOTIFICATIONS, "notifications_email"),
)

PROGRESS_INVARIANTS = (
    invariant(
        "checkout-ends-in-time",
        "No checkout is under way, or being undone, for longer than the limit.",
        Rows(
            ORDERS,
            """
            SELECT order_id::text, 'done or undone', format('%s after %s attempts %s', step, attempts, error),
                   extract(epoch FROM created_at)::float8
            FROM orders_checkoutsaga WHERE step NOT IN ('done', 'undone')
            """,
            "orders_checkoutsaga",
        ),
    ),
    invariant(
        "unpaid-order-ends-in-time",
        "No order awaits a payment that nobody processes for longer than the limit after its time.",
        Rows(
            ORDERS,
            """
            SELECT id::text, 'cancelled or confirmed', 'awaiting_payment past its time', extract(epoch FROM expires_at)::float8
            FROM orders_order WHERE status = 'awaiting_payment' AND payment_status = 'unpaid' AND expires_at < now()
            """,
            "orders_order WHERE status = 'awaiting_payment'",
        ),
    ),
    invariant(
        "refund-ends-in-time",
        "No refund is under way for longer than the limit.",
        Rows(
            ORDERS,
            """
            SELECT id::text, 'succeeded or failed', format('%s after %s attempts %s', status, attempts, error),
                   extract(epoch FROM created_at)::float8
            FROM orders_refund WHERE status IN ('pending', 'accepted')
            """,
            "orders_refund",
        ),
        Rows(
            PAYMENTS,
            """
            SELECT id::text, 'succeeded or failed', format('%s after %s attempts', status, attempts),
                   extract(epoch FROM created_at)::float8
            FROM payments_refund WHERE status = 'pending'
            """,
            "payments_refund",
        ),
    ),
    invariant(
        "attempt-ends-in-time",
        "No attempt to pay runs for longer than the limit without the provider's word.",
        Rows(
            PAYMENTS,
            """
            SELECT id::text, 'what the provider said', state || ' without an answer', extract(epoch FROM created_at)::float8
            FROM payments_paymentattempt WHERE state = 'running'
            """,
            "payments_paymentattempt",
        ),
    ),
    invariant(
        "webhook-takes-effect-in-time",
        "No webhook waits for its effect for longer than the limit.",
        Rows(
            PAYMENTS,
            """
            SELECT id::text, 'settled', format('%s after %s attempts %s', type, attempts, outcome),
                   extract(epoch FROM created_at)::float8
            FROM payments_webhookevent WHERE settled_at IS NULL
            """,
            "payments_webhookevent",
        ),
    ),
    invariant(
        "due-job-is-taken-in-time",
        "No job is due for longer than the limit without somebody taking it.",
        *(
            Rows(
                service,
                f"""
                SELECT id::text, 'taken by a worker', '{table} due after ' || attempts || ' attempts',
                       extract(epoch FROM due_at)::float8
                FROM {table} WHERE due_at < now()
                """,  # noqa: S608 - made of constants
                table,
            )
            for service, table in _JOBS
        ),
    ),
    invariant(
        "no-job-is-given-up",
        "No job that moves money is given up.",
        *(
            Rows(
                service,
                f"""
                SELECT id::text, 'done', '{table} given up after ' || attempts || ' attempts', NULL::float8
                FROM {table} WHERE gave_up_at IS NOT NULL
                """,  # noqa: S608 - made of constants
                table,
            )
            for service, table in _JOBS
            if service != NOTIFICATIONS  # a mailbox that refuses its mail is no fault of the shop
        ),
    ),
    invariant(
        "idempotency-key-is-answered-in-time",
        "A request with an Idempotency-Key is answered, or the key is forgotten a day later: its client never came back.",
        *(
            Rows(
                service,
                """
                SELECT route || ' ' || id, 'an answer', 'none',
                    extract(epoch FROM greatest(lease_expires_at, created_at + interval '26 hours'))::float8
                FROM idempotency_idempotencykey WHERE response_status IS NULL
                """,
                "idempotency_idempotencykey",
            )
            for service in SERVICES
        ),
    ),
)
