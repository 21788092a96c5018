"""Every secret of the running stack is replaced while people use the shop: nobody is refused, and no old value counts any more."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import httpx
import jwt
import psycopg
import pytest
import redis

from shop import keys, postgres, rabbitmq, rotation, services, stack
from shop import redis as shop_redis
from shop.envfile import prefix
from shop.layout import ROOT, find_layout
from shop.report import Progress

pytestmark = pytest.mark.stack
sys.path.append(str(ROOT / "tests"))


def found() -> stack.Stack:
    shop = stack.find(find_layout(), Progress())
    assert shop is not None
    return shop


class Life(threading.Thread):
    """One thing that people do, over and over. `answers` is how many came, `refused` those that are no answer to it."""

    def __init__(self, number: int, step: Callable[[Any], None]) -> None:
        super().__init__()
        self.answers = 0
        self.refused: list[str] = []
        self.enough = threading.Event()
        self._number, self._step = number, step

    def run(self) -> None:
        from storefront import Storefront

        def watch(response: httpx.Response) -> None:
            self.answers += 1
            if response.status_code >= 400 and response.status_code != 429:
                self.refused.append(
                    f"{response.request.method} {response.request.url.path}: {response.status_code} {response.text[:200]}"
                )

        # Nginx closes idle connections when it reloads, as HTTP lets a server do at any time: a client that keeps them has to
        # be ready to send a request again. What is counted here is what is answered, or not, on connections of their own.
        with Storefront(
            os.environ["SHOP_BASE_URL"],
            address=f"198.18.240.{self._number}",
            watch=watch,
            keeps_connections=False,
        ) as client:
            try:
                client.register()
                while not self.enough.is_set():
                    self._step(client)
                    self.enough.wait(0.2)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.refused.append(repr(error))


def sign_in(client: Any) -> None:
    client.login("buyer@example.com", os.environ["DEMO_PASSWORD"])
    client.get("/accounts/me")


def refresh(client: Any) -> None:
    client.renew()
    client.get("/accounts/me")


def fill_cart(client: Any) -> None:
    client.renew()
    client.add_to_cart(client.find_variant(at_least=40)["id"])
    client.delete("/cart")


def buy(client: Any) -> None:
    from storefront import eventually

    client.renew()
    client.buy(client.find_variant(at_least=40)["id"])
    eventually(lambda: client.get("/cart").json()["lines"], lambda lines: not lines, seconds=30)


@pytest.fixture
def lives() -> Iterator[list[Life]]:
    crowd = [Life(number, step) for number, step in enumerate((sign_in, refresh, fill_cart, buy), 1)]
    for life in crowd:
        life.start()
    while any(life.answers < 6 and not life.refused for life in crowd):
        time.sleep(0.05)
    yield crowd
    for life in crowd:
        life.enough.set()
        life.join()


def rotate(*names: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "deploy" / "shop"), "rotate"],
        cwd=ROOT,
        env={**os.environ, "RUNTIME": "native", "SECRET": ",".join(names), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_secret_is_replaced_under_load_and_no_old_one_counts(lives):
    before = found()
    old = dict(before.env)
    layout = before.layout
    old_keys = {path.name: path.read_text() for path in (layout.keys / "private").iterdir()}
    done = rotate("all", NOW="1")
    for life in lives:
        life.enough.set()
        life.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [life.refused for life in lives] == [[]] * len(lives), done.stdout
    assert all(life.answers > 20 for life in lives), [life.answers for life in lives]

    new = found().env
    names = rotation.known(before.services)
    plain = [name for name in names if not name.endswith(".pem")]
    assert [name for name in plain if new[name] == old[name]] == []
    assert not [name for name in new if name.endswith(("_NEXT", "_PREVIOUS"))]
    for name, text in old_keys.items():
        if name.removesuffix(".pem") in (*before.services, keys.JWT_KEY):
            assert (layout.keys / "private" / name).read_text() != text, name
    refuse_the_old(old, old_keys, before)
    with postgres.connect(new) as connection:
        owners = connection.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'svc%' AND pg_get_userbyid(datdba) <> datname"
        ).fetchone()
    assert owners == (0,)


def refuse_the_old(old: dict[str, str], old_keys: dict[str, str], shop: stack.Stack) -> None:
    new = found().env
    for service in ("svc-cart", "svc-orders"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url(service, old), connect_timeout=5)
        psycopg.connect(postgres.url(service, new), connect_timeout=5).close()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(shop_redis.url(service, {**old, "REDIS_PORT": new["REDIS_PORT"]})).ping()
        with pytest.raises(amqp.AccessRefused):
            broker(service, old)
        broker(service, new)
    for name in ("AUDITOR_DATABASE_PASSWORD", "POSTGRES_PASSWORD"):
        role = postgres.AUDITOR if name.startswith("AUDITOR") else "postgres"
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                f"postgresql://{role}:{old[name]}@127.0.0.1:{new['POSTGRES_PORT']}/svc_cart",
                connect_timeout=5,
            )
    provider = f"http://127.0.0.1:{new['SANDBOX_PORT']}/v1/payment_intents"
    answers = [
        httpx.get(provider, headers={"Authorization": f"Bearer {env['SANDBOX_API_KEY']}"}).status_code
        for env in (old, new)
    ]
    assert answers == [401, 200]
    supervisor = f"http://127.0.0.1:{new['SUPERVISOR_PORT']}/RPC2"
    assert httpx.post(supervisor, auth=("shop", old["SUPERVISOR_PASSWORD"])).status_code == 401
    refuse_old_tokens(old_keys, new)


def broker(service: str, env: dict[str, str]) -> None:
    with amqp.Connection(
        host=f"127.0.0.1:{env['RABBITMQ_PORT']}",
        userid=rabbitmq.login_of(service, env),
        password=env[f"{prefix(service)}_RABBITMQ_PASSWORD"],
        virtual_host=rabbitmq.EVENTS,
    ):
        pass


def refuse_old_tokens(old_keys: dict[str, str], env: dict[str, str]) -> None:
    """Well made in all but that the key is gone."""
    from shared_lib.auth.keys import load_private_key, public_jwk

    layout = find_layout()
    now = int(time.time())
    statuses = {}
    for which, text in (
        ("old", old_keys["jwt.pem"]),
        ("new", (layout.keys / "private" / "jwt.pem").read_text()),
    ):
        file = layout.run / "probe.pem"
        file.write_text(text)
        kid = public_jwk(load_private_key(file).public_key())["kid"]
        file.unlink()
        claims = {"iss": "svc-accounts", "aud": "shop", "sub": "0199a0c0-0000-7000-8000-000000000001"}
        claims |= {
            "sid": "0199a0c0-0000-7000-8000-000000000002",
            "jti": "a",
            "iat": now,
            "exp": now + 300,
            "roles": ["customer"],
        }
        token = jwt.encode(claims, text, "ES256", headers={"typ": "at+jwt", "kid": kid})
        headers = {"Authorization": f"Bearer {token}"}
        # This stack's edge reads the key set every five seconds.
        until = time.monotonic() + (15 if which == "old" else 0)
        while True:
            answer = httpx.get(f"{services.base_url(env)}/api/v1/orders", headers=headers, timeout=30)
            if answer.status_code == 401 or time.monotonic() >= until:
                break
            time.sleep(1)
        statuses[which] = answer.status_code
    assert statuses == {"old": 401, "new": 200}
    statuses, now = {}, int(time.time())
    for which, text in (
        ("old", old_keys["svc-orders.pem"]),
        ("new", (layout.keys / "private" / "svc-orders.pem").read_text()),
    ):
        claims = {"iss": "svc-orders", "aud": "svc-payments", "iat": now, "exp": now + 60}
        token = jwt.encode(claims, text, "ES256", headers={"typ": "svc+jwt"})
        path = f"http://127.0.0.1:{env['SVC_PAYMENTS_PORT']}/internal/v1/payments/0199a0c0-0000-7000-8000-000000000001"
        statuses[which] = httpx.get(
            path, headers={"Authorization": f"Bearer {token}"}, timeout=30
        ).status_code
    assert statuses == {"old": 401, "new": 404}


def test_a_rotation_that_is_cut_off_goes_on_where_it_was():
    """After each of its steps the runner dies; the next run finishes, and `.env` holds nothing of it."""
    for stop_before in ("_accept", "_use", "restart", "_retire"):
        shop = found()
        one = rotation.HostProcesses(
            shop, ["SVC_CART_DATABASE_PASSWORD", "SVC_CART_REDIS_PASSWORD", "svc-cart.pem"], now=False
        )

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        setattr(one, stop_before, die)
        with pytest.raises(KeyboardInterrupt):
            one.run()
        assert json.dumps(found().env) != json.dumps(shop.env) or found().env == shop.env
    done = rotate("SVC_CART_DATABASE_PASSWORD", "SVC_CART_REDIS_PASSWORD", "svc-cart.pem")
    assert done.returncode == 0, done.stdout + done.stderr
    env = found().env
    assert not [name for name in env if name.endswith(("_NEXT", "_PREVIOUS", "_SINCE"))]
    assert not list(Path(find_layout().keys).rglob("svc-cart.*.pem"))
    psycopg.connect(postgres.url("svc-cart", env), connect_timeout=5).close()


@pytest.mark.parametrize("name", ["DEMO_PASSWORD", "SVC_CART_PASSWORD", ""])
def test_what_is_no_secret_to_replace_is_a_sentence(name):
    done = rotate(name)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
