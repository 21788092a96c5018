"""Runs in front of every program and becomes it: `python -I -S launch.py SPEC.json`. Standard library only.

It kills what an earlier incarnation of the program left behind, waits until what the program needs answers, ties its life
to the supervisor's, drops root where asked, and executes the program in its own place, so that the supervisor's child is
the program itself and there is no process in between that could die alone. A program with `listen` has one: `handover.py`.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
LEFTOVER_PATIENCE = 15.0
#: Becomes the parent of a program whose listening socket is handed on.
HOLDER = Path(__file__).with_name("handover.py")
HOLDERS_ENVIRONMENT = {"PATH", "LANG", "TZ", "HOME", "SHOP_STATE"}


def say(text: str) -> None:
    print(f"launcher: {text}", flush=True)


def exchange(port: int, request: bytes, size: int = 1) -> bytes:
    """Send `request` to the port on the loopback address and return the start of the answer; OSError if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(request)
        answer = b""
        while len(answer) < size:
            chunk = connection.recv(4096)
            if not chunk:
                break
            answer += chunk
        return answer


def epmd(port: int, path: str) -> bool:
    """True once it lists the names that it knows."""
    return len(exchange(port, b"\x00\x01n", 4)) >= 4


def postgres(port: int, path: str) -> bool:
    """True once it asks for a password; while it starts or stops it answers with an error instead."""
    body = struct.pack("!i", 196608) + b"user\0probe\0database\0probe\0\0"
    return exchange(port, struct.pack("!i", len(body) + 4) + body).startswith(b"R")


def redis(port: int, path: str) -> bool:
    """True once the data is loaded: it answers PING, or that a password is needed."""
    return exchange(port, b"PING\r\n", 5)[:5] in (b"+PONG", b"-NOAU")


def amqp(port: int, path: str) -> bool:
    """True once the broker opens the conversation."""
    return exchange(port, b"AMQP\x00\x00\x09\x01").startswith(b"\x01")


def http(port: int, path: str) -> bool:
    """True on status 200."""
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    return exchange(port, request, 12)[9:12] == b"200"


PROBES = {probe.__name__: probe for probe in (epmd, postgres, redis, amqp, http)}


def answers(kind: str, port: int, path: str = "/") -> bool:
    try:
        return PROBES[kind](port, path)
    except OSError:
        return False


def holders(path: str) -> list[int]:
    """Other processes that hold the file open."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(its) == path for its in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def take_over(path: str) -> None:
    """Lock the program's file; every process of an earlier incarnation holds it too, and is killed.

    The lock stays with the program and all its children: whoever gets it knows that none of them is left.
    """
    path = os.path.realpath(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LEFTOVER_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for pid in holders(path):
                say(f"process {pid} of an earlier start is still there: killed")
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError as error:
                    say(f"process {pid}: {error}")
            if time.monotonic() > deadline:
                sys.exit("launcher: an earlier start of this program does not go away")
            time.sleep(0.05)
        else:
            os.set_inheritable(descriptor, True)
            return


def drop_to(user: str) -> None:
    import pwd

    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def follow(parent_pid_file: str, number: int) -> None:
    """Have the kernel send `number` when the supervisor dies; leave now if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != int(Path(parent_pid_file).read_text()):
        sys.exit("launcher: the supervisor is gone")


def wait_for(waits: list[dict[str, Any]]) -> None:
    """Return once everything answers; says every ten seconds what is missing."""
    said = time.monotonic()
    for wait in waits:
        while not answers(**wait):
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(f"waiting for {wait['kind']} on port {wait['port']}")
            time.sleep(0.1)


def main(spec_file: str) -> None:
    spec = json.loads(Path(spec_file).read_text())
    follow(spec["supervisor_pid_file"], signal.SIGKILL)
    take_over(spec["lock"])
    wait_for(spec["waits"])
    os.chdir(spec["cwd"])
    supervisor = spec["supervisor_pid_file"]
    if spec["user"]:
        parent = Path(supervisor).read_text()
        drop_to(spec["user"])
        # A change of user clears the death signal, and the new one may not be able to read the pid file.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, getattr(signal, f"SIG{spec['death_signal']}"), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("launcher: the supervisor is gone")
    else:
        follow(supervisor, getattr(signal, f"SIG{spec['death_signal']}"))
    if spec.get("listen"):
        # The program's own environment, which holds secrets, is for its generations.
        known = {name: value for name, value in spec["env"].items() if name in HOLDERS_ENVIRONMENT}
        os.execve(sys.executable, [sys.executable, "-I", "-S", str(HOLDER), spec_file], known)
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


if __name__ == "__main__":
    main(sys.argv[1])
