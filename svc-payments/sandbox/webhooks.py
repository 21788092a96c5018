"""Delivers queued events as signed webhooks until the receiver takes them.

The queue is the `events` table: an event leaves it only by a 2xx answer, or after days of trying. Deliveries
overlap and overtake each other, and one whose answer was lost is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from sandbox.faults import FaultBook, Plan
from sandbox.intents import Intents
from sandbox.settings import Secrets
from sandbox.store import Store

logger = logging.getLogger("sandbox")

PARALLEL = 16
TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 300.0
GIVE_UP_SECONDS = 3 * 24 * 3600.0
KEEP_SECONDS = 3 * 24 * 3600.0
_HOUSEKEEPING_SECONDS = 3600.0
_SPOILT = {"bad_signature": "bad_signatures", "stale": "stale"}


def signature(secret: str | Iterable[str], moment: int, body: bytes) -> str:
    """The value of `Sandbox-Signature` for a webhook sent at `moment` (Unix seconds), with a `v1` for each secret."""
    secrets = [secret] if isinstance(secret, str) else secret
    digests = (hmac.new(each.encode(), b"%d." % moment + body, hashlib.sha256) for each in secrets)
    return ",".join((f"t={moment}", *(f"v1={digest.hexdigest()}" for digest in digests)))


def pause_seconds(attempts: int) -> float:
    """How long to wait after `attempts` failed tries: twice as long each time, five minutes at most."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 20), LONGEST_PAUSE_SECONDS)
    return pause * random.uniform(0.8, 1.2)


class Sender:
    """POSTs over one kept connection a thread; httpx took twice the CPU of all the rest of the sandbox."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection_type = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._address = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._thread = threading.local()

    def post(self, body: bytes, headers: dict[str, str]) -> tuple[bool, str]:
        """Whether the receiver took it (2xx), and what to show people of its answer."""
        kept: http.client.HTTPConnection | None = getattr(self._thread, "connection", None)
        if kept is not None:
            try:
                return self._send(kept, body, headers)
            except (OSError, http.client.HTTPException):
                kept.close()  # most likely closed by the other side while idle: one try on a new one
        connection = self._connection_type(self._address, timeout=TIMEOUT_SECONDS)
        self._thread.connection = connection
        try:
            return self._send(connection, body, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return False, type(error).__name__

    def _send(
        self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]
    ) -> tuple[bool, str]:
        connection.request("POST", self._target, body, headers)
        response = connection.getresponse()
        response.read()
        return 200 <= response.status < 300, str(response.status)


class Courier:
    """One task that watches the clock: settles what is due, sends what is due, forgets what is old."""

    def __init__(
        self, store: Store, intents: Intents, faults: FaultBook, *, url: str, secrets: Secrets
    ) -> None:
        self._store = store
        self._intents = intents
        self._faults = faults
        self._secrets = secrets
        self._sender = Sender(url)
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="webhook")
        self._wake = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._next_housekeeping = 0.0

    def wake(self) -> None:
        """Something was queued: look again."""
        self._wake.set()

    async def run(self) -> None:
        """Never returns; cancel it to stop. A webhook cut off by that is sent again after the next start."""
        try:
            while True:
                self._wake.clear()
                try:
                    pause = self._turn()
                except Exception:
                    logger.exception("the courier stumbled and goes on")
                    pause = 1.0
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
        finally:
            for task in self._under_way.values():
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> float:
        """Does what is due and returns how many seconds it may sleep if nobody wakes it."""
        now = time.time()
        settlement = self._intents.next_settlement()
        if settlement is not None and settlement <= now:
            with self._store.transaction():
                self._intents.settle_due(now)
            settlement = self._intents.next_settlement()
        if now >= self._next_housekeeping:
            self._store.forget_before(now - KEEP_SECONDS)
            self._next_housekeeping = now + _HOUSEKEEPING_SECONDS
        moments = [] if settlement is None else [settlement]
        free = PARALLEL - len(self._under_way)
        if free > 0:
            rows = self._store.all(
                "SELECT id, body, attempts, created, due FROM events"
                " WHERE due IS NOT NULL ORDER BY due LIMIT ?",
                PARALLEL + 1,
            )
            for row in rows:
                if row["id"] in self._under_way:
                    continue
                if row["due"] > now:
                    moments.append(row["due"])
                    break
                if not free:
                    break
                free -= 1
                self._under_way[row["id"]] = asyncio.create_task(self._deliver(row))
        return max(0.01, min(moments, default=now + 60.0) - now)

    async def _deliver(self, event: sqlite3.Row) -> None:
        try:
            plan = self._faults.plan_of(event["id"])
            if plan is not None and plan.spoil and event["attempts"] == 0:
                taken, result = await self._post(event["body"], plan.spoil)
                with self._store.transaction():
                    counter = _SPOILT[plan.spoil]
                    self._faults.count(counter, *((f"{counter}_taken",) if taken else ()))
                    self._note(event, delivered=False, result=f"{result} ({plan.spoil})")
                return
            copies = await self._copies(event["body"], plan)
            delivered = all(taken for taken, _ in copies)
            with self._store.transaction():
                if plan is not None and delivered:
                    self._faults.note_taken(event["id"], plan)
                if len(copies) > 1 and delivered:
                    self._faults.count("doubled")
                self._faults.count(*("taken" for taken, _ in copies if taken))
                self._note(event, delivered=delivered, result=copies[-1][1])
        finally:
            del self._under_way[event["id"]]
            self.wake()

    async def _copies(self, body: bytes, plan: Plan | None) -> list[tuple[bool, str]]:
        if plan is None or plan.double is None:
            return [await self._post(body)]
        if not plan.double:
            return list(await asyncio.gather(self._post(body), self._post(body)))
        first = await self._post(body)
        if not first[0]:
            return [first]
        await asyncio.sleep(plan.double)
        return [first, await self._post(body)]

    async def _post(self, body: bytes, spoil: str = "") -> tuple[bool, str]:
        moment = int(time.time()) - (3600 if spoil == "stale" else 0)
        secrets = self._secrets.now()
        if spoil == "bad_signature":
            secrets = tuple(f"not {secret}" for secret in secrets)
        headers = {
            "content-type": "application/json",
            "sandbox-signature": signature(secrets, moment, body),
        }
        self._faults.count("deliveries")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._sender.post, body, headers)

    def _note(self, event: sqlite3.Row, *, delivered: bool, result: str) -> None:
        """How a delivery went, and when the next one is due. Needs an open transaction."""
        attempts = event["attempts"] + 1
        due = None if delivered else time.time() + pause_seconds(attempts)
        if due is not None and due - event["created"] > GIVE_UP_SECONDS:
            due, result = None, f"{result}, given up"
            logger.error("webhook %s was never taken: %s", event["id"], result)
        self._store.change(
            "UPDATE events SET attempts = ?, due = ?, last_result = ? WHERE id = ?",
            attempts,
            due,
            result,
            event["id"],
        )
