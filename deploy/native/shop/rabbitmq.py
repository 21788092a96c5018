"""RabbitMQ: one broker with a virtual host for events and one for each service's jobs; and the epmd that it needs."""

import base64
import hashlib
import json
from pathlib import Path

from shop import tools
from shop.envfile import prefix, write_private
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Program, Wait

EVENTS = "events"
#: For tests: empty, with the rights of `events`.
RIGHTS = "test-rights"
#: The distribution's server script itself: the one in PATH is a wrapper that changes the user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def jobs_host(service: str) -> str:
    return f"jobs-{service}"


def test_host(kind: str, tenant: str) -> str:
    """The virtual host of one suite of tests, `kind` being "events" or "jobs"."""
    return f"test-{kind}-{tenant}"


def login_of(service: str, env: dict[str, str], *, other: bool = False) -> str:
    """The user by which a service signs in now, or the `other` of its two: one can while the other's password is replaced."""
    second = env.get(f"{prefix(service)}_RABBITMQ_LOGIN") == "b"
    return f"{service}.b" if second != other else service


def _passwords(tenant: str, env: dict[str, str]) -> dict[str, str]:
    """Each user by which a tenant may sign in now, with its password."""
    secret = f"{prefix(tenant)}_RABBITMQ_PASSWORD"
    others = {env[name] for name in (f"{secret}_NEXT", f"{secret}_PREVIOUS") if name in env}
    return {
        login_of(tenant, env): env[secret],
        **{login_of(tenant, env, other=True): password for password in others},
    }


def url(service: str, env: dict[str, str], host: str) -> str:
    return f"amqp://{login_of(service, env)}:{env[f'{prefix(service)}_RABBITMQ_PASSWORD']}@127.0.0.1:{env['RABBITMQ_PORT']}/{host}"


def _user(name: str, password: str, tags: list[str]) -> dict[str, object]:
    # The salt is made from the password, so that the file is the same each time and the broker imports nothing twice.
    salt = hashlib.sha256(f"{name}:{password}".encode()).digest()[:4]
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": digest,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def definitions(env: dict[str, str], tenants: list[str], *, testing: bool) -> dict[str, object]:
    """Users, virtual hosts and rights, as the broker imports them at its start.

    In `events` a service may do what its row of the contracts needs (`shared_lib.events.permissions`), in the virtual host
    of its jobs everything. `testing` adds two virtual hosts for each tenant's own tests, so that what these leave in queues
    never reaches a running service, and one with the rights of `events` and nothing in it.
    """
    from shared_lib.contracts.subscriptions import SUBSCRIPTIONS
    from shared_lib.events import permissions

    hosts = [EVENTS, *map(jobs_host, tenants)]
    services = [tenant for tenant in tenants if tenant in SUBSCRIPTIONS]
    strict = [permissions.definitions(services, EVENTS)]
    allowed = [(tenant, jobs_host(tenant)) for tenant in tenants]
    if testing:
        own = [(tenant, test_host(kind, tenant)) for tenant in tenants for kind in ("events", "jobs")]
        hosts += [RIGHTS, *(host for _, host in own)]
        allowed += own
        strict.append(permissions.definitions(services, RIGHTS))
    allowed += [("runner", host) for host in hosts]
    return {
        "users": [
            _user("runner", env["RABBITMQ_PASSWORD"], ["administrator"]),
            *(
                _user(user, password, [])
                for tenant in tenants
                for user, password in _passwords(tenant, env).items()
            ),
        ],
        "vhosts": [{"name": host} for host in hosts],
        "permissions": _for_each_login(
            [
                {"user": user, "vhost": host, "configure": ".*", "write": ".*", "read": ".*"}
                for user, host in allowed
            ]
            + [right for each in strict for right in each["permissions"]],
            env,
        ),
        "topic_permissions": _for_each_login(
            [right for each in strict for right in each["topic_permissions"]], env
        ),
    }


def _for_each_login(rights: list[dict[str, str]], env: dict[str, str]) -> list[dict[str, str]]:
    """The rights of a tenant, for each user by which it may sign in."""
    return [
        {**right, "user": user}
        for right in rights
        for user in (["runner"] if right["user"] == "runner" else _passwords(right["user"], env))
    ]


