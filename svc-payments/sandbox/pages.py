"""The pages that people see: the 3-D Secure question and a list of what the sandbox did lately.

Links are relative, since the pages are reached through a gateway that strips a prefix.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f3f4f6;color:#111827}
main{max-width:34rem;margin:4rem auto;padding:2rem;background:#fff;border-radius:.75rem}
main.wide{max-width:64rem}
h1{font-size:1.3rem;margin:0 0 1rem}
.amount{font-size:2rem;font-weight:600;margin:.5rem 0}
.note{color:#6b7280;font-size:.9rem}
button{font:inherit;padding:.6rem 1.4rem;margin-right:.75rem;border:1px solid #374151;border-radius:.5rem}
button{background:#fff;cursor:pointer}
button.yes{background:#065f46;border-color:#065f46;color:#fff}
table{border-collapse:collapse;width:100%;font-size:.85rem}
td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e5e7eb}
code{font-size:.85em}
"""

_ZERO_DECIMALS = frozenset({"CLP", "ISK", "JPY", "KRW", "UGX", "VND", "XAF", "XOF", "XPF"})


def _page(title: str, body: str, *, wide: bool = False) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main{' class=wide' if wide else ''}><h1>{escape(title)}</h1>{body}</main></body></html>"
    ).encode()


def amount_text(amount: int, currency: str) -> str:
    return (
        f"{amount} {currency}"
        if currency in _ZERO_DECIMALS
        else f"{amount // 100}.{amount % 100:02d} {currency}"
    )


def challenge_page(intent: dict[str, Any]) -> bytes:
    """Asks the buyer; both buttons post back to the page's own address."""
    amount = escape(amount_text(intent["amount"], intent["currency"]))
    return _page(
        "3-D Secure: do you make this payment?",
        f'<p class="amount">{amount}</p><p>Payment <code>{escape(intent["id"])}</code></p>'
        '<form method="post"><button class="yes" name="outcome" value="authorise">Authorise</button>'
        '<button name="outcome" value="fail">Fail</button></form>'
        '<p class="note">The sandbox payment provider, for development and tests: no money moves.</p>',
    )


def decided_page(intent: dict[str, Any], return_url: str | None) -> bytes:
    back = (
        f'<p><a href="{escape(return_url)}">Back to the shop</a></p>'
        if return_url
        else "<p>You can close this page.</p>"
    )
    status = escape(str(intent["status"]).replace("_", " "))
    return _page("3-D Secure: nothing left to decide", f"<p>The payment is <b>{status}</b>.</p>{back}")


def message_page(title: str, message: str) -> bytes:
    return _page(title, f"<p>{escape(message)}</p>")


def overview_page(intents: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> bytes:
    """The latest payment intents, and webhooks with how their delivery went."""
    payments = _table(
        ("id", "amount", "status", "refunded", "created"),
        [
            (
                intent["id"],
                amount_text(intent["amount"], intent["currency"]),
                intent["status"],
                amount_text(intent["amount_refunded"], intent["currency"]),
                time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(intent["created"])),
            )
            for intent in intents
        ],
    )
    webhooks = _table(
        ("id", "type", "tries", "state", "last answer"),
        [
            (
                event["id"],
                event["type"],
                str(event["attempts"]),
                "ended" if event["due"] is None else "waiting",
                event["last_result"] or "",
            )
            for event in events
        ],
    )
    return _page(
        "Sandbox payment provider",
        '<p class="note">For development and tests. No real money moves.</p>'
        f"<h2>Latest payments</h2>{payments}<h2>Latest webhooks</h2>{webhooks}",
        wide=True,
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
