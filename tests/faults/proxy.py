"""A TCP proxy between the services and what they talk to: it delays, cuts and half-opens connections.

    python -m faults.proxy --die-with-parent    (reads one line of JSON from its standard input, prints one)

Read: `{"links": {name: target port}}`. Printed: `{"control": port, "links": {name: listening port}}`, everything on the
loopback address. The control port takes lines of JSON, a command each, and answers each with a line, the counters:

    {"do": "delay", "link": name, "least": seconds, "most": seconds}   each piece of data waits so long, in order
    {"do": "cut", "link": name}                                        every connection of the link is reset
    {"do": "swallow", "link": name, "answers_only": bool}              half open: connections stay, their data is lost
    {"do": "pass", "link": name}                                       heals the link; what was swallowed is reset
    {"do": "count"}

What is swallowed is acknowledged to its sender and never arrives, and an end of the connection on one side is not told to the
other: as when a machine between the two has gone away.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import signal
import socket
import struct
import sys
from collections import Counter
from typing import Any

HOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """One listening port, the port behind it, and how its connections fare now."""

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.target = target
        self.pairs: set[Pair] = set()
        self.delay: tuple[float, float] | None = None
        self.swallowing = False
        self.answers_only = False
        self.counts: Counter[str] = Counter()

    def pass_on(self) -> None:
        self.delay = None
        self.swallowing = False
        for pair in [pair for pair in self.pairs if pair.swallowed]:
            pair.reset()

    def cut(self) -> None:
        for pair in list(self.pairs):
            self.counts["cut"] += 1
            pair.reset()

    def swallow(self, *, answers_only: bool) -> None:
        self.swallowing, self.answers_only = True, answers_only
        for pair in self.pairs:
            pair.swallow()


class Pair:
    """A client's connection and the one that was opened for it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.client = Side(self, asks=True)
        self.server = Side(self, asks=False)
        self.swallowed = False
        self.opening: asyncio.Task[None] | None = None
        link.pairs.add(self)
        link.counts["opened"] += 1
        if link.swallowing:
            self.swallow()

    def swallow(self) -> None:
        if not self.swallowed:
            self.swallowed = True
            self.link.counts["swallowed"] += 1

    def loses(self, side: Side) -> bool:
        """True if what `side` sends is lost."""
        return self.swallowed and (not side.asks or not self.link.answers_only)

    def open(self) -> None:
        self.opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.server, HOST, self.link.target)
        except OSError:
            self.link.counts["refused"] += 1
            self.reset()

    def lost(self, side: Side) -> None:
        """One side has gone: the other follows, unless the connection is half open."""
        other = self.server if side is self.client else self.client
        if other.transport is None or other.gone:
            if other.gone or (self.opening and self.opening.done()):
                self.link.pairs.discard(self)
        elif not self.swallowed:
            other.finish()

    def reset(self) -> None:
        self.link.pairs.discard(self)
        if self.opening:
            self.opening.cancel()
        for side in (self.client, self.server):
            side.reset()


class Side(asyncio.Protocol):
    """One of the two connections of a pair. `asks`: it is the client's."""

    def __init__(self, pair: Pair, *, asks: bool) -> None:
        self.pair = pair
        self.asks = asks
        self.transport: asyncio.Transport | None = None
        self.gone = False
        # What this side has sent before the other one was there, and whether that was all.
        self._early = b""
        self._early_end = False
        self._late = 0.0  # when the last piece of data that this side has sent may be passed on
        self._waiting = 0

    @property
    def other(self) -> Side:
        return self.pair.server if self.asks else self.pair.client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.asks:
            self.pair.open()
        elif self.pair not in self.pair.link.pairs:
            self.reset()
        else:
            # At once: what the client sends from now on is passed on directly, and must come after.
            self.other.pass_early()
            if self.other.gone:
                self.finish()

    def go_on(self) -> None:
        if self.transport and not self.gone:
            self.transport.resume_reading()

    def pass_early(self) -> None:
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self._early_end and not self.eof_received():
            self.finish()

    def data_received(self, data: bytes) -> None:
        link = self.pair.link
        if self.pair.loses(self):
            link.counts["lost_bytes"] += len(data)
            return
        if self.other.transport is None:
            self._early += data
            return
        if link.delay is None and not self._waiting:
            self.other.write(data)
            return
        loop = asyncio.get_running_loop()
        pause = random.uniform(*link.delay) if link.delay else 0.0
        link.counts["delayed"] += 1
        self._late = max(self._late, loop.time() + pause)
        self._waiting += 1
        loop.call_at(self._late, self._pass_late, data)

    def _pass_late(self, data: bytes) -> None:
        self._waiting -= 1
        if self.pair.loses(self):
            self.pair.link.counts["lost_bytes"] += len(data)
        else:
            self.other.write(data)
        if self.gone and not self._waiting:
            self.pair.lost(self)

    def write(self, data: bytes) -> None:
        if self.transport and not self.gone:
            self.transport.write(data)

    def eof_received(self) -> bool:
        if self.other.transport is None:
            self._early_end = True
            return True
        if not self.pair.swallowed and not self._waiting and not self.other.gone:
            self.other.transport.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        if self.other.transport and not self.other.gone:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.go_on()

    def connection_lost(self, _error: Exception | None) -> None:
        self.gone = True
        if not self._waiting:
            self.pair.lost(self)

    def finish(self) -> None:
        if self.transport and not self.gone:
            self.transport.close()

    def reset(self) -> None:
        if self.transport and not self.gone:
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            self.transport.abort()


class Proxy:
    """All links and the control port."""

    def __init__(self, targets: dict[str, int]) -> None:
        self.links = {name: Link(name, port) for name, port in targets.items()}

    async def listen(self) -> dict[str, Any]:
        """Opens every port and returns which they are."""
        loop = asyncio.get_running_loop()
        ports = {}
        for name, link in self.links.items():
            server = await loop.create_server(lambda link=link: Pair(link).client, HOST, 0, backlog=512)  # type: ignore[misc]
            ports[name] = server.sockets[0].getsockname()[1]
        control = await asyncio.start_server(self._serve, HOST, 0)
        return {"control": control.sockets[0].getsockname()[1], "links": ports}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                self._do(json.loads(line))
                answer: dict[str, Any] = {
                    "counts": {name: dict(its.counts) for name, its in self.links.items()}
                }
            except (KeyError, ValueError) as error:
                answer = {"error": repr(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _do(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "delay":
                self.links[command["link"]].delay = (command["least"], command["most"])
            case "cut":
                self.links[command["link"]].cut()
            case "swallow":
                self.links[command["link"]].swallow(answers_only=bool(command.get("answers_only")))
            case "pass":
                self.links[command["link"]].pass_on()
            case "count":
                pass
            case other:
                raise ValueError(f"{other!r} is no command")


async def serve(targets: dict[str, int]) -> None:
    print(json.dumps(await Proxy(targets).listen()), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    if "--die-with-parent" in sys.argv[1:]:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == 1:
            sys.exit("the parent is gone")
    asyncio.run(serve(json.loads(sys.stdin.readline())["links"]))


if __name__ == "__main__":
    main()
