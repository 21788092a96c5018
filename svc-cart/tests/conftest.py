from __future__ import annotations

from typing import Any

import pytest

from tests.factories import VariantFactory


@pytest.fixture
def variant(db: None) -> Any:
    """A variant of the read model: 19.99 USD, 50 in stock."""
    return VariantFactory.create()


@pytest.fixture
def user(api: Any) -> Any:
    """A client that is signed in."""
    return api.as_user()


@pytest.fixture
def guest(api: Any) -> Any:
    return api.anonymous()
