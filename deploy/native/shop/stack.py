"""One stack: brought up in the order of readiness, taken down, removed."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from shop import gateway, postgres, processes, rabbitmq, redis, releases, services, supervisor, tools
from shop.disk import check_space
from shop.envfile import complete, known_keys, load
from shop.keys import ensure_keys
from shop.layout import Layout
from shop.ports import holder
from shop.problems import Problem
from shop.program import Program
from shop.readiness import Readiness
from shop.report import Progress

#: Services that are migrated at the same time.
AT_ONCE = 2
#: Milliseconds that a migration beside running processes waits for a lock: less than the gateway waits for an answer.
LOCK_TIMEOUT_MS = "4000"
PHASES = ("edge", "services", "stores", "names")


class Stack:
    """The running or future stack in one state folder.

    `testing` makes it a throwaway one: nothing is synced to disk, the services' roles may make databases, shared-lib has a
    database and virtual hosts too, and it ends with the process that started it. `durable` has PostgreSQL sync to disk all the
    same. `stores_only` leaves the services and the gateway out.
    """

    def __init__(
        self,
        layout: Layout,
        env: dict[str, str],
        progress: Progress,
        *,
        testing: bool = False,
        stores_only: bool = False,
        durable: bool = False,
    ) -> None:
        self.layout = layout
        self.env = env
        self.testing = testing
        self.durable = durable or not testing
        self.stores_only = stores_only
        self.progress = progress
        self.services = services.discover(layout.root)
        self.tenants = tenants(layout.root, testing=testing)
        self.changed: set[str] = set()
        self.started: set[str] = set()
        self.ready = Readiness(layout, env, self.services)
        self._calls = threading.Lock()

    # What there is

    def programs(self) -> list[Program]:
        """Every program of the stack, in the order in which they are started."""
        layout, env = self.layout, self.env
        found = [*rabbitmq.programs(layout, env), postgres.program(layout, env), redis.program(layout, env)]
        if (layout.root / "deploy" / "mail" / "__main__.py").exists():
            found.append(services.mail(layout, env))
        found.append(services.traces(layout, env))
        if self.stores_only:
            return found
        if (layout.root / "svc-payments" / "sandbox").exists():
            found.append(services.sandbox(layout, env))
        for service in self.services:
            found += services.programs(layout, env, service, self.services)
        if gateway.present(layout):
            found.append(gateway.program(layout, env))
        return found

    @property
    def rpc(self) -> supervisor.Calls:
        return supervisor.Calls(self.env)

    # Up

    def configure(self) -> None:
        """Write every file that the programs read, and start the supervisor if it does not run."""
        layout, env = self.layout, self.env
        running = supervisor.pid(layout)
        if running is None:
            self._sweep()
            self._check_ports()
            check_space(layout.state, postgres.data_folder(layout))
        ensure_keys(layout, self.tenants)
        services.write_secrets(layout, env)
        redis.configure(layout, env, self.tenants, testing=self.testing)
        rabbitmq.configure(layout, env, self.tenants, testing=self.testing)
        has_gateway = gateway.present(layout) and not self.stores_only
        gateway_changed = has_gateway and gateway.configure(layout, env, self.services)
        self.changed = supervisor.configure(layout, env, self.programs())
        if running is None:
            supervisor.start(layout, env, die_with_me=self.testing)
            return
        try:
            supervisor.reload(self.rpc)
        except OSError:
            raise Problem(
                f"The supervisor (pid {running}) does not answer on port {env['SUPERVISOR_PORT']}: `make down`, then"
                " `make up`."
            ) from None
        stale = self.changed & {
            name for name, info in supervisor.states(self.rpc).items() if info["statename"] in supervisor.UP
        }
        if stale:
            self.progress.say(f"settings changed, restarting {', '.join(sorted(stale))}")
            supervisor.stop_programs(self.rpc, stale)
        if gateway_changed and "gateway" not in stale:
            self.reload_gateway()

    def reload_gateway(self) -> None:
        """Have Nginx read its files again without dropping a request."""
        info = supervisor.states(self.rpc).get("gateway")
        if info and info["statename"] == "RUNNING":
            command = gateway.program(self.layout, self.env).argv
            tools.run(
                [*command, "-t"],
                doing="Checking the gateway's configuration",
                cwd=gateway.folder(self.layout),
            )
            self.rpc.signalProcess("gateway", "HUP")

    def _sweep(self) -> None:
        """Without a supervisor nothing of the stack may run: what a crash left behind is ended."""
        left = processes.of_stack(self.layout.state)
        if left:
            self.progress.say(f"ending {len(left)} processes that a crash left behind")
            stubborn = processes.kill_all(left)
            if stubborn:
                raise Problem(
                    f"Processes {stubborn} of an earlier start cannot be ended: end them as the user that made them."
                )
        (self.layout.run / "supervisord.pid").unlink(missing_ok=True)

    def _check_ports(self) -> None:
        names = {int(value): name for name, value in self.env.items() if name.endswith("_PORT")}
        for port, name in names.items():
            other = holder(port)
            if other:
                raise Problem(
                    f"Port {port} ({name}) is in use by {other}: stop it, or give another port"
                    + (
                        f", `make up GATEWAY_PORT={port + 1}`."
                        if name == "GATEWAY_PORT"
                        else f" in {self.layout.env_file}."
                    )
                )

    def start(self, names: Iterable[str]) -> None:
        """Start what is not up already; does not wait."""
        with self._calls:
            known = set(supervisor.states(self.rpc))
            self.started.update(
                supervisor.start_programs(self.rpc, [name for name in names if name in known])
            )

    def infrastructure(self) -> None:
        """Stores, mail catcher and collector run; PostgreSQL and Redis answer; RabbitMQ, the slowest, may still boot."""
        self.start(["epmd", "rabbitmq", "redis", "mail", "traces", "sandbox"])
        if not postgres.installed(self.layout):
            self.progress.say("making the PostgreSQL cluster")
        postgres.create_cluster(self.layout, self.env, durable=self.durable)
        self.start(["postgres"])
        self.ready.port("postgres", "POSTGRES_PORT", "postgres")
        self.ready.port("redis", "REDIS_PORT", "redis")

    def databases(self) -> None:
        """A role and a database for each service."""
        wanted = hashlib.sha256(
            repr([(name, value) for name, value in self.env.items() if "DATABASE" in name]).encode()
        ).hexdigest()
        stamp = self.layout.stamps / "roles"
        ids = postgres.database_ids(self.env, self.tenants)
        if stamp.exists() and stamp.read_text() == wanted + repr(ids) and len(ids) == len(self.tenants):
            return
        self.progress.say("databases and roles")
        postgres.ensure_databases(self.env, self.tenants, testing=self.testing)
        stamp.write_text(wanted + repr(postgres.database_ids(self.env, self.tenants)))

    def prepare(self, service: str, identity: str) -> None:
        """Migrate, and fill with the seed once, unless that was done for these migrations and this database."""
        releases.ensure(self.layout, service, releases.record(releases.records(self.layout), service).current)
        migrated = self.layout.stamps / f"{service}.migrated"
        seeded = self.layout.stamps / f"{service}.seeded"
        wanted = f"{identity} {self._migrations(service)}"
        commands = []
        if not migrated.exists() or migrated.read_text() != wanted:
            commands.append("migrate --no-input --verbosity 0")
        if not seeded.exists() or seeded.read_text() != identity:
            commands += services.SEEDS.get(service, [])
        if not commands:
            return
        begin = time.monotonic()
        self.manage(service, commands)
        migrated.write_text(wanted)
        seeded.write_text(identity)
        self.progress.say(
            f"{service}: migrated{' and seeded' if len(commands) > 1 else ''} ({time.monotonic() - begin:.1f} s)"
        )

    def manage(
        self, service: str, commands: list[str], home: releases.Home | None = None, **more: str
    ) -> str:
        """Run management commands of a service in one Python start, and return what they printed.

        They are those of the release that runs, or of the one in `home`; `more` are settings for this once.
        """
        home = home or releases.ensure(
            self.layout, service, releases.record(releases.records(self.layout), service).current
        )
        script = Path(__file__).with_name("prepare.py")
        return tools.run(
            [str(home.python), str(script), *commands],
            doing=f"{service}: {commands[0].split()[0]}",
            timeout=300,
            cwd=home.folder,
            env={
                **services.environment(self.layout, self.env, service, self.services),
                "HOME": str(self.layout.state),
                **home.environment,
                **more,
            },
        )

    def migrate(self, home: releases.Home) -> None:
        """Bring the database to a release that does not run yet, while another one uses it."""
        self.manage(
            home.service,
            ["migrate --no-input --verbosity 0"],
            home,
            # What waits for a lock has all requests for that table wait behind it.
            DATABASE_LOCK_TIMEOUT_MS=LOCK_TIMEOUT_MS,
        )

    def remember_migrations(self, service: str) -> None:
        """The database is as the release that runs wants it."""
        identity = postgres.database_ids(self.env, [service])[service]
        (self.layout.stamps / f"{service}.migrated").write_text(f"{identity} {self._migrations(service)}")

    def _migrations(self, service: str) -> str:
        digest = hashlib.sha256()
        home = releases.current(self.layout, service)
        if home.version != releases.DEV:
            # A release never changes.
            return f"release {home.version}"
        folders = (self.layout.root / service, self.layout.root / "shared-lib" / "src")
        for path in sorted(path for folder in folders for path in folder.glob("**/migrations/*.py")):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        lock = self.layout.root / "requirements.lock"
        if lock.exists():
            digest.update(lock.read_bytes())
        return digest.hexdigest()

    def serve(self) -> None:
        """Prepare each service and start its processes as soon as it is; then wait until everything is ready."""
        self.start(["gateway"])
        identities = postgres.database_ids(self.env, self.services)

        def bring(service: str) -> None:
            self.prepare(service, identities[service])
            self.start([f"{service}-{process}" for process in services.PROCESSES])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for task in [pool.submit(bring, service) for service in self.services]:
                task.result()
        self.ready.everything()

    def for_clients(self) -> dict[str, str]:
        """What a program needs that uses the shop from outside and looks into it: the tests that cross services, the demo."""
        return {
            "SHOP_BASE_URL": services.base_url(self.env),
            "SHOP_ENV_FILE": str(self.layout.env_file),
            "SHOP_STATE_DIR": str(self.layout.state),
            "DEMO_PASSWORD": self.env["DEMO_PASSWORD"],
        }

    def up(self) -> None:
        """Everything, from whatever state it is in."""
        self.configure()
        self.infrastructure()
        self.databases()
        self.serve()


def tenants(root: Path, *, testing: bool = False) -> list[str]:
    """Who has a database, a user at each store and a key pair: the services, and for tests shared-lib."""
    return [*services.discover(root), *(["shared-lib"] if testing else [])]


def find(layout: Layout, progress: Progress) -> Stack | None:
    """The stack whose settings exist; None before the first start."""
    env = load(layout.env_file, services.discover(layout.root))
    if env is None or not layout.run.exists():
        return None
    missing = [name for name in known_keys(services.discover(layout.root)) if name not in env]
    if missing:
        raise Problem(
            f"{layout.env_file} lacks {missing[0]}, which a newer version of the shop needs: `make up` adds it."
        )
    # Only a throwaway stack has the secrets of shared-lib.
    return Stack(layout, env, progress, testing=any(name.startswith("SHARED_LIB_") for name in env))


def create(
    layout: Layout,
    progress: Progress,
    given: dict[str, str],
    *,
    testing: bool = False,
    stores_only: bool = False,
    durable: bool = False,
) -> Stack:
    """The stack, with its folders, settings and secrets made if they are not there yet.

    Raises Problem for a gateway port in use before anything is written, so that the next try may name another.
    """
    layout.make_folders()
    found = tenants(layout.root, testing=testing)
    old = load(layout.env_file, found)
    running = supervisor.pid(layout)
    port = given.get("GATEWAY_PORT") or (old or {}).get("GATEWAY_PORT", "8080")
    if running and old and given.get("GATEWAY_PORT", port) != old["GATEWAY_PORT"]:
        raise Problem(
            f"The shop runs on port {old['GATEWAY_PORT']}: `make down` first, then `make up GATEWAY_PORT={port}`."
        )
    if not running and port.isdigit():
        other = holder(int(port))
        if other and not processes.of_stack(layout.state):
            raise Problem(
                f"Port {port} is in use by {other}: stop it, or run `make up GATEWAY_PORT={int(port) + 1}`."
            )
    env = complete(layout.env_file, found, given)
    return Stack(layout, env, progress, testing=testing, stores_only=stores_only, durable=durable)


def down(layout: Layout, env: dict[str, str] | None) -> bool:
    """Stop everything of the stack, whether its supervisor lives or not; returns False when nothing ran."""
    number = supervisor.pid(layout)
    if number is not None and env is not None:
        with suppress(OSError):
            rpc = supervisor.Calls(env)
            phases = {program["name"]: _phase(program["name"]) for program in rpc.getAllProcessInfo()}
            for phase in PHASES:
                supervisor.stop_programs(rpc, [name for name, its in phases.items() if its == phase])
            rpc.shutdown()
    if number is not None:
        deadline = time.monotonic() + 10
        with suppress(ProcessLookupError):
            if env is None:
                os.kill(number, signal.SIGTERM)
        while processes.alive(number) and time.monotonic() < deadline:
            time.sleep(0.02)
    left = processes.of_stack(layout.state)
    stubborn = processes.kill_all(left)
    if stubborn:
        raise Problem(f"Processes {stubborn} cannot be ended: end them as the user that made them.")
    (layout.run / "supervisord.pid").unlink(missing_ok=True)
    return bool(left) or number is not None


def _phase(name: str) -> str:
    if name == "gateway":
        return "edge"
    if name == "epmd":
        return "names"
    return "stores" if name in {"postgres", "redis", "rabbitmq", "mail", "traces"} else "services"
