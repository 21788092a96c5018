"""The API description."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
        assert not GENERATOR_STATS._warn_cache
        assert not GENERATOR_STATS._error_cache
    return generated


def test_every_public_path_is_described_and_no_internal_one(description: dict[str, Any]) -> None:
    assert set(description["paths"]) == {
        "/api/v1/payments/methods",
        "/api/v1/payments/{payment_id}",
        "/api/v1/payments/{payment_id}/confirm",
        "/api/v1/payments/webhooks/{provider}",
    }


def test_a_confirmation_names_every_answer_it_can_give(description: dict[str, Any]) -> None:
    operation = description["paths"]["/api/v1/payments/{payment_id}/confirm"]["post"]
    assert operation["operationId"] == "payments_confirm"
    assert {"200", "400", "401", "402", "404", "409", "412", "422", "503"} <= set(operation["responses"])
    assert "application/problem+json" in operation["responses"]["402"]["content"]


def test_the_webhook_needs_no_token(description: dict[str, Any]) -> None:
    operation = description["paths"]["/api/v1/payments/webhooks/{provider}"]["post"]
    assert operation.get("security", [{}]) in ([{}], [])
    assert "401" not in operation["responses"]
