"""`make rotate SECRET=NAME`: another value for a secret or a key pair of the running stack, without a refused request.

Three steps: the new value is accepted beside the old one (NAME_NEXT in `.env`), it is in use and the old one still accepted
(NAME_PREVIOUS), the old one is gone. What stands in `.env` and lies among the keys says which step is next, and each can be done
again, so that a rotation that was cut off goes on where it was. docs/secrets.md tells of each secret.
"""

import argparse
import base64
import json
import os
import secrets
import time
import urllib.error
import urllib.request
import xmlrpc.client
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from shop import gateway, postgres, rabbitmq, redis, rolling, services, stack, supervisor
from shop.envfile import SECRETS, SERVICE_SECRETS, change, prefix
from shop.keys import JWT_KEY
from shop.layout import Layout
from shop.pairs import Pair
from shop.problems import Problem
from shop.report import Progress

#: Where what was signed outlives the process that signed it: the setting of svc-accounts that says how long, and its default.
LASTING = {
    "SVC_ACCOUNTS_SECRET_KEY": ("SESSION_SECONDS", 30 * 86400),
    f"{JWT_KEY}.pem": ("ACCESS_TOKEN_SECONDS", 600),
}
#: Nobody but the runner has them: replaced in one step.
RUNNERS = ("POSTGRES_PASSWORD", "AUDITOR_DATABASE_PASSWORD", "SUPERVISOR_PASSWORD")
#: How long clocks may differ, and a request be under way.
LEEWAY_SECONDS = 30


def known(found: list[str]) -> list[str]:
    """Every name that SECRET= may have, `all` aside."""
    own = [f"{prefix(service)}_{suffix}" for service in found for suffix in SERVICE_SECRETS]
    return [*SECRETS, *own, *(f"{name}.pem" for name in (*found, JWT_KEY))]


def run(shop: stack.Stack, arguments: argparse.Namespace) -> int:
    """Replace what SECRET names; NOW=1 has LASTING ones end at once."""
    for sentence in HostProcesses(shop, wanted(shop.services), now=ends_now()).run():
        print(sentence)
    return 0


def ends_now() -> bool:
    return os.environ.get("NOW") == "1"


def wanted(found: list[str]) -> list[str]:
    """What SECRET names: one, several with commas between, or `all`. Raises Problem for what cannot be replaced."""
    every = known(found)
    told = os.environ.get("SECRET") or ""
    names = every if told == "all" else list(filter(None, told.split(",")))
    if "DEMO_PASSWORD" in names:
        raise Problem(
            "DEMO_PASSWORD is what the seed gave the demo logins: it protects nothing else, and each login changes its own"
            " by POST /accounts/password/change."
        )
    if not names or set(names) - set(every):
        raise Problem(f"SECRET={told}: there are all, {', '.join(every)}.")
    return names


