"""Bytes on the wire, for requests that no HTTP library would send."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class RawAnswer:
    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None


class Connection:
    """One connection to the gateway; several requests may go over it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def read(self) -> RawAnswer:
        """The next answer; raises EOFError when the gateway has hung up instead."""
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        if not lines:
            raise EOFError("the connection was closed")
        head = "\r\n".join(lines)
        answer = RawAnswer(int(lines[0].split(" ")[1]), head, b"")
        length = int(answer.header("Content-Length") or 0)
        return RawAnswer(answer.status, head, self.file.read(length) if length else b"")

    def closed(self) -> bool:
        try:
            return self.file.read(1) == b""
        except OSError:
            return True


def exchange(port: int, text: str | bytes) -> RawAnswer:
    """Sends the bytes on a connection of their own and reads one answer."""
    with Connection(port) as connection:
        connection.send(text)
        return connection.read()
