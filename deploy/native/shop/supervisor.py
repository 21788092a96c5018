"""The supervisor: its configuration, its life, and calls to it."""

import http.client
import os
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from shop import processes
from shop.envfile import write_private
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Program

USER = "shop"
#: A program in one of these states is there, or about to be, without anybody's help.
UP = {"RUNNING", "STARTING"}


def pid(layout: Layout) -> int | None:
    """The supervisor's pid, if it lives and is this stack's."""
    try:
        number = int((layout.run / "supervisord.pid").read_text())
        line = processes.command(number)
    except (FileNotFoundError, ValueError):
        return None
    return number if processes.alive(number) and str(layout.run / "supervisord.conf") in line else None


def configure(layout: Layout, env: dict[str, str], programs: Iterable[Program]) -> set[str]:
    """Write the supervisor's file and one for each program; returns the names of programs whose file changed."""
    changed = set()
    sections = [_head(layout, env)]
    names = set()
    for program in programs:
        names.add(program.name)
        if write_spec(layout, program) is not None:
            changed.add(program.name)
        sections.append(_section(layout, program))
    for path in layout.programs.glob("*.json"):
        if path.stem not in names:
            path.unlink()
    write_private(layout.run / "supervisord.conf", "\n".join(sections))
    return changed


def write_spec(layout: Layout, program: Program) -> str | None:
    """Write what the launcher reads; returns what stood there before (or ""), or None if nothing has changed."""
    path = layout.programs / f"{program.name}.json"
    spec = program.spec(layout)
    before = path.read_text() if path.exists() else ""
    if before == spec:
        return None
    write_private(path, spec)
    return before


def _head(layout: Layout, env: dict[str, str]) -> str:
    user = "user=root\n" if os.geteuid() == 0 else ""
    return (
        f"[supervisord]\nlogfile={layout.logs}/supervisord.log\nlogfile_maxbytes=5MB\nlogfile_backups=1\n"
        f"pidfile={layout.run}/supervisord.pid\nchildlogdir={layout.logs}\nsilent=true\numask=077\nminfds=1024\n{user}"
        f"[inet_http_server]\nport=127.0.0.1:{env['SUPERVISOR_PORT']}\nusername={USER}\npassword={env['SUPERVISOR_PASSWORD']}\n"
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[rpcinterface:shop]\nsupervisor.rpcinterface_factory=shop.supervisor_password:make\n"
    )


def _section(layout: Layout, program: Program) -> str:
    # -I -S: the launcher needs the standard library only, and starts in 20 ms instead of 60.
    launcher = layout.root / "deploy" / "native" / "shop" / "launch.py"
    return (
        f"[program:{program.name}]\n"
        f'command="{layout.python}" -I -S "{launcher}" "{layout.programs}/{program.name}.json"\n'
        "autostart=false\nautorestart=true\nstartsecs=1\nstartretries=1000000\n"
        f"stopsignal={program.stop_signal}\nstopwaitsecs={program.stop_seconds}\nkillasgroup=true\n"
        f"redirect_stderr=true\nstdout_logfile={layout.logs}/{program.name}.log\n"
        "stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=1\n"
    )


def start(layout: Layout, env: dict[str, str], *, die_with_me: bool) -> None:
    """Start the supervisor and wait until it answers. `die_with_me` ends it with the calling process."""
    command = [str(layout.python), "-m", "shop.supervise", str(layout.run / "supervisord.conf")]
    if die_with_me:
        command.append("--die-with-parent")
    with (layout.logs / "supervisord.start.log").open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=layout.root / "deploy" / "native",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(layout),
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            if Calls(env).getState()["statename"] == "RUNNING":
                return
        if child.poll() is not None:
            break
        time.sleep(0.03)
    said = (layout.logs / "supervisord.start.log").read_text().strip().rpartition("\n")[2]
    raise Problem(f"The supervisor did not start: {said or 'no answer in 30 s'} (see {layout.logs}).")


def _environment(layout: Layout) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPYCACHEPREFIX"}}
    return {**keep, "LANG": "C.UTF-8", processes.MARKER: str(layout.state)}


class Calls:
    """The supervisor's own calls (`startProcess`, `getAllProcessInfo` and so on), each on a connection of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        # Looked at for each call: the password may be replaced meanwhile.
        self._env = env

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with xmlrpc.client.ServerProxy(_url(self._env)) as proxy:
                return getattr(proxy.supervisor, name)(*arguments)

        return call


def _url(env: dict[str, str]) -> str:
    return f"http://{USER}:{env['SUPERVISOR_PASSWORD']}@127.0.0.1:{env['SUPERVISOR_PORT']}/RPC2"


def change_password(env: dict[str, str], new: str) -> None:
    """The running supervisor takes `new` only from now on. Raises xmlrpc.client.ProtocolError when it does not know the old one."""
    try:
        with xmlrpc.client.ServerProxy(_url(env)) as proxy:
            proxy.shop.change_password(new)
    except xmlrpc.client.Fault:
        raise Problem(
            "The supervisor was started by an older version: `make down`, then `make up`."
        ) from None


def states(rpc: Calls) -> dict[str, dict[str, Any]]:
    """What the supervisor knows of each program, by name."""
    return {info["name"]: info for info in rpc.getAllProcessInfo()}


def reload(rpc: Calls) -> None:
    """Take programs in that are new in the file, and out that are gone from it."""
    added, changed, removed = rpc.reloadConfig()[0]
    for name in (*changed, *removed):
        rpc.stopProcessGroup(name)
        rpc.removeProcessGroup(name)
    for name in (*added, *changed):
        rpc.addProcessGroup(name)


def stop_programs(rpc: Calls, names: Iterable[str], *, patience: float = 30) -> None:
    """Stop all at once and wait for the last."""
    wanted = set(names)
    for name, info in states(rpc).items():
        if name in wanted and info["statename"] not in {"STOPPED", "EXITED", "FATAL"}:
            with suppress(xmlrpc.client.Fault):
                rpc.stopProcess(name, False)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not any(
            info["statename"] in {"RUNNING", "STARTING", "STOPPING"}
            for name, info in states(rpc).items()
            if name in wanted
        ):
            return
        time.sleep(0.05)


def start_programs(rpc: Calls, names: Iterable[str]) -> list[str]:
    """Start what is not up; returns the names that were started. Does not wait."""
    known = states(rpc)
    started = []
    for name in names:
        if known[name]["statename"] in UP:
            continue
        if known[name]["statename"] == "BACKOFF":
            rpc.stopProcess(name)
        with suppress(xmlrpc.client.Fault):
            rpc.startProcess(name, False)
        started.append(name)
    return started
