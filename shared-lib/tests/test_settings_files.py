"""Variables that come as files, as secrets of containers do."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_lib.settings import env


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that SHOP_TEST_VALUE_FILE names; the variable itself is not set."""
    monkeypatch.setenv("SHOP_TEST_VALUE", "")  # so that what a test reads is forgotten again
    monkeypatch.delenv("SHOP_TEST_VALUE")
    path = tmp_path / "value"
    monkeypatch.setenv("SHOP_TEST_VALUE_FILE", str(path))
    return path


def test_a_variable_may_come_as_a_file(secret: Path) -> None:
    secret.write_text(" s3cret=\n")
    assert env.str("SHOP_TEST_VALUE") == " s3cret="


def test_a_database_and_a_number_may_come_as_a_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.write_text("postgresql://me:pw@there:5432/mine\n")
    assert env.database("SHOP_TEST_VALUE")["HOST"] == "there"
    monkeypatch.delenv("SHOP_TEST_VALUE")
    secret.write_text("12\n")
    assert env.int("SHOP_TEST_VALUE") == 12


def test_a_value_that_is_set_wins_over_a_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.write_text("from the file")
    monkeypatch.setenv("SHOP_TEST_VALUE", "from the environment")
    assert env.str("SHOP_TEST_VALUE", "default") == "from the environment"


def test_a_file_that_is_not_there_stops_the_start_even_with_a_default(secret: Path) -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r'"SHOP_TEST_VALUE_FILE" names .*not there or not readable'
    ):
        env.str("SHOP_TEST_VALUE", "default")


def test_what_is_wrong_with_a_value_from_a_file_does_not_repeat_it(secret: Path) -> None:
    secret.write_text("s3cret")
    with pytest.raises(ImproperlyConfigured) as error:
        env.int("SHOP_TEST_VALUE")
    assert '"SHOP_TEST_VALUE" must be a whole number.' in str(error.value)
    assert "s3cret" not in str(error.value)