def import_definitions(layout: Layout, env: dict[str, str]) -> None:
    """Have the running broker take in what `configure` wrote: users, passwords and rights that are new."""
    _control(layout, env, "import_definitions", str(layout.run / "rabbitmq-definitions.json"))


def delete_users(layout: Layout, env: dict[str, str], users: list[str]) -> None:
    """They can no longer sign in, and what they left open is closed."""
    calls = ",".join(
        f'catch rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"runner">>)' for user in users
    )
    _control(layout, env, "eval", f"{calls}.")


def _control(layout: Layout, env: dict[str, str], *arguments: str) -> None:
    tools.run(
        [str(SERVER.with_name("rabbitmqctl")), "--quiet", *arguments],
        doing=f"rabbitmqctl {arguments[0]}",
        env=_environment(layout, env),
    )


def configure(layout: Layout, env: dict[str, str], services: list[str], *, testing: bool) -> None:
    """Write rabbitmq.conf and the definitions."""
    home = layout.data / "rabbitmq"
    home.mkdir(mode=0o700, exist_ok=True)
    write_private(
        layout.run / "rabbitmq-definitions.json",
        json.dumps(definitions(env, services, testing=testing), indent=1),
    )
    write_private(layout.run / "rabbitmq-plugins", "[].\n")
    write_private(layout.run / "rabbitmq-env.conf", "")
    write_private(
        layout.run / "rabbitmq.conf",
        "\n".join(
            (
                f"listeners.tcp.1 = 127.0.0.1:{env['RABBITMQ_PORT']}",
                "definitions.import_backend = local_filesystem",
                f"definitions.local.path = {layout.run}/rabbitmq-definitions.json",
                "definitions.skip_if_unchanged = true",
                "log.file = false",
                "log.console = true",
                "log.console.level = warning",
                "disk_free_limit.absolute = 200MB",
                "vm_memory_high_watermark.absolute = 768MB",
            )
        )
        + "\n",
    )


def consumed(env: dict[str, str], host: str, queues: list[str]) -> set[str]:
    """Those of the queues that somebody reads from. Raises OSError while the broker does not answer."""
    import amqp

    found = set()
    address = f"127.0.0.1:{env['RABBITMQ_PORT']}"
    with amqp.Connection(
        host=address, userid="runner", password=env["RABBITMQ_PASSWORD"], virtual_host=host
    ) as connection:
        for queue in queues:
            try:
                # A failed question closes its channel, so each has one of its own.
                if connection.channel().queue_declare(queue, passive=True).consumer_count:
                    found.add(queue)
            except amqp.NotFound:
                continue
    return found


def _environment(layout: Layout, env: dict[str, str]) -> dict[str, str]:
    home = layout.data / "rabbitmq"
    return {
        "HOME": str(home),
        "ERL_EPMD_PORT": env["EPMD_PORT"],
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"shop-{env['RABBITMQ_PORT']}@localhost",
        "RABBITMQ_NODE_PORT": env["RABBITMQ_PORT"],
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": env["RABBITMQ_DIST_PORT"],
        "RABBITMQ_MNESIA_BASE": str(home / "db"),
        "RABBITMQ_LOG_BASE": str(layout.logs),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(layout.run / "rabbitmq.pid"),
        "RABBITMQ_CONFIG_FILE": str(layout.run / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(layout.run / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(layout.run / "rabbitmq-plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        # Makes the script execute the virtual machine in its own place, so that no shell stands between it and us.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def programs(layout: Layout, env: dict[str, str]) -> list[Program]:
    if not SERVER.exists():
        raise Problem(f"{SERVER} is missing: install the package rabbitmq-server.")
    environment = _environment(layout, env)
    return [
        Program(
            name="epmd",
            phase="names",
            argv=[tools.find("epmd"), "-port", env["EPMD_PORT"], "-address", "127.0.0.1"],
            cwd=layout.data,
            listens=(int(env["EPMD_PORT"]),),
        ),
        Program(
            name="rabbitmq",
            phase="stores",
            argv=[str(SERVER)],
            cwd=layout.data,
            env=environment,
            reads=(layout.run / "rabbitmq.conf", layout.run / "rabbitmq-definitions.json"),
            waits=(Wait("epmd", int(env["EPMD_PORT"])),),
            listens=(int(env["RABBITMQ_PORT"]), int(env["RABBITMQ_DIST_PORT"])),
            stop_seconds=30,
            death_signal="TERM",
        ),
    ]
