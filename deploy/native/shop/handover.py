"""Holds the listening socket of one program and hands it on from one generation to the next: `python -I -S handover.py
SPEC.json`. Standard library only. The launcher becomes this for a program whose spec has `listen`.

The program gets the socket at descriptor 3 (`LISTEN_FDS`, as systemd does it). When it dies unasked, the holder ends too and
the supervisor starts everything again: a dead service refuses connections, as it always did. When the holder dies, the kernel
ends every generation with it.

A line at the control socket, with the seconds that it may take, starts the next generation from the spec file as it is then.
It has to write one byte for each of its workers to the pipe that `READY_FD` names. Only then the one before is told to drain
(SIGUSR1), given the time in which clients may still use the connections that they keep, and ended (SIGTERM). A generation
that dies or is not ready in time is ended, and the one before goes on. The answer is a line of JSON: `{"ok": true}` or
`{"ok": false, "why": "..."}`.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

PR_SET_PDEATHSIG = 1
LISTEN_FD, READY_FD = 3, 4
#: Seconds that a generation may take to end after SIGTERM; the server itself cuts requests off before.
END_SECONDS = 70.0


def say(text: str) -> None:
    print(f"handover: {text}", flush=True)


class Generation:
    """A running process of the program. `ready` is the pipe that its workers write to, if anybody waits for them."""

    def __init__(self, spec: dict[str, Any], listener: socket.socket, *, awaited: bool) -> None:
        self.workers = int(spec["listen"]["workers"])
        self.missing = self.workers
        self.ready, told = os.pipe()
        holder = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            try:
                _become(spec, holder, listener.fileno(), told if awaited else None)
            finally:
                os._exit(127)
        os.close(told)
        self.process = os.pidfd_open(self.pid)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def reap(self) -> str:
        """How it ended, once it has."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.process)
        os.close(self.ready)
        code = os.waitstatus_to_exitcode(status)
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def ended_within(self, seconds: float) -> bool:
        return bool(select.select([self.process], [], [], max(seconds, 0))[0])

    def end(self) -> str:
        self.signal(signal.SIGTERM)
        if not self.ended_within(END_SECONDS):
            self.signal(signal.SIGKILL)
        return self.reap()


def _become(spec: dict[str, Any], holder: int, listener: int, told: int | None) -> None:
    """In the child: the program itself, with the socket and the pipe at the descriptors that it expects."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != holder:
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    env = {**spec["env"], "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    # Out of the way first: either may have the number that the other is to get.
    source = os.dup(listener)
    pipe = None if told is None else os.dup(told)
    while source in (LISTEN_FD, READY_FD):
        source = os.dup(source)
    while pipe in (LISTEN_FD, READY_FD):
        pipe = os.dup(pipe)
    os.dup2(source, LISTEN_FD)
    if pipe is not None:
        os.dup2(pipe, READY_FD)
        env["READY_FD"] = str(READY_FD)
    os.chdir(spec["cwd"])
    os.execve(spec["argv"][0], spec["argv"], env)


class Holder:
    """The socket, whoever serves it now, and the door at which the next generation is asked for."""

    def __init__(self, spec_file: Path) -> None:
        self.spec_file = spec_file
        spec = self.spec()
        listen = spec["listen"]
        try:
            self.listener = socket.create_server((listen["host"], listen["port"]), backlog=listen["backlog"])
        except OSError as error:
            sys.exit(f"handover: port {listen['port']} cannot be had: {error}")
        self.control = _control(Path(listen["control"]))
        self.next: Generation | None = None
        self.current = Generation(spec, self.listener, awaited=False)
        self.current.missing = 0

    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.spec_file.read_text())
        return found

    def run(self) -> None:
        """Until the program dies by itself."""
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.current.process], [], [])
            if self.current.process in ready:
                self._leave(self.current)
            connection, _ = self.control.accept()
            with connection:
                connection.settimeout(5)
                try:
                    patience = float(connection.recv(64))
                except (OSError, ValueError):
                    continue
                why = self.replace(patience)
                # Whoever asked may have gone meanwhile.
                try:
                    connection.sendall(json.dumps({"ok": not why, "why": why}).encode() + b"\n")
                except OSError as error:
                    say(f"nobody waits for the answer: {error}")

    def replace(self, patience: float) -> str:
        """Start the next generation, wait `patience` seconds for it, and end the one before; returns why it could not be."""
        try:
            spec = self.spec()
            self.next = new = Generation(spec, self.listener, awaited=True)
        except (OSError, ValueError, KeyError) as error:
            return f"cannot be started: {error}"
        why = self._wait_ready(new, patience)
        if why:
            new.signal(signal.SIGKILL)
            new.reap()
            self.next = None
            return why
        old, self.current, self.next = self.current, new, self.current
        say(f"process {new.pid} serves; {old.pid} ends when its clients have left it")
        old.signal(signal.SIGUSR1)
        if old.ended_within(float(spec["listen"]["drain_seconds"])):
            say(f"process {old.pid} ended by itself with {old.reap()}")
        else:
            old.end()
        self.next = None
        return ""

    def _wait_ready(self, new: Generation, seconds: float) -> str:
        """Why the new generation cannot take over, or nothing."""
        deadline = time.monotonic() + seconds
        while new.missing:
            watched = [new.ready, new.process, self.current.process]
            ready, _, _ = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))
            if self.current.process in ready:
                self._leave(self.current)
            if new.process in ready:
                return f"ended with {_status(new)} before it was ready"
            if new.ready in ready:
                new.missing -= len(os.read(new.ready, new.missing))
            elif not ready:
                return f"was not ready within {seconds:g} s"
        return ""

    def _leave(self, generation: Generation) -> None:
        say(f"process {generation.pid} ended with {generation.reap()}")
        sys.exit(1)

    def stop(self, *_: int | FrameType | None) -> None:
        """On SIGTERM: end every generation with what it has in flight, then leave."""
        living = [each for each in (self.current, self.next) if each is not None]
        try:
            for each in living:
                each.signal(signal.SIGTERM)
            for each in living:
                each.ended_within(END_SECONDS)
        finally:
            # What is left dies with its parent.
            os._exit(0)


def _status(generation: Generation) -> str:
    found = os.waitid(os.P_PID, generation.pid, os.WEXITED | os.WNOWAIT)
    if found is None:
        return "nothing"
    return f"exit code {found.si_status}" if found.si_code == os.CLD_EXITED else f"signal {found.si_status}"


def _control(path: Path) -> socket.socket:
    """A Unix socket at the path. The kernel takes 107 characters, so it is told the folder by number."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    control = socket.socket(socket.AF_UNIX)
    control.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    control.listen(4)
    return control


def main(spec_file: str) -> None:
    # Until there is somebody to end, a stop is just the end.
    holder = Holder(Path(spec_file))
    signal.signal(signal.SIGTERM, holder.stop)
    holder.run()


if __name__ == "__main__":
    main(sys.argv[1])
