"""Money, keys, tokens, settings, calls between services, cache."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jwt
import pytest
from effects.support import Process
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWK

from shared_lib import cache
from shared_lib.api.problems import domain_problem
from shared_lib.auth.jwks import REMEMBERED_SECONDS, JWKSCache, KeysUnavailable, SignedMemory
from shared_lib.auth.tokens import (
    PUBLIC_KEYS_PAUSE_SECONDS,
    PUBLIC_KEYS_SECONDS,
    ServiceTokens,
    TokenInvalid,
)
from shared_lib.contracts.internal.cart import CartSnapshot
from shared_lib.exceptions import ServiceUnavailable, UpstreamProblem
from shared_lib.http import ServiceClient
from shared_lib.ids import uuid7
from shared_lib.money import CurrencyMismatch, Money, divide_half_up, spread
from shared_lib.observability import context
from shared_lib.testing.environment import keys_dir


class TestMoney:
    @given(st.integers(), st.integers(), st.integers(-1000, 1000))
    def test_arithmetic_is_exact(self, a, b, factor):
        assert (Money(a, "USD") + Money(b, "USD") - Money(b, "USD")) == Money(a, "USD")
        assert factor * Money(a, "USD") == Money(a * factor, "USD")

    def test_two_currencies_never_mix(self):
        for operation in ("__add__", "__sub__", "__lt__", "__le__"):
            with pytest.raises(CurrencyMismatch):
                getattr(Money(1, "USD"), operation)(Money(1, "EUR"))

    @pytest.mark.parametrize("factor", [1.5, True, "2"])
    def test_only_integers_multiply(self, factor):
        with pytest.raises(TypeError):
            Money(1, "USD") * factor

    @pytest.mark.parametrize(
        ("money", "text"),
        [
            (Money(1999, "USD"), "19.99 USD"),
            (Money(-5, "USD"), "-0.05 USD"),
            (Money(1200, "JPY"), "1200 JPY"),
            (Money(1, "KWD"), "0.001 KWD"),
        ],
    )
    def test_it_is_written_with_the_digits_of_its_currency(self, money, text):
        assert money.format() == text


def test_a_half_is_rounded_up_and_less_than_a_half_down():
    assert [divide_half_up(number, 10) for number in (0, 4, 5, 14, 15, 20)] == [0, 0, 1, 1, 2, 2]


@given(
    amount=st.integers(0, 10**12),
    weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any),
)
def test_what_is_spread_adds_up_and_no_part_is_off_by_a_unit(amount, weights):
    parts = spread(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


def test_nothing_cannot_take_a_share_and_the_earlier_of_two_equals_gets_the_odd_unit():
    assert spread(0, [0, 0]) == [0, 0]
    assert spread(3, [1, 1]) == [2, 1]
    with pytest.raises(ValueError, match="nothing to spread"):
        spread(1, [0])


class TestServiceTokens:
    def tokens(self, service: str) -> ServiceTokens:
        return ServiceTokens(service, keys_dir() / f"{service}.pem", keys_dir() / "public")

    def test_the_callee_learns_who_calls(self):
        assert self.tokens("svc-cart").verify(self.tokens("svc-orders").token_for("svc-cart")) == "svc-orders"

    def test_a_token_for_another_callee_is_refused(self):
        with pytest.raises(TokenInvalid):
            self.tokens("svc-cart").verify(self.tokens("svc-orders").token_for("svc-catalog"))

    def test_nobody_can_speak_for_another_service(self):
        claims = {
            "iss": "svc-orders",
            "aud": "svc-cart",
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
        }
        forged = jwt.encode(
            claims, (keys_dir() / "svc-catalog.pem").read_text(), "ES256", headers={"typ": "svc+jwt"}
        )
        with pytest.raises(TokenInvalid):
            self.tokens("svc-cart").verify(forged)

    @pytest.mark.parametrize("issuer", ["svc-unknown", "../jwt", None])
    def test_an_unknown_issuer_is_refused(self, issuer):
        claims = {"iss": issuer, "aud": "svc-cart", "exp": int(time.time()) + 60}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(
            claims, (keys_dir() / "svc-orders.pem").read_text(), "ES256", headers={"typ": "svc+jwt"}
        )
        with pytest.raises(TokenInvalid):
            self.tokens("svc-cart").verify(token)

    def test_while_a_pair_is_replaced_both_keys_count_and_then_only_the_new_one(self, tmp_path):
        """The callee reads the folder of public keys again, and is not started again."""
        old, new = (keys_dir() / f"{name}.pem" for name in ("svc-orders", "svc-catalog"))
        halves = {key: (keys_dir() / "public" / key.name).read_text() for key in (old, new)}
        public = tmp_path / "svc-orders.pem"
        public.write_text(halves[old])
        callee = ServiceTokens("svc-cart", keys_dir() / "svc-cart.pem", tmp_path)

        def counts(key: Path) -> bool:
            try:
                return (
                    callee.verify(ServiceTokens("svc-orders", key, tmp_path).token_for("svc-cart"))
                    == "svc-orders"
                )
            except TokenInvalid:
                return False

        def let_pass(seconds: float) -> None:
            callee._public_keys = {
                name: (at - seconds, keys) for name, (at, keys) in callee._public_keys.items()
            }

        assert (counts(old), counts(new)) == (True, False)
        (tmp_path / "svc-orders.next.pem").write_text(halves[new])
        let_pass(PUBLIC_KEYS_PAUSE_SECONDS)
        assert (counts(new), counts(old)) == (True, True)
        (tmp_path / "svc-orders.next.pem").rename(tmp_path / "svc-orders.previous.pem")
        (tmp_path / "svc-orders.previous.pem").write_text(halves[old])
        public.write_text(halves[new])
        let_pass(PUBLIC_KEYS_SECONDS)
        assert (counts(new), counts(old)) == (True, True)
        (tmp_path / "svc-orders.previous.pem").unlink()
        let_pass(PUBLIC_KEYS_SECONDS)
        assert (counts(old), counts(new)) == (False, True)

    def test_an_access_token_is_no_service_token(self, jwks):
        with pytest.raises(TokenInvalid):
            self.tokens("svc-cart").verify(jwks.access_token(user_id=uuid7(), roles=["admin"]))


class TestKeySetOfAccounts:
    def test_keys_are_kept_when_accounts_goes_away(self, jwks):
        answers = [httpx.Response(200, json={"keys": [jwks.jwk]})]
        keys = JWKSCache("http://accounts.test/jwks", transport=httpx.MockTransport(lambda _: answers.pop()))
        assert isinstance(keys.key(jwks.jwk["kid"]), PyJWK)
        keys._fetched_at -= 10_000
        assert isinstance(keys.key(jwks.jwk["kid"]), PyJWK)

    def test_many_unknown_keys_cause_one_fetch(self, jwks):
        fetches = []

        def answer(request: httpx.Request) -> httpx.Response:
            fetches.append(request)
            return httpx.Response(200, json={"keys": [jwks.jwk]})

        keys = JWKSCache("http://accounts.test/jwks", transport=httpx.MockTransport(answer))
        assert all(keys.key(f"unknown-{index}") is None for index in range(50))
        assert len(fetches) == 1

    def away(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def cache(self, answer, memory=None):
        return JWKSCache("http://accounts.test/jwks", memory=memory, transport=httpx.MockTransport(answer))

    @pytest.mark.parametrize("body", [b"<html>", b'["keys"]', b'{"keys": []}', b'{"keys": ["a"]}'])
    def test_without_any_key_there_is_no_answer(self, body):
        for answer in (self.away, lambda _: httpx.Response(500), lambda _: httpx.Response(200, content=body)):
            with pytest.raises(KeysUnavailable):
                self.cache(answer).key("any")

    def test_while_accounts_is_away_a_key_that_it_may_have_made_is_not_called_wrong(self, jwks):
        answers = [httpx.Response(200, json={"keys": [jwks.jwk]})]
        keys = self.cache(lambda request: answers.pop() if answers else self.away(request))
        assert keys.key("unknown") is None
        keys._tried_at -= 10
        with pytest.raises(KeysUnavailable):
            keys.key("unknown")
        assert keys.key(jwks.jwk["kid"])

    def test_those_who_have_the_key_do_not_wait_for_news(self, jwks):
        asked, answered = threading.Event(), threading.Event()

        def answer(_: httpx.Request) -> httpx.Response:
            asked.set()
            assert answered.wait(10)
            return httpx.Response(200, json={"keys": [jwks.jwk]})

        answered.set()
        keys = self.cache(answer)
        keys.key(jwks.jwk["kid"])
        asked.clear()
        answered.clear()
        keys._fetched_at -= 10_000
        keys._tried_at -= 10_000
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(keys.key, jwks.jwk["kid"])
            assert asked.wait(5)
            assert keys.key(jwks.jwk["kid"])
            assert not looking.done()
            answered.set()

    @pytest.fixture
    def memory(self, settings):
        settings.SERVICE_NAME = f"test-{uuid7()}"
        memory = SignedMemory()
        yield memory
        cache.redis_client().delete(memory.key())

    def test_a_process_that_starts_while_accounts_is_away_knows_the_last_set(self, jwks, memory):
        fetch = self.cache(lambda _: httpx.Response(200, json={"keys": [jwks.jwk]}), memory)
        assert fetch.key(jwks.jwk["kid"])
        assert isinstance(self.cache(self.away, memory).key(jwks.jwk["kid"]), PyJWK)
        assert 0 < cache.redis_client().ttl(memory.key()) <= REMEMBERED_SECONDS

    def test_a_remembered_set_is_replaced_as_soon_as_accounts_is_back(self, jwks, memory):
        memory.keep({"keys": [{**jwks.jwk, "kid": "withdrawn"}]})
        answers = []
        keys = self.cache(lambda request: answers.pop() if answers else self.away(request), memory)
        assert keys.key("withdrawn")
        answers.append(httpx.Response(200, json={"keys": [jwks.jwk]}))
        keys._tried_at -= 10
        assert keys.key("withdrawn") is None
        assert keys.key(jwks.jwk["kid"])

    def test_a_remembered_set_grows_too_old(self, jwks, memory, monkeypatch):
        long_ago = time.time() - REMEMBERED_SECONDS - 1
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda: long_ago)
            memory.keep({"keys": [jwks.jwk]})
        with pytest.raises(KeysUnavailable):
            self.cache(self.away, memory).key(jwks.jwk["kid"])

    def test_keys_that_somebody_else_put_there_count_for_nothing(self, jwks, memory, settings):
        forged = {"keys": [jwks.jwk]}
        settings.SECRET_KEY = "x" * 50
        memory.keep(forged)
        signed_elsewhere = cache.redis_client().get(memory.key())
        settings.SECRET_KEY = "y" * 50
        for value in (signed_elsewhere, json.dumps(forged), b"\xff\xfe", ""):
            cache.redis_client().set(memory.key(), value)
            with pytest.raises(KeysUnavailable):
                self.cache(self.away, memory).key(jwks.jwk["kid"])

    def test_without_redis_there_is_no_memory_and_nobody_waits_for_it(self, jwks, settings):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        cache.redis_client.cache_clear()
        try:
            fetch = self.cache(lambda _: httpx.Response(200, json={"keys": [jwks.jwk]}), SignedMemory())
            assert fetch.key(jwks.jwk["kid"])
            with pytest.raises(KeysUnavailable):
                self.cache(self.away, SignedMemory()).key(jwks.jwk["kid"])
        finally:
            cache.redis_client.cache_clear()


class TestCallsBetweenServices:
    PATH = "/internal/v1/carts/1"

    def snapshot(self) -> CartSnapshot:
        return CartSnapshot(cart_id=uuid7(), user_id=uuid7(), version=3, lines=[])

    def test_an_answer_comes_back_as_its_contract_and_the_request_id_goes_along(self, upstream):
        snapshot = self.snapshot()
        upstream("svc-cart", "GET", self.PATH, lambda _: snapshot)
        context.begin(request_id="request-0001")
        assert ServiceClient("svc-cart").get(self.PATH, type=CartSnapshot) == snapshot
        headers = upstream.calls[0].headers
        assert headers["X-Request-Id"] == "request-0001"
        assert headers["traceparent"] == context.traceparent()
        assert headers["Authorization"].startswith("Bearer ")

    def test_a_refusal_carries_the_problem_of_the_callee(self, upstream):
        upstream("svc-cart", "GET", self.PATH, lambda _: (409, {"code": "out_of_stock", "lines": [1]}))
        with pytest.raises(UpstreamProblem) as caught:
            ServiceClient("svc-cart").get(self.PATH, type=CartSnapshot)
        assert (caught.value.upstream_status, caught.value.upstream_code) == (409, "out_of_stock")
        assert caught.value.problem["lines"] == [1]

    def test_a_read_is_repeated_and_an_unsafe_post_is_not(self, upstream):
        def fail(_: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("slow")

        upstream("svc-cart", "GET", self.PATH, fail)
        upstream("svc-cart", "POST", self.PATH, fail)
        for call in (ServiceClient("svc-cart").get, ServiceClient("svc-cart").post):
            with pytest.raises(ServiceUnavailable):
                call(self.PATH)
        assert len(upstream.calls_of("GET", self.PATH)) == 3
        assert len(upstream.calls_of("POST", self.PATH)) == 1

    def test_a_post_known_to_be_harmless_is_repeated_until_it_succeeds(self, upstream):
        answers = [(201, {}), (503, {}), (503, {})]
        upstream("svc-cart", "POST", self.PATH, lambda _: answers.pop())
        ServiceClient("svc-cart").post(self.PATH, json={}, idempotent=True)
        assert len(upstream.calls) == 3

    def test_a_refusal_after_a_lost_answer_says_that_the_first_sending_may_have_worked(self, upstream):
        answers = [(409, {"code": "out_of_stock"}), (503, {}), httpx.ConnectError("refused")]

        def answer(_: httpx.Request) -> tuple[int, dict[str, str]]:
            found = answers.pop()
            if isinstance(found, Exception):
                raise found
            return found

        upstream("svc-cart", "POST", self.PATH, answer)
        with pytest.raises(UpstreamProblem) as caught:
            ServiceClient("svc-cart").post(self.PATH, json={}, idempotent=True)
        assert caught.value.uncertain
        answers[:] = [(409, {"code": "out_of_stock"}), httpx.ConnectError("refused")]
        with pytest.raises(UpstreamProblem) as caught:
            ServiceClient("svc-cart").post(self.PATH, json={}, idempotent=True)
        assert not caught.value.uncertain

    def test_a_call_that_was_sent_once_is_not_said_to_be_unsent_because_its_repetition_was(self, upstream):
        failures = [httpx.ConnectError("refused"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]

        def fail(_: httpx.Request) -> httpx.Response:
            raise failures.pop()

        upstream("svc-cart", "POST", self.PATH, fail)
        with pytest.raises(ServiceUnavailable) as caught:
            ServiceClient("svc-cart").post(self.PATH, json={}, idempotent=True)
        assert caught.value.sent
        assert failures == []
        failures[:] = [httpx.ConnectError("refused") for _ in range(3)]
        with pytest.raises(ServiceUnavailable) as caught:
            ServiceClient("svc-cart").post(self.PATH, json={}, idempotent=True)
        assert caught.value.sent is False

    def test_no_call_outlives_the_deadline(self, upstream):
        context.begin(deadline=time.time() - 1)
        with pytest.raises(ServiceUnavailable) as caught:
            ServiceClient("svc-cart").get(self.PATH)
        context.begin()
        assert caught.value.sent is False
        assert upstream.calls == []

    def test_a_callee_that_keeps_failing_is_left_alone(self, upstream):
        upstream("svc-cart", "POST", self.PATH, lambda _: (500, {}))
        for _ in range(10):
            with pytest.raises(ServiceUnavailable):
                ServiceClient("svc-cart").post(self.PATH)
        with pytest.raises(ServiceUnavailable) as caught:
            ServiceClient("svc-cart").post(self.PATH)
        assert caught.value.sent is False
        assert len(upstream.calls) == 10

    def test_a_callee_is_not_blamed_for_being_late_when_it_had_hardly_any_time(self, upstream):
        def fail(_: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("slow")

        upstream("svc-cart", "POST", self.PATH, fail)
        for seconds, answered in ((0.5, 12), (5, 22)):
            for _ in range(12):
                context.begin(deadline=time.time() + seconds)
                with pytest.raises(ServiceUnavailable):
                    ServiceClient("svc-cart").post(self.PATH)
            assert len(upstream.calls) == answered
        context.begin()

    def test_an_answer_that_breaks_the_contract_is_no_answer(self, upstream):
        upstream("svc-cart", "GET", self.PATH, lambda _: (200, {"lines": 5}))
        with pytest.raises(ServiceUnavailable):
            ServiceClient("svc-cart").get(self.PATH, type=CartSnapshot)


class TestCache:
    def test_a_value_is_built_once_until_it_is_invalidated(self):
        key = f"test-{uuid7()}"
        built = []

        def build() -> dict[str, int]:
            built.append(1)
            return {"n": len(built)}

        assert [cache.cached(key, 60, build) for _ in range(3)] == [{"n": 1}] * 3
        cache.invalidate(key)
        assert cache.cached(key, 60, build) == {"n": 2}

    def test_without_redis_values_are_built_and_nobody_waits_for_it(self, settings):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        cache.redis_client.cache_clear()
        try:
            started = time.monotonic()
            assert cache.cached("any", 60, lambda: 5) == 5
            cache.invalidate("any")
            assert time.monotonic() - started < 2
        finally:
            cache.redis_client.cache_clear()


class TestSettings:
    def start(self, **changes: str | None) -> tuple[int, str]:
        """Exit code and last line of a process that only starts."""
        with Process("effects.start", **{"DATABASE_URL": os.environ["DATABASE_URL"], **changes}) as process:
            code = process.wait()
        return code, (process.output.splitlines() or [""])[-1]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            (
                {"DATABASE_URL": None},
                'Environment variable "DATABASE_URL" is not set, and there is no default.',
            ),
            (
                {"DATABASE_URL": "mysql://a/b"},
                'Environment variable "DATABASE_URL" must be a postgresql:// URL.',
            ),
            ({"SECRET_KEY": " "}, 'Environment variable "SECRET_KEY" is empty'),
            ({"ENVIRONMENT": "staging"}, 'Environment variable "ENVIRONMENT" must be dev, prod or test.'),
            ({"EMBEDDED_BEAT": "perhaps"}, 'Environment variable "EMBEDDED_BEAT" must be true or false.'),
            (
                {"SERVICE_PRIVATE_KEY_FILE": "/nowhere"},
                'Environment variable "SERVICE_PRIVATE_KEY_FILE" names /nowhere',
            ),
            ({"SVC_CART_URL": "cart:80"}, 'Environment variable "SVC_CART_URL" must be an absolute URL.'),
            ({"ENVIRONMENT": "prod", "SECRET_KEY": "short"}, "SECRET_KEY must have at least 50 characters"),
            ({"ENVIRONMENT": "prod"}, "PUBLIC_BASE_URL must start with https://"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, changes, sentence):
        code, line = self.start(**changes)
        assert code != 0
        assert sentence in line

    def test_a_good_environment_starts(self):
        assert self.start() == (0, "")


@pytest.mark.django_db
def test_deleted_rows_are_hidden_and_kept():
    from sample.models import Draft

    draft = Draft.objects.create(text="a")
    draft.soft_delete()
    first = draft.deleted_at
    draft.soft_delete()
    assert draft.deleted_at == first
    assert Draft.objects.count() == 0
    assert Draft.all_objects.count() == 1
    assert Draft.all_objects.soft_delete() == 0


def test_a_service_that_is_away_is_named_in_the_log_and_not_to_the_client():
    error = ServiceUnavailable(reason="svc-cart cannot be reached: ConnectError()")
    document = domain_problem(error)
    assert "svc-cart" in str(error)
    assert "svc-cart" not in str(document)
    assert error.headers == {"Retry-After": "2"}
