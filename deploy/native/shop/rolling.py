"""One service gets new processes while it serves: the same code with other settings, or another release."""

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from shop import releases, services, supervisor
from shop.envfile import write_private
from shop.handover import END_SECONDS
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Listen, Program
from shop.stack import Stack

#: Lines of a log that tell why a generation did not get ready.
LAST_WORDS = 15


def restart(shop: Stack, names: Iterable[str], *, keep_serving: bool) -> None:
    """New processes for these programs, from the settings as they are now. `keep_serving`: without refusing a request.

    Raises Problem when the new generation of a web does not get ready; then the one before goes on serving, and nothing else
    was restarted.
    """
    wanted = set(names)
    programs = [program for program in shop.programs() if program.name in wanted]
    states = supervisor.states(shop.rpc)
    handed_on = [
        program
        for program in programs
        if keep_serving and program.listen and states[program.name]["statename"] == "RUNNING"
    ]
    for program in handed_on:
        hand_on(shop.layout, program)
    _start_again(shop, [program for program in programs if program not in handed_on])


def upgrade(shop: Stack, service: str, version: str) -> None:
    """Have the service run that release: its migrations, then new processes while the present ones serve.

    Raises Problem when the release cannot be installed, a migration fails, or its processes do not get ready. Then what ran
    goes on, or runs again.
    """
    before = releases.record(releases.records(shop.layout), service)
    if before.current == version:
        raise Problem(f"{service} {version} runs already.")
    home = releases.ensure(shop.layout, service, version)
    shop.progress.say(f"{service} {version}: migrating")
    try:
        shop.migrate(home)
    except Problem as problem:
        raise Problem(f"{problem}\n{service} {before.current} goes on serving.") from None
    _move(shop, home, releases.Record(version, before.current))
    shop.remember_migrations(service)


def rollback(shop: Stack, service: str) -> str:
    """Have the service run what it ran before, on the database as it is; returns that version. Raises Problem as `upgrade`."""
    before = releases.record(releases.records(shop.layout), service)
    if before.previous is None:
        raise Problem(
            f"{service} {before.current} is the first that ran here: there is nothing to go back to."
        )
    home = releases.ensure(shop.layout, service, before.previous)
    _move(shop, home, releases.Record(before.previous, before.current))
    return before.previous


def _move(shop: Stack, home: releases.Home, now: releases.Record) -> None:
    """New processes of another release; back again if they do not get ready."""
    service = home.service
    before = releases.record(releases.records(shop.layout), service)
    programs = services.programs(shop.layout, shop.env, service, shop.services, home)
    states = supervisor.states(shop.rpc)
    web = next(program for program in programs if program.listen)
    if states[web.name]["statename"] != "RUNNING":
        raise Problem(f"{web.name} does not run: `make up` first, so that there is something to go on from.")
    shop.progress.say(f"{service} {home.version}: starting")
    hand_on(shop.layout, web)
    releases.remember(releases.records(shop.layout), service, now)
    rest = [program for program in programs if program is not web]
    try:
        _start_again(shop, rest)
        shop.ready.everything()
    except Problem as problem:
        releases.remember(releases.records(shop.layout), service, before)
        hand_on(shop.layout, next(p for p in shop.programs() if p.name == web.name))
        _start_again(shop, [p for p in shop.programs() if p.name in {each.name for each in rest}])
        raise Problem(f"{problem}\n{service} {before.current} serves again.") from None


def _start_again(shop: Stack, programs: list[Program]) -> None:
    for program in programs:
        supervisor.write_spec(shop.layout, program)
    supervisor.stop_programs(shop.rpc, [program.name for program in programs])
    shop.start([program.name for program in programs])


def hand_on(layout: Layout, program: Program) -> None:
    """Start the next generation of a running web on the socket of the present one, which ends once nobody uses it.

    Raises Problem when the new one does not get ready: the present one serves on, and is what starts again after a crash.
    """
    patience = ready_seconds()
    before = supervisor.write_spec(layout, program)
    log = layout.logs / f"{program.name}.log"
    began = log.stat().st_size if log.exists() else 0
    why = _ask(layout, program, patience)
    if why:
        if before:
            write_private(layout.programs / f"{program.name}.json", before)
        raise Problem(
            f"The new process of {program.name} {why}; the one before goes on serving.{_said(log, began)}"
        )


def _ask(layout: Layout, program: Program, seconds: float) -> str:
    """Have the holder of the port replace the generation; returns why that could not be, or nothing."""
    path = layout.control(program.name)
    listen = program.listen or Listen(0)
    patience = seconds + listen.drain_seconds + 2 * END_SECONDS
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(patience)
            # By the folder's number: the kernel takes 107 characters of a path.
            control.connect(f"/proc/self/fd/{folder}/{path.name}")
            control.sendall(f"{seconds:g}\n".encode())
            answer = control.makefile().readline()
    except OSError as error:
        return f"cannot be asked for ({error})"
    finally:
        os.close(folder)
    if not answer:
        return "never came: the one before ended at the same time, and the supervisor starts everything again"
    found = json.loads(answer)
    return "" if found["ok"] else str(found["why"])


def ready_seconds() -> float:
    """How long a new generation may take to get ready."""
    given = os.environ.get("SHOP_READY_SECONDS", "120")
    if not given.isdigit() or not 1 <= int(given) <= 3600:
        raise Problem(f"SHOP_READY_SECONDS must be a whole number from 1 to 3600, not {given!r}.")
    return float(given)


def _said(log: Path, since: int) -> str:
    """The end of what the log got since then."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(since if log.stat().st_size >= since else 0)
        said = last_words(file.read().decode(errors="replace"))
    return f" The end of {log}:\n{said}" if said else ""


def last_words(text: str) -> str:
    """The end of a log without requests: those of the present generation, and what the new one asked itself."""
    lines = [line for line in text.strip().splitlines() if '"event":"request"' not in line]
    return "\n".join(lines[-LAST_WORDS:])
