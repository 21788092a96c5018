"""Every language says the same."""

from __future__ import annotations

from string import Formatter

import pytest

from notifications.kinds import Kind
from notifications.texts import LANGUAGES, find_language
from notifications.texts.base import Language, Text

ENGLISH = LANGUAGES["en"]


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field}


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
class TestLanguage:
    def test_it_has_words_for_every_kind(self, language: Language) -> None:
        assert set(Kind) <= set(language.texts)
        assert set(language.texts) == set(ENGLISH.texts)
        assert set(language.labels) == set(ENGLISH.labels)

    def test_its_words_stand_for_the_same_data_as_the_english_ones(self, language: Language) -> None:
        for key, text in language.texts.items():
            for part in Text.__dataclass_fields__:
                ours, english = getattr(text, part), getattr(ENGLISH.texts[key], part)
                assert fields(ours) == fields(english), f"{key}.{part}"
                assert bool(ours) == bool(english), f"{key}.{part}"

    def test_it_is_not_a_copy_of_english(self, language: Language) -> None:
        if language is not ENGLISH:
            same = [key for key, text in language.texts.items() if text.body == ENGLISH.texts[key].body]
            assert same == []


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("zh-hans", "zh"),
        ("zh_TW", "zh"),
        ("EN", "en"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_a_language_is_found_by_its_tag(tag: str | None, code: str) -> None:
    assert find_language(tag).code == code
