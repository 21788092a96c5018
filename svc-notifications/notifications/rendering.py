"""From kind and data to words: entries of the inbox, and mails as text and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from notifications.kinds import WAYS, Kind
from notifications.texts import Language
from notifications.texts.base import Text
from shared_lib.money import Money


@dataclass(frozen=True, slots=True)
class RenderedMail:
    subject: str
    text: str
    html: str


def render_entry(*, kind: str, data: Mapping[str, Any], language: Language) -> tuple[str, str]:
    """Title and body of an entry of the inbox."""
    words = language.text(kind, data.get("reason"))
    values = _values(data)
    return words.title.format_map(values), _body(words, values, data, language)


def render_mail(
    *,
    kind: Kind,
    data: Mapping[str, Any],
    language: Language,
    name: str | None,
    link: str | None,
    items: Iterable[tuple[str, Money]] = (),
) -> RenderedMail:
    """A mail. `name` None greets without one. `link` is the button's target, by default the page of the kind. `items`, each
    with what it costs, stand above the facts of the data.
    """
    words = language.text(kind, data.get("reason"))
    values = _values(data)
    title = words.title.format_map(values)
    context = {
        "language": language.code,
        "greeting": language.greeting_by_name.format(name=name) if name else language.greeting,
        "title": title,
        "body": _body(words, values, data, language),
        "facts": [
            *((item, cost.format()) for item, cost in items),
            *((label, values[field]) for field, label in language.labels.items() if field in values),
        ],
        "action": words.action,
        "link": link or settings.STOREFRONT_URL + WAYS[kind].page.format_map(values),
        "link_hint": language.link_hint,
        "note": words.note,
        "footer": language.footer,
    }
    return RenderedMail(
        subject=" ".join(title.split()),
        text=render_to_string("notifications/mail.txt", context).strip() + "\n",
        html=render_to_string("notifications/mail.html", context),
    )


def _body(words: Text, values: Mapping[str, str], data: Mapping[str, Any], language: Language) -> str:
    body = words.body.format_map(values)
    return f"{body} {language.money_back}" if data.get("money_back") else body


def _values(data: Mapping[str, Any]) -> dict[str, str]:
    """The data as it is read: amounts of money with their currency."""
    return {
        field: Money(**value).format() if isinstance(value, dict) else str(value)
        for field, value in data.items()
    }
