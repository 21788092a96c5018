"""PostgreSQL: one server, a database and a role for each service, none of which can open another's."""

import hashlib
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from shop import tools
from shop.envfile import accepted, prefix
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Program

if TYPE_CHECKING:
    import psycopg

#: Where data goes when root starts the stack from a folder that PostgreSQL's own user cannot enter.
SHARED_HOME = Path("/var/lib/shop-native")
#: Reads every database and writes none: the role of `make audit`.
AUDITOR = "auditor"
AUDITOR_PASSWORD = "AUDITOR_DATABASE_PASSWORD"
#: 6 services x 3 processes x a pool each, and room for tests, the audit and a person.
CONNECTIONS = 200


def role_of(service: str) -> str:
    """Role and database of a service: `svc_orders`."""
    return service.replace("-", "_")


def logins(service: str) -> tuple[str, str]:
    """The two roles by which a service may sign in, of which one can while the other's password is replaced.

    The first owns the database; the second is a member of it and becomes it as soon as it has signed in.
    """
    return role_of(service), f"{role_of(service)}_b"


def login_of(service: str, env: dict[str, str], *, other: bool = False) -> str:
    """The role by which the service signs in now, or the `other` one."""
    second = env.get(f"{prefix(service)}_DATABASE_LOGIN") == "b"
    return logins(service)[second != other]


def url(service: str, env: dict[str, str]) -> str:
    role, login = role_of(service), login_of(service, env)
    return f"postgresql://{login}:{env[f'{prefix(service)}_DATABASE_PASSWORD']}@127.0.0.1:{env['POSTGRES_PORT']}/{role}"


def auditor_url(service: str, env: dict[str, str]) -> str:
    """A service's database for the role that may only read."""
    return (
        f"postgresql://{AUDITOR}:{env[AUDITOR_PASSWORD]}@127.0.0.1:{env['POSTGRES_PORT']}/{role_of(service)}"
    )


def account() -> str | None:
    """The user to run as: PostgreSQL refuses root, so root lends it the distribution's own user."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise Problem(
            "The user postgres is missing, though PostgreSQL's package makes it: install postgresql again."
        ) from None
    return "postgres"


def _record(layout: Layout) -> Path:
    return layout.state / "postgres.json"


def data_folder(layout: Layout) -> Path:
    """Where this stack's cluster is, decided once and kept in `postgres.json`.

    Raises Problem for a state folder that was copied from another one and would share its cluster.
    """
    record = _record(layout)
    if record.exists():
        kept = json.loads(record.read_text())
        if (
            kept["state"] != str(layout.state)
            and Path(kept["state"], record.name).exists()
            and kept["data"].startswith(str(SHARED_HOME))
        ):
            raise Problem(
                f"{layout.state} is a copy of {kept['state']} and names its database: remove {layout.state} and"
                f" {layout.env_file}, then run `make up`."
            )
        data = Path(kept["data"])
        if kept["state"] == str(layout.state) or data.is_relative_to(SHARED_HOME):
            return data
    user = account()
    data = layout.state / "postgres"
    if user and not _can_enter(user, layout.state):
        data = SHARED_HOME / hashlib.sha256(str(layout.state).encode()).hexdigest()[:16]
    record.write_text(json.dumps({"state": str(layout.state), "data": str(data)}))
    return data


def _can_enter(user: str, folder: Path) -> bool:
    """True if `user` may pass through every folder above `folder` (the folder itself can be opened for it)."""
    return (
        subprocess.run(
            ["/usr/bin/test", "-x", str(folder.parent)], user=user, group=user, extra_groups=[], check=False
        ).returncode
        == 0
    )


def installed(layout: Layout) -> bool:
    return (data_folder(layout) / "PG_VERSION").exists()


def create_cluster(layout: Layout, env: dict[str, str], *, durable: bool) -> None:
    """Make the cluster if there is none, and write its configuration. A half-made one is thrown away first."""
    data, user = data_folder(layout), account()
    if not (data / "PG_VERSION").exists():
        unfinished = data.with_name(f"{data.name}.unfinished")
        if data.is_relative_to(SHARED_HOME):
            SHARED_HOME.mkdir(exist_ok=True)
            SHARED_HOME.chmod(0o711)
        elif user:
            # The state folder is root's alone; its group may pass, so that postgres reaches the one folder that is its own.
            os.chown(layout.state, 0, pwd.getpwnam(user).pw_gid)
            layout.state.chmod(0o710)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _lend(unfinished, user)
        password = data.with_name(f"{data.name}.password")
        _write(password, env["POSTGRES_PASSWORD"] + "\n", user)
        try:
            tools.run(
                [
                    str(tools.postgres_bin() / "initdb"),
                    "-D",
                    str(unfinished),
                    "-U",
                    "postgres",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                    "--auth=scram-sha-256",
                    f"--pwfile={password}",
                    *([] if durable else ["--no-sync"]),
                ],
                doing="Making the PostgreSQL cluster",
                user=user,
                cwd=Path("/"),
            )
        finally:
            password.unlink()
        shutil.rmtree(data, ignore_errors=True)
        unfinished.replace(data)
    _write(
        data / "shop.conf",
        "".join(
            f"{name} = {value}\n"
            for name, value in {
                "listen_addresses": "'127.0.0.1'",
                "port": env["POSTGRES_PORT"],
                "unix_socket_directories": "''",
                "max_connections": CONNECTIONS,
                "shared_buffers": "128MB",
                "max_wal_size": "512MB",
                "log_destination": "stderr",
                "log_line_prefix": "'%m [%p] %u@%d '",
                "timezone": "'UTC'",
                "fsync": "on" if durable else "off",
                # Always: what was committed has to survive a kill of PostgreSQL, which the tests do; only a crash of the machine
                # would need the other two.
                "synchronous_commit": "on",
                "full_page_writes": "on" if durable else "off",
            }.items()
        ),
        user,
    )
    main = data / "postgresql.conf"
    if "include 'shop.conf'" not in main.read_text():
        _write(main, main.read_text() + "\ninclude 'shop.conf'\n", user)


def _lend(path: Path, user: str | None) -> None:
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _write(path: Path, text: str, user: str | None) -> None:
    if path.exists() and path.read_text() == text:
        return
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(0o600)
    _lend(path, user)


def program(layout: Layout, env: dict[str, str]) -> Program:
    data = data_folder(layout)
    version = data / "PG_VERSION"
    major = int(version.read_text()) if version.exists() else None
    return Program(
        name="postgres",
        phase="stores",
        argv=[str(tools.postgres_bin(major) / "postgres"), "-D", str(data)],
        cwd=Path("/"),
        user=account(),
        listens=(int(env["POSTGRES_PORT"]),),
        stop_signal="INT",
        death_signal="INT",
        stop_seconds=30,
    )


def connect(
    env: dict[str, str], database: str = "postgres", *, host: str = "127.0.0.1"
) -> "psycopg.Connection[tuple[object, ...]]":
    """As the cluster's owner, for the runner alone; raises Problem when the password is not the cluster's."""
    import psycopg

    for password in accepted(env, "POSTGRES_PASSWORD"):
        try:
            return psycopg.connect(
                host=host,
                port=env["POSTGRES_PORT"],
                user="postgres",
                password=password,
                dbname=database,
                autocommit=True,
                connect_timeout=10,
            )
        except psycopg.OperationalError as error:
            if "authentication failed" not in str(error):
                raise
    raise Problem(
        "The database was made with another POSTGRES_PASSWORD than the one in .env: put the old .env back,"
        " or start over with `make clean`."
    )


def ensure_databases(env: dict[str, str], services: list[str], *, testing: bool) -> str:
    """Make roles and databases, close each to all others, and return an identity that changes when a database is remade.

    `testing` lets the roles make databases, which Django's test runner needs, from the database `postgres`.
    """
    from psycopg import sql

    with connect(env) as connection:
        have_roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        have = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        everyone = "GRANT" if testing else "REVOKE"
        connection.execute(f"{everyone} CONNECT ON DATABASE postgres {'TO' if testing else 'FROM'} PUBLIC")
        connection.execute("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")
        for service in services:
            role = sql.Identifier(role_of(service))
            verb = sql.SQL("ALTER" if role_of(service) in have_roles else "CREATE")
            rights = sql.SQL("CREATEDB" if testing else "NOCREATEDB")
            connection.execute(
                sql.SQL("{} ROLE {} NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS {}").format(
                    verb, role, rights
                )
            )
            let_in(connection, service, login_of(service, env), env[f"{prefix(service)}_DATABASE_PASSWORD"])
            if role_of(service) not in have:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
        _ensure_auditor(connection, env, services, exists=AUDITOR in have_roles)
        rows = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchall()
    return str(rows[0][0])


def let_in(
    connection: "psycopg.Connection[tuple[object, ...]]", service: str, login: str, password: str
) -> None:
    """One of a service's two roles may sign in with this password; the second is made where it is missing."""
    from psycopg import sql

    role, name = sql.Identifier(role_of(service)), sql.Identifier(login)
    if login != role_of(service):
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (login,)).rowcount:
            connection.execute(
                sql.SQL("CREATE ROLE {} NOCREATEDB NOCREATEROLE IN ROLE {}").format(name, role)
            )
        # What it makes belongs to the role that owns the database.
        connection.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(name, sql.Literal(role_of(service))))
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))