class Rotation(ABC):
    """One run for the secrets `names` of a stack that runs: its `.env` and its `services`. With `now` the old value of LASTING ones
    is gone at the end, too. A runtime says how it reaches its stores and gives its processes what has changed.
    """

    def __init__(
        self, layout: Layout, env: dict[str, str], found: list[str], names: list[str], *, now: bool
    ) -> None:
        self.layout, self.env, self.services = layout, env, found
        self.say = Progress().say
        self.now = now
        self.pairs = {name: Pair.of(self.layout, name[:-4]) for name in names if name.endswith(".pem")}
        self.names = [name for name in names if name not in self.pairs]
        self.gateway_changed = "GATEWAY_REDIS_PASSWORD" in names

    def run(self) -> list[str]:
        """All steps that are left; returns sentences on what has to wait. Raises Problem, and run again goes on from there."""
        self._draw()
        self._accept()
        self.say("the new values are accepted")
        self._use()
        self.restart(self._concerned())
        self.say("the new values are in use")
        waiting = self._retire()
        self.settle()
        self.say("the old values are gone" if not waiting else "the other old values are gone")
        return waiting

    # Which

    def _of(self, suffix: str) -> list[str]:
        """The services whose secret of this kind is among ours."""
        return [service for service in self.services if f"{prefix(service)}_{suffix}" in self.names]

    def _concerned(self) -> list[str]:
        """The services that have one of the secrets in their processes."""
        own = {service for suffix in SERVICE_SECRETS for service in self._of(suffix)}
        own |= {name[:-4] for name in self.pairs}
        if {"SANDBOX_API_KEY", "SANDBOX_WEBHOOK_SECRET"} & set(self.names):
            own.add("svc-payments")
        if f"{JWT_KEY}.pem" in self.pairs:
            own.add("svc-accounts")
        return [service for service in self.services if service in own]

    def _redis_users(self) -> dict[str, str]:
        users = {service: f"{prefix(service)}_REDIS_PASSWORD" for service in self._of("REDIS_PASSWORD")}
        users |= {"runner": "REDIS_PASSWORD", "gateway": "GATEWAY_REDIS_PASSWORD"}
        return {user: name for user, name in users.items() if name in self.names}

    # The first step

    def _draw(self) -> None:
        """A new value for each that has none on its way."""
        for pair in self.pairs.values():
            pair.draw()
        self._change(
            {
                f"{name}_NEXT": secrets.token_urlsafe(40)
                for name in self.names
                if f"{name}_NEXT" not in self.env and f"{name}_PREVIOUS" not in self.env
            }
        )

    def _accept(self) -> None:
        env = self.env
        self.write()
        if users := self._redis_users():
            redis.set_passwords(self.reach(), users)
        if self._of("RABBITMQ_PASSWORD") or "RABBITMQ_PASSWORD" in self.names:
            self.tell_broker()
        for service in self._of("DATABASE_PASSWORD"):
            if new := env.get(f"{prefix(service)}_DATABASE_PASSWORD_NEXT"):
                with postgres.connect(self.reach(service)) as connection:
                    postgres.let_in(connection, service, postgres.login_of(service, env, other=True), new)
        jwt = self.pairs.get(f"{JWT_KEY}.pem")
        if "SVC_ACCOUNTS_SECRET_KEY_NEXT" in env or (jwt and jwt.next_private.exists()):
            # Of its processes one may meet what another has signed with the new value.
            self.restart(["svc-accounts"])
        if jwt and jwt.next_private.exists():
            self._show_to_gateway(jwt.next_public)

    def _show_to_gateway(self, public: Path) -> None:
        """A token that names the next key makes the gateway read the public keys, before anybody's does."""
        from shared_lib.auth.keys import load_public_key, public_jwk

        kid = public_jwk(load_public_key(public))["kid"]
        parts = ({"alg": "ES256", "typ": "at+jwt", "kid": kid}, {"sub": "nobody"})
        text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{services.base_url(self.env)}/api/v1/accounts/me",
            headers={"Authorization": f"Bearer {text}.{_base64(bytes(64))}"},
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - our own address
            except urllib.error.HTTPError as refusal:
                if json.loads(refusal.read()).get("reason") == "bad_signature":
                    return
            if time.monotonic() > deadline:
                raise Problem(
                    "The gateway does not read the new public key: `make logs SERVICE=gateway` tells why."
                )
            time.sleep(0.5)

    # The second

    def _use(self) -> None:
        env = self.env
        administrators = {"POSTGRES_PASSWORD": "postgres", "AUDITOR_DATABASE_PASSWORD": postgres.AUDITOR}
        for name, role in administrators.items():
            if name in self.names and (new := env.get(f"{name}_NEXT")):
                for server in self.servers():
                    with postgres.connect(server) as connection:
                        postgres.set_password(connection, role, new)
        if "SUPERVISOR_PASSWORD" in self.names and (new := env.get("SUPERVISOR_PASSWORD_NEXT")):
            self.tell_supervisor(new)
        for pair in self.pairs.values():
            pair.swap()
        given: dict[str, str] = {}
        gone: list[str] = []
        for name in self.names:
            if new := env.get(f"{name}_NEXT"):
                given[name] = new
                gone.append(f"{name}_NEXT")
                if name not in (*RUNNERS, "RABBITMQ_PASSWORD"):
                    given |= {f"{name}_PREVIOUS": env[name], f"{name}_SINCE": str(int(time.time()))}
                given |= self._other_login(name)
        self._change({**given, **self._addresses({**env, **given})}, *gone)
        if "RABBITMQ_PASSWORD" in self.names:
            self.tell_broker()
        self.write()
        if self.gateway_changed:
            self.reload_gateway()

    def _other_login(self, name: str) -> dict[str, str]:
        """Where a service has two logins, the new value is the other one's."""
        for kind in ("DATABASE", "RABBITMQ"):
            if name.startswith("SVC_") and name.endswith(f"_{kind}_PASSWORD"):
                login = f"{name.removesuffix('PASSWORD')}LOGIN"
                return {login: "a" if self.env.get(login) == "b" else "b"}
        return {}

    def _addresses(self, new: dict[str, str]) -> dict[str, str]:
        """What `.env` gives to one service as an address (`SVC_X__DATABASE_URL`), with the new login and password in it."""
        found = {}
        for service in self.services:
            swaps = dict(zip(_credentials(service, self.env), _credentials(service, new), strict=True))
            for name, value in self.env.items():
                if name.startswith(f"{prefix(service)}__") and "://" in value:
                    for old, other in swaps.items():
                        value = value.replace(f"//{old}@", f"//{other}@")  # noqa: PLW2901
                    if value != self.env[name]:
                        found[name] = value
        return found

    # The third

    def _retire(self) -> list[str]:
        """Take the old values back, but those that still count; a sentence for each of these."""
        env, waiting, gone = self.env, [], []
        for name in (*self.names, *self.pairs):
            if name not in self.pairs and f"{name}_PREVIOUS" not in env:
                continue
            if until := self._lasts(name):
                when = datetime.fromtimestamp(until, UTC).isoformat(timespec="minutes")
                waiting.append(
                    f"{name}: what the old one signed counts until {when}; then `make rotate SECRET={name}` ends it"
                    " (NOW=1: at once, for a value that was stolen; people sign in again)."
                )
            elif pair := self.pairs.get(name):
                pair.retire()
            else:
                gone.append(name)
        self._change({}, *(f"{name}{suffix}" for name in gone for suffix in ("_PREVIOUS", "_SINCE")))
        self.write()
        if users := self._redis_users():
            redis.set_passwords(self.reach(), users)
        if self._of("RABBITMQ_PASSWORD"):
            old = [rabbitmq.login_of(service, env, other=True) for service in self._of("RABBITMQ_PASSWORD")]
            self.forget_at_broker(old)
        for service in self._of("DATABASE_PASSWORD"):
            with postgres.connect(self.reach(service)) as connection:
                postgres.shut_out(connection, postgres.login_of(service, env, other=True))
        lasting = {"SVC_ACCOUNTS_SECRET_KEY", f"{JWT_KEY}.pem"} & {*gone, *self.pairs}
        if lasting and not any(sentence.startswith(tuple(lasting)) for sentence in waiting):
            self.restart(["svc-accounts"])
        return waiting

    def _lasts(self, name: str) -> float | None:
        """Until when the old value counts, as Unix time; None where it may go."""
        if name not in LASTING or self.now:
            return None
        setting, default = LASTING[name]
        seconds = int(self.env.get(f"SVC_ACCOUNTS__{setting}", default)) + LEEWAY_SECONDS
        if pair := self.pairs.get(name):
            since = time.time() - pair.age()
        else:
            since = float(self.env.get(f"{name}_SINCE", "0"))
        return since + seconds if time.time() < since + seconds else None

    # What all steps need

    def _change(self, given: dict[str, str], *gone: str) -> None:
        if given or gone:
            change(self.layout.env_file, self.env, given, *gone)

    # What the runtime does

    @abstractmethod
    def reach(self, service: str | None = None) -> dict[str, str]:
        """`.env` with the ports by which the runner reaches Redis and the PostgreSQL server of that service."""

    @abstractmethod
    def servers(self) -> list[dict[str, str]]:
        """The same for each PostgreSQL server that there is."""

    @abstractmethod
    def write(self) -> None:
        """Write the files that programs read again while they run."""

    @abstractmethod
    def tell_broker(self) -> None:
        """Have RabbitMQ take in users and passwords that are new."""

    @abstractmethod
    def forget_at_broker(self, users: list[str]) -> None:
        """They can no longer sign in."""

    @abstractmethod
    def tell_supervisor(self, new: str) -> None:
        """Where there is one, it takes this password from now on."""

    @abstractmethod
    def reload_gateway(self) -> None:
        """The gateway reads its files again."""

    @abstractmethod
    def restart(self, names: list[str]) -> None:
        """New processes for these services while they serve; returns when everything is ready."""

    @abstractmethod
    def settle(self) -> None:
        """What programs read at their next start is written, so that `make up` finds nothing changed."""


