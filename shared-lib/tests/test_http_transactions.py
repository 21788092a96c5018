"""No call to another service is made while a database transaction is open."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from shared_lib.http import ServiceClient
from shared_lib.http.client import CalledInTransaction

PATH = "/internal/v1/carts/1"


def _call() -> None:
    ServiceClient("svc-cart").get(PATH)


@pytest.mark.django_db
def test_a_call_inside_a_transaction_is_refused_before_it_is_sent(upstream: Any) -> None:
    upstream("svc-cart", "GET", PATH, lambda _: None)
    with transaction.atomic(), pytest.raises(CalledInTransaction, match="GET svc-cart/internal/v1/carts/1"):
        _call()
    with transaction.atomic(), transaction.atomic(savepoint=False), pytest.raises(CalledInTransaction):
        _call()
    assert upstream.calls == []


@pytest.mark.django_db
def test_the_transaction_of_the_test_itself_does_not_count(upstream: Any) -> None:
    upstream("svc-cart", "GET", PATH, lambda _: None)
    with transaction.atomic():
        pass
    _call()
    assert len(upstream.calls) == 1


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_calls_are_free_again(upstream: Any) -> None:
    upstream("svc-cart", "GET", PATH, lambda _: None)
    with transaction.atomic():
        transaction.on_commit(_call)
        assert upstream.calls == []
    _call()
    assert len(upstream.calls) == 2


@pytest.mark.django_db
def test_production_does_not_fail_a_buyer_for_it(upstream: Any, settings: Any) -> None:
    settings.ENVIRONMENT = "prod"
    upstream("svc-cart", "GET", PATH, lambda _: None)
    with transaction.atomic():
        _call()
    assert len(upstream.calls) == 1
