"""A token that was verified once is not verified again, and counts for no moment longer than it would have."""

from __future__ import annotations

import time
from types import SimpleNamespace

import jwt
import pytest

from shared_lib.auth import tokens, verified
from shared_lib.auth.tokens import PUBLIC_KEYS_SECONDS, ServiceTokens, TokenInvalid, verify_access_token
from shared_lib.auth.verified import Verified, VerifiedTokens
from shared_lib.ids import uuid7
from shared_lib.testing.environment import keys_dir


@pytest.fixture(autouse=True)
def decoded(monkeypatch):
    """The tokens whose signature was verified, in turn."""
    monkeypatch.setattr(tokens, "_access_tokens", VerifiedTokens())
    seen = []
    decode = tokens._decode

    def counted(token, *args, **kwargs):
        seen.append(token)
        return decode(token, *args, **kwargs)

    monkeypatch.setattr(tokens, "_decode", counted)
    return seen


def later(monkeypatch, seconds):
    now = time.time() + seconds
    monkeypatch.setattr(verified, "time", SimpleNamespace(time=lambda: now))


class TestAccessTokens:
    def token(self, jwks, **claims):
        return jwks.access_token(user_id=uuid7(), roles=["customer"], claims=claims)

    def test_the_signature_is_verified_once(self, jwks, decoded):
        token = self.token(jwks)
        assert verify_access_token(token) == verify_access_token(token)
        assert decoded == [token]

    def test_what_is_not_valid_is_refused_each_time(self, jwks, decoded):
        token = self.token(jwks, exp=int(time.time()) - 60)
        for _ in range(2):
            with pytest.raises(TokenInvalid):
                verify_access_token(token)
        assert decoded == [token, token]

    def test_from_its_end_on_it_is_verified_again(self, jwks, decoded, monkeypatch):
        token = self.token(jwks, exp=int(time.time()) + 30)
        verify_access_token(token)
        later(monkeypatch, 31)
        verify_access_token(token)
        assert decoded == [token, token]

    def test_one_bit_more_is_another_token(self, jwks):
        token = self.token(jwks)
        verify_access_token(token)
        header, payload, signature = token.split(".")
        with pytest.raises(TokenInvalid):
            verify_access_token(f"{header}.{payload}.{signature[:-4]}AAAA")

    def test_a_key_that_is_withdrawn_counts_no_more(self, jwks, monkeypatch):
        token = self.token(jwks)
        verify_access_token(token)
        monkeypatch.setattr(jwks, "key", lambda kid: None)
        with pytest.raises(TokenInvalid):
            verify_access_token(token)

    def test_another_key_of_the_same_name_verifies_for_itself(self, jwks, monkeypatch):
        token = self.token(jwks)
        verify_access_token(token)
        other = jwt.PyJWK({**jwks.jwk, "x": jwks.jwk["x"], "y": jwks.jwk["y"]})
        wrong = SimpleNamespace(key=(keys_dir() / "public" / "svc-cart.pem").read_text())
        monkeypatch.setattr(jwks, "key", lambda kid: other)
        verify_access_token(token)
        monkeypatch.setattr(jwks, "key", lambda kid: wrong)
        with pytest.raises(TokenInvalid):
            verify_access_token(token)

    @pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
    def test_it_was_verified_for_one_issuer_and_one_audience(self, jwks, settings, name):
        token = self.token(jwks)
        verify_access_token(token)
        setattr(settings, name, "another")
        with pytest.raises(TokenInvalid):
            verify_access_token(token)


class TestServiceTokens:
    def test_the_signature_is_verified_once(self, decoded):
        token = ServiceTokens("svc-orders", keys_dir() / "svc-orders.pem", keys_dir() / "public").token_for(
            "svc-cart"
        )
        callee = ServiceTokens("svc-cart", keys_dir() / "svc-cart.pem", keys_dir() / "public")
        assert [callee.verify(token), callee.verify(token)] == ["svc-orders", "svc-orders"]
        assert decoded == [token]

    def test_a_key_that_is_taken_away_is_believed_no_longer_than_unread(self, tmp_path):
        public = tmp_path / "svc-orders.pem"
        public.write_text((keys_dir() / "public" / "svc-orders.pem").read_text())
        token = ServiceTokens("svc-orders", keys_dir() / "svc-orders.pem", tmp_path).token_for("svc-cart")
        callee = ServiceTokens("svc-cart", keys_dir() / "svc-cart.pem", tmp_path)
        assert callee.verify(token) == "svc-orders"
        public.unlink()
        read_at, keys = callee._public_keys["svc-orders"]
        callee._public_keys["svc-orders"] = (read_at - PUBLIC_KEYS_SECONDS, keys)
        with pytest.raises(TokenInvalid):
            callee.verify(token)

    def test_from_its_end_on_it_is_verified_again(self, decoded, monkeypatch):
        token = ServiceTokens("svc-orders", keys_dir() / "svc-orders.pem", keys_dir() / "public").token_for(
            "svc-cart"
        )
        callee = ServiceTokens("svc-cart", keys_dir() / "svc-cart.pem", keys_dir() / "public")
        callee.verify(token)
        later(monkeypatch, 60)
        callee.verify(token)
        assert decoded == [token, token]


def test_the_token_that_was_not_seen_for_longest_is_forgotten_first():
    known = VerifiedTokens(most=2)
    for token in ("a", "b"):
        known.remember(token, Verified("key", "", {"exp": time.time() + 60, "token": token}))
    assert known.find("a", counts=lambda _: True)
    known.remember("c", Verified("key", "", {"exp": time.time() + 60, "token": "c"}))
    found = {token: known.find(token, counts=lambda _: True) for token in ("a", "b", "c")}
    assert [token for token, claims in found.items() if claims] == ["a", "c"]
