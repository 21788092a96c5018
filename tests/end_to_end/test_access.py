"""Nobody gets in where they do not belong: tokens at the edge, roles, internal paths, databases, brokers."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from storefront import Storefront, eventually, expect

SERVICES = ("svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications")


def port_of(stack_env: dict[str, str], service: str) -> int:
    return int(stack_env[f"{service.upper().replace('-', '_')}_PORT"])


def postgres_port(stack_env: dict[str, str], service: str) -> int:
    """Of the server that holds the service's database: all databases share one among host processes, none in containers."""
    own = stack_env.get(f"{service.upper().replace('-', '_')}_POSTGRES_PORT")
    return int(own or stack_env["POSTGRES_PORT"])


def requests_seen(stack_env: dict[str, str], service: str) -> float:
    """How many requests of the public API the service has answered."""
    text = httpx.get(f"http://127.0.0.1:{port_of(stack_env, service)}/metrics").text
    lines = re.findall(r'^shop_http_requests_total\{[^}]*route="api/v1/[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(float(value) for value in lines)


def encode_part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Forger:
    """Makes tokens out of a good one."""

    def __init__(self, good: str, refresh: str, keys: Path) -> None:
        self.good = good
        self.refresh = refresh
        self.header = jwt.get_unverified_header(good)
        self.claims = jwt.decode(good, options={"verify_signature": False})
        self.private = (keys / "private" / "jwt.pem").read_text()
        key = serialization.load_pem_private_key(self.private.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.service_key = (keys / "private" / "svc-orders.pem").read_text()

    def signed(
        self, key: str | None = None, header: dict[str, object] | None = None, **claims: object
    ) -> str:
        payload = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return jwt.encode(payload, key or self.private, "ES256", headers={**self.header, **(header or {})})

    def unsigned(self) -> str:
        return f"{encode_part({**self.header, 'alg': 'none'})}.{encode_part(self.claims)}."

    def hmac_with_the_public_key(self) -> str:
        import hashlib
        import hmac

        text = f"{encode_part({**self.header, 'alg': 'HS256'})}.{encode_part(self.claims)}"
        digest = hmac.new(self.public, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def with_other_claims(self) -> str:
        head, _, signature = self.good.split(".")
        return f"{head}.{encode_part({**self.claims, 'roles': ['admin']})}.{signature}"


FORGERIES: dict[str, Callable[[Forger], str]] = {
    "expired": lambda forger: forger.signed(exp=int(time.time()) - 60),
    "not yet valid": lambda forger: forger.signed(nbf=int(time.time()) + 600),
    "alg none": Forger.unsigned,
    "HS256 with the public key": Forger.hmac_with_the_public_key,
    "another key": lambda forger: forger.signed(forger.service_key),
    "an unknown kid": lambda forger: forger.signed(header={"kid": "nobody"}),
    "another audience": lambda forger: forger.signed(aud="another-shop"),
    "another issuer": lambda forger: forger.signed(iss="svc-orders"),
    "another type": lambda forger: forger.signed(header={"typ": "JWT"}),
    "a service token": lambda forger: forger.signed(forger.service_key, header={"typ": "svc+jwt"}),
    "no subject": lambda forger: forger.signed(sub=None),
    "no expiry": lambda forger: forger.signed(exp=None),
    "claims changed": Forger.with_other_claims,
    "a refresh token": lambda forger: forger.refresh,
    "half a token": lambda forger: forger.good[: len(forger.good) // 2],
    "nonsense": lambda _: "nonsense",
}


@pytest.fixture
def forger(buyer: Storefront) -> Forger:
    return Forger(buyer.access, buyer.refresh, Path(os.environ["SHOP_STATE_DIR"]) / "keys")


class TestTokensAtTheEdge:
    def test_a_missing_token_is_refused_and_the_service_sees_nothing(self, shop, stack_env):
        before = requests_seen(stack_env, "svc-orders")
        answer = shop.get("/orders")
        assert expect(answer, 401)["code"] == "unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert requests_seen(stack_env, "svc-orders") == before

    @pytest.mark.parametrize("forgery", FORGERIES)
    def test_a_forged_token_is_refused_and_a_good_one_beside_it_works(
        self, buyer, forger, stack_env, forgery
    ):
        assert buyer.get("/orders").status_code == 200
        before = requests_seen(stack_env, "svc-orders")
        token = FORGERIES[forgery](forger)
        answer = buyer.get("/orders", headers={"Authorization": f"Bearer {token}"})
        assert expect(answer, 401)["code"] == "invalid_token"
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert requests_seen(stack_env, "svc-orders") == before
        assert buyer.get("/orders").status_code == 200
        assert requests_seen(stack_env, "svc-orders") == before + 1

    def test_the_service_behind_refuses_a_forged_token_too(self, forger, stack_env):
        url = f"http://127.0.0.1:{port_of(stack_env, 'svc-orders')}/api/v1/orders"
        assert httpx.get(url, headers={"Authorization": f"Bearer {forger.good}"}).status_code == 200
        for forge in FORGERIES.values():
            assert httpx.get(url, headers={"Authorization": f"Bearer {forge(forger)}"}).status_code == 401

    def test_a_session_that_was_logged_out_is_refused_within_five_seconds(self, buyer):
        assert buyer.get("/accounts/me").status_code == 200
        assert buyer.post("/accounts/token/revoke", {"refresh": buyer.refresh}).status_code == 204
        eventually(lambda: buyer.get("/orders").status_code, lambda status: status == 401, seconds=5)
        assert expect(buyer.post("/accounts/token/refresh", {"refresh": buyer.refresh}), 401)

    def test_a_refresh_token_spent_a_moment_ago_gives_the_same_successor(self, buyer):
        spent = buyer.refresh
        buyer.renew()
        successor = buyer.refresh
        assert expect(buyer.post("/accounts/token/refresh", {"refresh": spent}), 200)["refresh"] == successor


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/internal/v1/manifest",
            "/internal/v1/carts/1",
            "/api/v1/internal/v1/manifest",
            "/api/v1/../../internal/v1/manifest",
            "/api/v1/orders/%2e%2e/%2e%2e/internal/v1/manifest",
            "/metrics",
            "/api/v1/metrics",
            "//internal/v1/manifest",
        ],
    )
    def test_nothing_internal_is_reachable(self, buyer, stack_env, path):
        with httpx.Client() as client:
            url = httpx.URL(str(buyer.http.base_url)).copy_with(raw_path=path.encode())
            answer = client.get(url, headers={"Authorization": f"Bearer {buyer.access}"})
        assert answer.status_code in {400, 404}
        assert answer.headers["Content-Type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "path", ["control/faults", "v1/refunds/re_1", "/control/faults", "3ds/../control/faults"]
    )
    def test_of_the_sandbox_provider_only_the_pages_are_reachable_even_with_its_key(
        self, shop, stack_env, path
    ):
        headers = {"Authorization": f"Bearer {stack_env['SANDBOX_API_KEY']}"}
        assert shop.http.get(f"/dev/payments/{path}", headers=headers).status_code in {400, 404}
        assert shop.http.get("/dev/payments/", headers=headers).status_code == 200

    def test_internal_endpoints_refuse_an_administrators_token(self, admin, stack_env):
        for service, path in {"svc-cart": f"carts/{uuid4()}", "svc-catalog": "variants?ids="}.items():
            url = f"http://127.0.0.1:{port_of(stack_env, service)}/internal/v1/{path}"
            assert httpx.get(url).status_code == 401
            assert httpx.get(url, headers={"Authorization": f"Bearer {admin.access}"}).status_code == 401

    def test_what_only_the_inside_may_say_is_not_believed(self, shop):
        answer = shop.get("/orders", headers={"X-User-Id": str(uuid4()), "X-User-Roles": "admin"})
        assert answer.status_code == 401

    def test_staff_routes_are_closed_to_buyers_and_open_to_staff(self, buyer, admin):
        variant = buyer.find_variant()
        body = {"delta": 1, "reason": "end-to-end test"}
        assert (
            expect(buyer.post(f"/catalog/variants/{variant['id']}/stock", body), 403)["code"]
            == "permission_denied"
        )
        assert admin.post(f"/catalog/variants/{variant['id']}/stock", body).status_code == 200
        admin.post(f"/catalog/variants/{variant['id']}/stock", {**body, "delta": -1})


class TestStores:
    @pytest.mark.parametrize(("role", "database"), list(itertools.permutations(SERVICES, 2)))
    def test_no_role_opens_the_database_of_another(self, stack_env, role, database):
        own, other = role.replace("-", "_"), database.replace("-", "_")
        # The second of its two logins, once its password has been replaced.
        login = f"{own}_b" if stack_env.get(f"{own.upper()}_DATABASE_LOGIN") == "b" else own

        def connect(name: str) -> psycopg.Connection:
            return psycopg.connect(
                host="127.0.0.1",
                port=postgres_port(stack_env, name.replace("_", "-")),
                user=login,
                password=stack_env[f"{own.upper()}_DATABASE_PASSWORD"],
                dbname=name,
                connect_timeout=5,
            )

        with pytest.raises(
            psycopg.OperationalError,
            # A server of the other service's own does not even know the role.
            match=r"permission denied for database|no pg_hba\.conf entry|password authentication failed",
        ):
            connect(other)
        with connect(own) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    @pytest.fixture
    def as_cart(self, stack_env: dict[str, str]) -> Iterator[redis.Redis]:
        client = redis.Redis(
            port=int(stack_env["REDIS_PORT"]),
            username="svc-cart",
            password=stack_env["SVC_CART_REDIS_PASSWORD"],
        )
        yield client
        client.close()

    def test_a_service_touches_only_its_own_keys_in_redis(self, as_cart):
        assert as_cart.set("svc-cart:test", "1", ex=5)
        for key in ("svc-orders:test", "gateway:revoked"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                as_cart.set(key, "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            as_cart.flushall()

    def test_redis_and_postgresql_want_a_password(self, stack_env):
        with (
            redis.Redis(port=int(stack_env["REDIS_PORT"])) as client,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            client.ping()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                host="127.0.0.1",
                port=postgres_port(stack_env, "svc-cart"),
                user="svc_cart",
                dbname="svc_cart",
            )
