"""Redis: one server, a user for each service that can touch its own keys only."""

import hashlib
from typing import Any

from shop import tools
from shop.envfile import accepted, prefix, write_private
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Program

#: Patterns beyond `SERVICE:*`. `gateway:` is the deny list and the cache versions, `live:` what open connections are told.
SHARED_KEYS = {
    "svc-accounts": ("gateway:*",),
    "svc-catalog": ("gateway:*",),
    "svc-orders": ("live:*",),
    "svc-notifications": ("live:*",),
    # In test stacks only: its tests stand for every service.
    "shared-lib": ("*",),
}


def url(service: str, env: dict[str, str]) -> str:
    return f"redis://{service}:{env[f'{prefix(service)}_REDIS_PASSWORD']}@127.0.0.1:{env['REDIS_PORT']}/0"


def access_list(env: dict[str, str], services: list[str], *, testing: bool = False) -> str:
    """The ACL file: passwords as hashes, nobody without one. `testing` adds the keys of a suite's own, `test-...`."""

    def user(name: str, secret: str, rights: str) -> str:
        hashes = " ".join(f"#{hashlib.sha256(value.encode()).hexdigest()}" for value in accepted(env, secret))
        return f"user {name} on {hashes} resetchannels {rights}\n"

    lines = ["user default off resetkeys resetchannels -@all\n"]
    lines.append(user("runner", "REDIS_PASSWORD", "~* &* +@all"))
    lines.append(
        user("gateway", "GATEWAY_REDIS_PASSWORD", "%R~gateway:* &gateway:* +@read +@connection +@pubsub")
    )
    for service in services:
        patterns = (f"{service}:*", *SHARED_KEYS.get(service, ()), *(("test-*",) if testing else ()))
        if "*" in patterns:  # Redis refuses a pattern beside the one that has all
            patterns = ("*",)
        keys = " ".join(f"~{pattern} &{pattern}" for pattern in patterns)
        lines.append(
            user(service, f"{prefix(service)}_REDIS_PASSWORD", f"{keys} +@all -@admin -@dangerous +info")
        )
    return "".join(lines)


def configure(layout: Layout, env: dict[str, str], services: list[str], *, testing: bool) -> None:
    """Write redis.conf and the access list."""
    (layout.data / "redis").mkdir(mode=0o700, exist_ok=True)
    write_private(layout.run / "redis.acl", access_list(env, services, testing=testing))
    write_private(
        layout.run / "redis.conf",
        "\n".join(
            (
                "bind 127.0.0.1",
                f"port {env['REDIS_PORT']}",
                "protected-mode yes",
                "daemonize no",
                'logfile ""',
                "databases 2",
                f'dir "{layout.data}/redis"',
                f'aclfile "{layout.run}/redis.acl"',
                'save ""',
                f"appendonly {'no' if testing else 'yes'}",
                "appendfsync everysec",
                # Only keys with an expiry may go when memory is short: the deny list has none.
                "maxmemory 256mb",
                "maxmemory-policy volatile-lru",
            )
        )
        + "\n",
    )


def set_passwords(env: dict[str, str], users: dict[str, str]) -> None:
    """Have the running server take what is accepted of each user's secret now (name of the user: name in `.env`).

    Connections that are open stay so.
    """
    import redis

    for password in accepted(env, "REDIS_PASSWORD"):
        client: Any = redis.Redis("127.0.0.1", int(env["REDIS_PORT"]), username="runner", password=password)
        try:
            with client:
                for user, secret in users.items():
                    known = {
                        f"#{hashlib.sha256(value.encode()).hexdigest()}" for value in accepted(env, secret)
                    }
                    had = {f"#{each}" for each in client.acl_getuser(user)["passwords"]}
                    changes = [*sorted(known - had), *(f"!{each[1:]}" for each in sorted(had - known))]
                    if changes:
                        client.execute_command("ACL", "SETUSER", user, *changes)
            return
        except redis.AuthenticationError:
            continue
    raise Problem("Redis knows another REDIS_PASSWORD than the one in .env: put the old .env back.")


def program(layout: Layout, env: dict[str, str]) -> Program:
    return Program(
        name="redis",
        phase="stores",
        argv=[tools.find("redis-server"), str(layout.run / "redis.conf")],
        cwd=layout.data,
        reads=(layout.run / "redis.conf", layout.run / "redis.acl"),
        listens=(int(env["REDIS_PORT"]),),
        death_signal="TERM",
    )