class HostProcesses(Rotation):
    """Of host processes."""

    def __init__(self, shop: stack.Stack, names: list[str], *, now: bool) -> None:
        super().__init__(shop.layout, shop.env, shop.services, names, now=now)
        self.shop = shop

    def reach(self, service: str | None = None) -> dict[str, str]:
        return self.env

    def servers(self) -> list[dict[str, str]]:
        return [self.env]

    def write(self) -> None:
        services.write_secrets(self.layout, self.env)

    def tell_broker(self) -> None:
        rabbitmq.configure(self.layout, self.env, self.shop.tenants, testing=self.shop.testing)
        rabbitmq.import_definitions(self.layout, self.env)

    def forget_at_broker(self, users: list[str]) -> None:
        rabbitmq.delete_users(self.layout, self.env, users)

    def tell_supervisor(self, new: str) -> None:
        for password in (self.env["SUPERVISOR_PASSWORD"], new):
            with suppress(xmlrpc.client.ProtocolError):
                supervisor.change_password({**self.env, "SUPERVISOR_PASSWORD": password}, new)
                return
        raise Problem(
            "The supervisor knows another SUPERVISOR_PASSWORD than the one in .env: put the old .env back."
        )

    def reload_gateway(self) -> None:
        if gateway.present(self.layout):
            self.shop.reload_gateway()

    def restart(self, names: list[str]) -> None:
        for service in names:
            programs = [f"{service}-{process}" for process in services.PROCESSES]
            rolling.restart(self.shop, programs, keep_serving=True)
        if names:
            self.shop.ready.everything()

    def settle(self) -> None:
        env, shop = self.env, self.shop
        redis.configure(self.layout, env, shop.tenants, testing=shop.testing)
        rabbitmq.configure(self.layout, env, shop.tenants, testing=shop.testing)
        supervisor.configure(self.layout, env, shop.programs())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _credentials(service: str, env: dict[str, str]) -> list[str]:
    """LOGIN:PASSWORD of a service at each store."""
    mine = prefix(service)
    return [
        f"{postgres.login_of(service, env)}:{env[f'{mine}_DATABASE_PASSWORD']}",
        f"{rabbitmq.login_of(service, env)}:{env[f'{mine}_RABBITMQ_PASSWORD']}",
        f"{service}:{env[f'{mine}_REDIS_PASSWORD']}",
    ]
