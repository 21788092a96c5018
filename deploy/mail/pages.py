"""The catcher's two pages. Links are relative, so that they work below any prefix of the gateway."""

from html import escape
from typing import Any

#: Only the page's own style and script run; a message may load pictures, nothing else.
SAFETY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src *; frame-src 'self';"
    " base-uri 'none'; form-action 'none'"
)
SCRIPT = """document.getElementById("clear").addEventListener("click", async () => {
  await fetch("api/messages", {method: "DELETE"});
  location.reload();
});
"""
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}
iframe{width:100%;height:32rem;border:1px solid #ddd}pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#666}dd{margin:0}"""


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


def overview(messages: list[dict[str, Any]]) -> str:
    """Every message in a table."""
    rows = "".join(
        f"<tr><td>{escape(its['received_at'][:19].replace('T', ' '))}</td><td>{escape(', '.join(its['recipients']))}</td>"
        f'<td><a href="messages/{its["id"]}">{escape(its["subject"] or "(no subject)")}</a></td></tr>'
        for its in messages
    )
    table = f"<table><tr><th>Received (UTC)</th><th>To</th><th>Subject</th></tr>{rows}</table>"
    button = '<p><button id="clear">Delete all</button></p><script src="mail.js"></script>'
    return _page("Mail", f"<h1>Mail</h1>{table + button if messages else '<p>No message yet.</p>'}")


def detail(message: dict[str, Any]) -> str:
    """One message: headers, its HTML in a frame that can run nothing, its text."""
    fields = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in message["headers"])
    parts = [
        f'<p><a href="../">All mail</a></p><h1>{escape(message["subject"] or "(no subject)")}</h1><dl>{fields}</dl>'
    ]
    if message["html"] is not None:
        framed = escape(f'<base target="_blank">{message["html"]}')
        parts.append(
            '<iframe title="The message" sandbox="allow-popups allow-popups-to-escape-sandbox"'
            f' srcdoc="{framed}"></iframe>'
        )
    if message["text"] is not None:
        parts.append(f"<pre>{escape(message['text'])}</pre>")
    parts += [
        f"<p>Attached: {escape(its['filename'] or its['content_type'])}</p>" for its in message["attachments"]
    ]
    return _page(message["subject"] or "Mail", "".join(parts))
