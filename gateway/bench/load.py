"""Requests at a steady rate, each answer checked. The service behind is an Nginx that says what it was asked."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.tokens import Key, access_token

#: Answers with what it saw. `{public}` is what it says of caches on the paths of the catalog.
ECHO = """
server {{
    listen 127.0.0.1:{port} backlog=1024; default_type application/json;
    location / {{ return 200 '{{"uri":"$request_uri","token":"$http_authorization","id":"$http_x_request_id"}}'; }}
    location /api/v1/catalog/ {{
        add_header Cache-Control "{public}";
        return 200 '{{"uri":"$request_uri","token":"$http_authorization","at":$msec}}';
    }}
}}"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Request:
    """`wrong` says what is wrong with an answer, or nothing."""

    kind: str
    path: str
    headers: dict[str, str]
    wrong: Callable[[Answer], str | None]


@dataclass
class Tally:
    """What came back: `states` by kind, status and where it came from, `wrong` answers with their reasons."""

    states: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    total: int = 0

    def take(self, request: Request, answer: Answer) -> None:
        self.total += 1
        self.slowest = max(self.slowest, answer.seconds)
        self.states[f"{request.kind} {answer.status} {answer.headers.get('x-cache', '')}".strip()] += 1
        reason = request.wrong(answer)
        if reason and len(self.wrong) < 100:
            self.wrong.append(f"{request.kind} {request.path}: {reason}")


class Connection:
    """One kept connection, one request at a time. With `renew` a request goes over a new one when the kept one is closed before
    anything of an answer came, as every client does: the server may close an idle connection whenever it likes."""

    def __init__(self, port: int, *, renew: bool = False) -> None:
        self._port = port
        self._renew = renew
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request, address: str) -> Answer:
        began = time.monotonic()
        if self._streams is not None and self._renew:
            try:
                return await self._exchange(request, address, began)
            except ConnectionError:
                await self.close()
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                await self.close()
        return await self._exchange(request, address, began)

    async def _exchange(self, request: Request, address: str, began: float) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        headers = {"Host": "shop", "X-Forwarded-For": address, **request.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {request.path} HTTP/1.1\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        length = int(found.get("content-length", 0))
        if found.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(length)
        if found.get("connection") == "close":
            await self.close()
        return Answer(int(head[0].split(" ")[1]), found, body, time.monotonic() - began)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def run(
    port: int,
    rate: int,
    seconds: float,
    make: Callable[[], Request],
    tally: Tally,
    *,
    connections: int = 64,
    renew: bool = False,
) -> None:
    """`rate` requests a second in all. A connection that breaks off counts as a wrong answer; `renew` as in `Connection`."""
    pause = connections / rate
    end = time.monotonic() + seconds
    numbers = itertools.count()

    async def one() -> None:
        connection = Connection(port, renew=renew)
        due = time.monotonic() + random.random() * pause
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + pause, time.monotonic() - 1)
            request = make()
            try:
                answer = await connection.send(request, f"100.80.{next(numbers) % 200}.7")
            except (OSError, EOFError) as error:
                tally.total += 1
                tally.wrong.append(f"{request.kind} {request.path}: {error!r}")
                await connection.close()
                continue
            tally.take(request, answer)
        await connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))


def problem(status: int, code: str) -> Callable[[Answer], str | None]:
    def check(answer: Answer) -> str | None:
        if answer.status != status or answer.headers.get("content-type") != "application/problem+json":
            return f"{answer.status} {answer.body[:200]!r} instead of {status} {code}"
        document = json.loads(answer.body)
        if document["code"] != code or document["request_id"] != answer.headers["x-request-id"]:
            return f"{document} instead of {code}"
        return None

    return check


class Storefronts:
    """Makes requests of many kinds."""

    def __init__(self, key: Key, tokens: int = 500, pages: int = 200) -> None:
        self.ended = [str(uuid.uuid4()) for _ in range(20)]
        self._good = [f"Bearer {access_token(key, exp=int(time.time()) + 7200)}" for _ in range(tokens)]
        self._bad = [f"Bearer {access_token(key, sid=session)}" for session in self.ended]
        self._bad += [f"Bearer {access_token(Key(key.kid))}" for _ in range(20)] + ["Bearer x", "Basic eA=="]
        self._pages = pages

    def mixed(self) -> Request:
        choice = random.random()
        if choice < 0.55:
            return self.own()
        if choice < 0.85:
            return self.page()
        if choice < 0.95:
            token = random.choice(self._bad)
            return Request(
                "bad token", "/api/v1/orders", {"Authorization": token}, problem(401, "invalid_token")
            )
        return Request("nothing", f"/api/v1/nothing/{random.random()}", {}, problem(404, "not_found"))

    def good(self) -> Request:
        """Nothing that is refused for its token."""
        return self.own() if random.random() < 0.6 else self.page()

    def own(self) -> Request:
        token, mark = random.choice(self._good), uuid.uuid4().hex
        path = f"/api/v1/orders/{uuid.uuid4()}"
        expected = {"uri": path, "token": token, "id": mark}

        def check(answer: Answer) -> str | None:
            if answer.status != 200 or json.loads(answer.body) != expected:
                return f"{answer.status} {answer.body[:300]!r}"
            if answer.headers.get("x-request-id") != mark or "x-cache" in answer.headers:
                return f"headers {answer.headers}"
            return None

        return Request("own", path, {"Authorization": token, "X-Request-Id": mark}, check)

    def page(self, kind: str = "page") -> Request:
        path = f"/api/v1/catalog/products?page={random.randrange(self._pages)}"

        def check(answer: Answer) -> str | None:
            document = json.loads(answer.body)
            if answer.status != 200 or (document["uri"], document["token"]) != (path, ""):
                return f"{answer.status} {answer.body[:300]!r}"
            if answer.headers.get("x-cache") not in ("HIT", "MISS", "STALE"):
                return f"X-Cache is {answer.headers.get('x-cache')}"
            return None

        return Request(kind, path, {"Authorization": random.choice(self._good)}, check)
