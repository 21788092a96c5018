"""svc-accounts alone."""

from __future__ import annotations

from audit.model import Rows, invariant

ACCOUNTS = "svc-accounts"

ACCOUNT_INVARIANTS = (
    invariant(
        "address-book-has-one-default",
        "An address book that is not empty has exactly one default.",
        Rows(
            ACCOUNTS,
            """
            SELECT user_id::text, '1 default', count(*) FILTER (WHERE is_default) || ' defaults', NULL::float8
            FROM accounts_address GROUP BY user_id HAVING count(*) FILTER (WHERE is_default) <> 1
            """,
            "(SELECT DISTINCT user_id FROM accounts_address) AS book",
        ),
    ),
)
