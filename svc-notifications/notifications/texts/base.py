"""The shape of what a language says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Words of one kind. Fields of the notification's data stand in braces.

    `title` is also the subject of the mail. `action` labels the mail's button, `note` stands below it.
    """

    title: str
    body: str
    action: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """Everything that is said in one language.

    `money_back` follows the body where something that was paid comes back. `labels` by field of the data. `texts` by kind,
    or by `kind:reason` where a reason has words of its own.
    """

    code: str
    greeting: str
    greeting_by_name: str
    link_hint: str
    money_back: str
    footer: str
    labels: Mapping[str, str]
    texts: Mapping[str, Text]

    def text(self, kind: str, reason: str | None = None) -> Text:
        return self.texts.get(f"{kind}:{reason}") or self.texts[kind]
