"""What users read, language by language. A language is one module; a test compares them all with English."""

from __future__ import annotations

from notifications.texts import de, en, zh
from notifications.texts.base import Language, Text

LANGUAGES: dict[str, Language] = {module.LANGUAGE.code: module.LANGUAGE for module in (en, de, zh)}

__all__ = ["LANGUAGES", "Language", "Text", "find_language"]


def find_language(code: str | None) -> Language:
    """The language of a tag such as `de-AT` or `zh-hans`; English for what is not spoken here."""
    return LANGUAGES.get((code or "").replace("_", "-").partition("-")[0].lower(), en.LANGUAGE)