def shut_out(connection: "psycopg.Connection[tuple[object, ...]]", login: str) -> None:
    """One of a service's two roles can no longer sign in, and what it left open is closed."""
    from psycopg import sql

    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (login,)).rowcount:
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(login)))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (login,)
        )


def set_password(connection: "psycopg.Connection[tuple[object, ...]]", role: str, password: str) -> None:
    """Of a role that only the runner signs in as."""
    from psycopg import sql

    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
    )


def _ensure_auditor(
    connection: "psycopg.Connection[tuple[object, ...]]",
    env: dict[str, str],
    services: list[str],
    *,
    exists: bool,
) -> None:
    """The role of `make audit`: it may connect to every database and select from every table, and nothing else."""
    from psycopg import sql

    auditor = sql.Identifier(AUDITOR)
    connection.execute(
        sql.SQL(
            "{} ROLE {} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 30 PASSWORD {}"
        ).format(sql.SQL("ALTER" if exists else "CREATE"), auditor, sql.Literal(env[AUDITOR_PASSWORD]))
    )
    connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(auditor))
    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(auditor))
    for service in services:
        database = sql.Identifier(role_of(service))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, auditor))


def database_ids(env: dict[str, str], services: list[str]) -> dict[str, str]:
    """For each service, what identifies its database: another value after it was dropped and made again."""
    with connect(env) as connection:
        rows = connection.execute(
            "SELECT datname, oid, (SELECT system_identifier FROM pg_control_system()) FROM pg_database"
        ).fetchall()
    known = {str(row[0]): f"{row[2]}/{row[1]}" for row in rows}
    return {service: known[role_of(service)] for service in services if role_of(service) in known}


def remove_data(layout: Layout) -> None:
    """Remove the cluster, wherever it is."""
    if not _record(layout).exists():
        return
    data = data_folder(layout)
    for folder in (data, data.with_name(f"{data.name}.unfinished")):
        shutil.rmtree(folder, ignore_errors=True)
    if data.is_relative_to(SHARED_HOME) and not any(SHARED_HOME.iterdir()):
        SHARED_HOME.rmdir()
