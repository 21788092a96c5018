"""svc-payments alone: payments and refunds against the double-entry ledger, and references at the provider."""

from __future__ import annotations

from audit.invariants.money import PAYMENTS
from audit.model import Rows, invariant

# What each ledger transaction moved at the provider, as `AMOUNT CURRENCY`: one row for each account and currency is the rule.
_MOVED = """
    SELECT t.{owner} AS owner, count(DISTINCT t.id) AS bookings,
           string_agg(e.entry_amount || ' ' || e.currency, ', ' ORDER BY e.id)
               FILTER (WHERE e.account_id LIKE 'provider.%') AS moved
    FROM payments_ledgertransaction t LEFT JOIN payments_ledgerentry e ON e.transaction_id = t.id
    WHERE t.kind = '{kind}' GROUP BY t.{owner}
"""

LEDGER_INVARIANTS = (
    invariant(
        "ledger-transaction-is-balanced",
        "The entries of a ledger transaction are two at least and sum to zero in each currency.",
        Rows(
            PAYMENTS,
            """
            SELECT t.id::text, 'entries that sum to 0',
                   coalesce(string_agg(e.entry_amount || ' ' || e.currency, ', ' ORDER BY e.id), 'no entries'), NULL::float8
            FROM payments_ledgertransaction t LEFT JOIN payments_ledgerentry e ON e.transaction_id = t.id
            GROUP BY t.id
            HAVING count(e.id) < 2 OR t.id IN (
                SELECT transaction_id FROM payments_ledgerentry GROUP BY transaction_id, currency HAVING sum(entry_amount) <> 0
            )
            """,
            "payments_ledgertransaction",
        ),
    ),
    invariant(
        "payment-is-booked-once",
        "A payment that took money is booked once, with its amount; any other is not.",
        Rows(
            PAYMENTS,
            f"""
            SELECT p.id::text,
                   CASE WHEN p.status = 'succeeded' AND p.payment_amount > 0
                        THEN format('1 booking: %s %s', p.payment_amount, p.currency)
                        ELSE 'no booking' END,
                   coalesce(b.bookings, 0) || ' bookings: ' || coalesce(b.moved, 'nothing'), NULL::float8
            FROM payments_payment p LEFT JOIN ({_MOVED.format(owner="payment_id", kind="capture")}) b ON b.owner = p.id
            WHERE CASE WHEN p.status = 'succeeded' AND p.payment_amount > 0
                  THEN b.bookings IS DISTINCT FROM 1 OR b.moved IS DISTINCT FROM p.payment_amount || ' ' || p.currency
                  ELSE b.owner IS NOT NULL END
            """,  # noqa: S608 - made of constants
            "payments_payment",
        ),
    ),
    invariant(
        "refund-is-booked-once",
        "A refund that succeeded is booked once, with its amount; any other is not.",
        Rows(
            PAYMENTS,
            f"""
            SELECT r.id::text,
                   CASE WHEN r.status = 'succeeded' THEN format('1 booking: %s %s', -r.refund_amount, r.currency)
                        ELSE 'no booking' END,
                   coalesce(b.bookings, 0) || ' bookings: ' || coalesce(b.moved, 'nothing'), NULL::float8
            FROM payments_refund r LEFT JOIN ({_MOVED.format(owner="refund_id", kind="refund")}) b ON b.owner = r.id
            WHERE CASE WHEN r.status = 'succeeded'
                  THEN b.bookings IS DISTINCT FROM 1 OR b.moved IS DISTINCT FROM -r.refund_amount || ' ' || r.currency
                  ELSE b.owner IS NOT NULL END
            """,  # noqa: S608 - made of constants
            "payments_refund",
        ),
    ),
    invariant(
        "ledger-account-is-what-was-taken",
        "What an account of a provider holds is what was captured there less what went back or is disputed.",
        Rows(
            PAYMENTS,
            """
            SELECT coalesce(b.account, p.account) || ' ' || coalesce(b.currency, p.currency),
                   coalesce(p.kept, 0)::text, coalesce(b.balance, 0)::text, NULL::float8
            FROM (
                SELECT account_id AS account, currency, sum(entry_amount) AS balance
                FROM payments_ledgerentry WHERE account_id LIKE 'provider.%' GROUP BY account_id, currency
            ) b FULL JOIN (
                SELECT 'provider.' || p.provider AS account, p.currency,
                       sum(p.payment_amount - p.refunded_amount - coalesce(d.amount, 0)) AS kept
                FROM payments_payment p LEFT JOIN (
                    SELECT payment_id, sum(dispute_amount) AS amount FROM payments_dispute WHERE status <> 'won' GROUP BY payment_id
                ) d ON d.payment_id = p.id
                WHERE p.status = 'succeeded' GROUP BY p.provider, p.currency
            ) p ON p.account = b.account AND p.currency = b.currency
            WHERE coalesce(p.kept, 0) <> coalesce(b.balance, 0)
            """,
            "payments_ledgeraccount",
        ),
    ),
    invariant(
        "refunds-make-what-went-back",
        "What a payment has refunded and is refunding are the sums of its refunds that succeeded and are pending.",
        Rows(
            PAYMENTS,
            """
            SELECT p.id::text, coalesce(r.done, 0) || ' refunded, ' || coalesce(r.pending, 0) || ' refunding',
                   p.refunded_amount || ' refunded, ' || p.refunding_amount || ' refunding', NULL::float8
            FROM payments_payment p LEFT JOIN (
                SELECT payment_id, sum(refund_amount) FILTER (WHERE status = 'succeeded') AS done,
                       sum(refund_amount) FILTER (WHERE status = 'pending') AS pending
                FROM payments_refund GROUP BY payment_id
            ) r ON r.payment_id = p.id
            WHERE p.refunded_amount <> coalesce(r.done, 0) OR p.refunding_amount <> coalesce(r.pending, 0)
            """,
            "payments_payment",
        ),
    ),
    invariant(
        "refunds-within-what-was-taken",
        "What goes back of a payment is never more than what was taken, and never of one that was not taken.",
        Rows(
            PAYMENTS,
            """
            SELECT r.payment_id::text, 'at most ' || CASE WHEN p.status = 'succeeded' THEN p.payment_amount ELSE 0 END,
                   r.wanted || ' refunded or refunding', NULL::float8
            FROM (
                SELECT payment_id, sum(refund_amount) AS wanted FROM payments_refund WHERE status <> 'failed' GROUP BY payment_id
            ) r JOIN payments_payment p ON p.id = r.payment_id
            WHERE r.wanted > CASE WHEN p.status = 'succeeded' THEN p.payment_amount ELSE 0 END
            """,
            "payments_payment",
        ),
    ),
    invariant(
        "dispute-is-booked-as-it-stands",
        "A dispute is booked when it is opened and when it is decided, each once and as it was decided.",
        Rows(
            PAYMENTS,
            """
            SELECT d.id::text,
                   CASE d.status WHEN 'open' THEN 'dispute_opened' ELSE 'dispute_opened, dispute_' || d.status END,
                   coalesce(b.kinds, 'no booking'), NULL::float8
            FROM payments_dispute d LEFT JOIN (
                SELECT dispute_id, string_agg(kind, ', ' ORDER BY kind = 'dispute_opened' DESC, kind) AS kinds
                FROM payments_ledgertransaction WHERE dispute_id IS NOT NULL GROUP BY dispute_id
            ) b ON b.dispute_id = d.id
            WHERE b.kinds IS DISTINCT FROM
                  CASE d.status WHEN 'open' THEN 'dispute_opened' ELSE 'dispute_opened, dispute_' || d.status END
            """,
            "payments_dispute",
        ),
    ),
    invariant(
        "provider-agrees",
        "The last comparison with each provider left no difference that its word could not heal.",
        Rows(
            PAYMENTS,
            """
            SELECT d.provider_reference, format('%s: %s', d.kind, coalesce(nullif(d.theirs, ''), 'nothing')),
                   coalesce(nullif(d.ours, ''), 'nothing'), NULL::float8
            FROM payments_difference d
            WHERE NOT d.healed AND d.reconciliation_id IN (
                SELECT DISTINCT ON (provider) id FROM payments_reconciliation
                WHERE finished_at IS NOT NULL ORDER BY provider, created_at DESC
            )
            """,
            "payments_reconciliation WHERE finished_at IS NOT NULL",
        ),
    ),
    invariant(
        "provider-reference-is-one-payment",
        "What a provider calls one payment is one payment here, and one that took money has such a name.",
        Rows(
            PAYMENTS,
            """
            SELECT provider || ' ' || provider_reference, '1 payment', count(*) || ' payments', NULL::float8
            FROM payments_payment WHERE provider_reference <> '' GROUP BY provider, provider_reference HAVING count(*) > 1
            UNION ALL
            SELECT id::text, 'a reference at ' || provider, 'none', NULL
            FROM payments_payment WHERE status = 'succeeded' AND payment_amount > 0 AND provider_reference = ''
            """,
            "payments_payment WHERE provider_reference <> '' OR status = 'succeeded'",
        ),
    ),
    invariant(
        "final-payment-has-no-open-attempt",
        "No attempt of a payment that succeeded or was canceled is open.",
        Rows(
            PAYMENTS,
            """
            SELECT a.id::text, 'no open attempt: the payment is ' || p.status, a.state, NULL::float8
            FROM payments_paymentattempt a JOIN payments_payment p ON p.id = a.payment_id
            WHERE p.status IN ('succeeded', 'canceled') AND a.state IN ('running', 'requires_action', 'processing')
            """,
            "payments_payment WHERE status IN ('succeeded', 'canceled')",
        ),
    ),
)
