"""Those who break things, each in a thread of its own, as the plan says."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.journal import Journal
from faults.plan import Disturbance, Kill, Outage, Plan, least
from faults.site import Site
from shared_lib.failpoints import NAMES, SHARED, arm

POLL_SECONDS = 0.05
#: What the names of points begin with that every purchase passes.
USUAL = (
    "checkout.begin.",
    "checkout.create_payment.",
    "checkout.fix.",
    "checkout.place.",
    "checkout.reserve.",
    "event.payment.",
    "offer.cart.",
    "order.subtract.",
    "payments.confirm.claim.",
    "payments.confirm.create_intent.",
    "payments.confirm.provider.",
    "payments.confirm.reference.",
    "payments.create.",
    "payments.outcome.",
    "reserve.commit.",
    "settle.commit.",
    "webhooks.settle.",
    "webhooks.store.",
    # Of the points that all services share.
    "idempotency.",
    "inbox.acknowledged",
    "inbox.committed",
    "inbox.uncommitted",
    "jobs.hint.",
    "relay.",
)


class Actor(threading.Thread, ABC):
    """Runs until it is done or `stop` is set; what it raises is a finding."""

    def __init__(self, name: str, site: Site, journal: Journal, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.site = site
        self.journal = journal
        self.stopped = stop

    def run(self) -> None:
        try:
            self.act()
        except Exception as error:  # noqa: BLE001 - a run whose faults did not happen proves nothing
            self.journal.find(f"the test itself failed: {self.name}: {type(error).__name__}: {error}")

    @abstractmethod
    def act(self) -> None:
        """What it does; looks at `stopped` now and then."""

    def until(self, moment: float) -> bool:
        """Sleeps until the second `moment` of the plan; False if it was stopped before."""
        return self.site.pace.until(moment, self.stopped)


class Killer(Actor):
    """kill -9 of one process after the other; where all of a kind are only about to start, it waits for one."""

    def __init__(self, kills: Iterable[Kill], site: Site, journal: Journal, stop: threading.Event) -> None:
        super().__init__("killer", site, journal, stop)
        self._kills = kills

    def act(self) -> None:
        for kill in self._kills:
            if not self.until(kill.at):
                return
            while not self._kill(kill):
                self.journal.count("nothing to kill")
                if self.stopped.wait(1.0):
                    return

    def _kill(self, kill: Kill) -> bool:
        """False if no program of the kind has a process."""
        for program in self._candidates(kill.program):
            if command := self.site.kill(program, kill.place):
                kind = program.rpartition("-")[2]
                self.journal.note(f"kill {kind}", program=program, command=command[-60:])
                return True
        return False

    def _candidates(self, program: str) -> list[str]:
        """The one that was meant, then the others of its kind: a program that is only about to start has no process."""
        kind = program.rpartition("-")[2]
        every = [f"{service}-{kind}" for service in self.site.shop.services]
        place = every.index(program)
        return every[place:] + every[:place]


class Breaker(Actor):
    """Stops stores and starts them again, one after the other."""

    def __init__(
        self, outages: Iterable[Outage], site: Site, journal: Journal, stop: threading.Event
    ) -> None:
        super().__init__("breaker", site, journal, stop)
        self._outages = outages

    def act(self) -> None:
        for outage in self._outages:
            if not self.until(outage.at):
                return
            self.journal.note(f"stop {outage.store}", seconds=round(outage.seconds, 1))
            try:
                self.site.stop([outage.store])
                self.stopped.wait(outage.seconds)
            finally:
                self.site.start([outage.store])
            self.journal.note(f"start {outage.store}")


class Saboteur(Actor):
    """Delays, cuts and half-opens connections by way of the proxy."""

    def __init__(
        self, disturbances: Sequence[Disturbance], site: Site, journal: Journal, stop: threading.Event
    ) -> None:
        super().__init__("saboteur", site, journal, stop)
        self._disturbances = disturbances
        self._busy: dict[str, float] = {}
        self._healers: list[threading.Timer] = []

    def act(self) -> None:
        skipped = []
        for disturbance in self._disturbances:
            if not self.until(disturbance.at):
                break
            if self._left(disturbance) > 0:
                skipped.append(disturbance)
            else:
                self._disturb(disturbance)
        for disturbance in skipped:
            if self._lacking(disturbance.what) and not self.stopped.wait(max(0.0, self._left(disturbance))):
                self._disturb(disturbance)
        for healer in self._healers:
            healer.join()

    def _left(self, its: Disturbance) -> float:
        """Seconds until it may be made. One a link at a time: healing the first would end the second. A cut needs no healing."""
        return 0.0 if its.what == "cut" else self._busy.get(its.link, 0.0) - self.journal.now

    def _lacking(self, what: str) -> bool:
        return self.journal.counts[what] < least(what, self._disturbances)

    def _disturb(self, its: Disturbance) -> None:
        self._busy[its.link] = self.journal.now + its.seconds + 0.5
        match its.what:
            case "cut":
                self.site.disturb("cut", its.link)
            case "delay":
                self.site.disturb("delay", its.link, least=its.delay[0], most=its.delay[1])
            case _:
                self.site.disturb("swallow", its.link, answers_only=its.what == "swallow_answers")
        self.journal.note(its.what, link=its.link, seconds=round(its.seconds, 1))
        if its.seconds:
            healer = threading.Timer(its.seconds, self.site.disturb, ("pass", its.link))
            healer.daemon = True
            healer.start()
            self._healers.append(healer)


class Trapper(Actor):
    """Arms every failpoint once and waits until each has killed its process.

    A shared point counts when any one service has hit it.
    """

    def __init__(
        self,
        site: Site,
        journal: Journal,
        stop: threading.Event,
        *,
        at_once: int,
        seed: int,
        points: int | None,
    ) -> None:
        """`points`: so many of those that any purchase passes, None for every one there is."""
        super().__init__("trapper", site, journal, stop)
        self._at_once = at_once
        self._rng = random.Random(f"{seed} failpoints")
        every = [(service, name) for service, names in NAMES.items() for name in names]
        if points is not None:
            every = self._rng.sample([(owner, name) for owner, name in every if _is_usual(name)], points)
        self.missing = set(every)
        self.hit: dict[str, float] = {}

    def act(self) -> None:
        owners = [service for service in NAMES if any(owner == service for owner, _ in self.missing)]
        with ThreadPoolExecutor(max(len(owners), 1)) as pool:
            for done in [pool.submit(self._walk, owner) for owner in owners]:
                done.result()

    def _walk(self, owner: str) -> None:
        """The points of one owner: those that every purchase passes a few at a time, else none would ever get through."""
        names = sorted(name for service, name in self.missing if service == owner)
        self._rng.shuffle(names)
        rare = [name for name in names if not _is_usual(name)]
        waiting = [name for name in names if _is_usual(name)]
        armed = {name: self._arm(owner, name) for name in rare}
        while (waiting or armed) and not self.stopped.is_set():
            if waiting and sum(_is_usual(name) for name in armed) < self._at_once:
                name = waiting.pop(0)
                armed[name] = self._arm(owner, name)
            for name in [name for name, files in armed.items() if not all(file.exists() for file in files)]:
                self._note(owner, name, armed.pop(name))
            self.stopped.wait(POLL_SECONDS)

    def _arm(self, owner: str, name: str) -> list[Path]:
        services = self.site.shop.services if owner == SHARED else [owner]
        return [arm(self.site.failpoints, service, name) for service in services]

    def _note(self, owner: str, name: str, files: list[Path]) -> None:
        """The point was hit where its file is gone."""
        where = [file.parent.name for file in files if not file.exists()]
        for file in files:
            file.unlink(missing_ok=True)
        self.missing.discard((owner, name))
        self.hit[f"{owner} {name}"] = round(self.journal.now, 1)
        self.journal.note("failpoint", name=name, service=where[0])


def _is_usual(name: str) -> bool:
    """True for a point that every purchase passes, so that a short run meets it."""
    return name.startswith(USUAL)


def disarm(site: Site) -> None:
    for file in site.failpoints.glob("*/*"):
        file.unlink(missing_ok=True)


class Cast:
    """All of them together, for as long as the plan says."""

    def __init__(
        self, plan: Plan, site: Site, journal: Journal, *, points_at_once: int, points: int | None
    ) -> None:
        self.stop = threading.Event()
        self._enough = threading.Event()
        self.trapper = Trapper(
            site, journal, self.stop, at_once=points_at_once, seed=plan.seed, points=points
        )
        self._wild: list[Actor] = [
            Killer(plan.kills, site, journal, self._enough),
            Breaker(plan.outages, site, journal, self._enough),
            Saboteur(plan.disturbances, site, journal, self._enough),
        ]

    def begin(self) -> None:
        for actor in (*self._wild, self.trapper):
            actor.start()

    def relent(self, patience: float) -> None:
        """From here on only failpoints kill. On a slow machine the plan is late: it gets so many seconds to be done."""
        until = time.monotonic() + patience
        for actor in self._wild:
            actor.join(max(0.0, until - time.monotonic()))
        self._enough.set()
        for actor in self._wild:
            actor.join()

    def end(self) -> None:
        """Nobody breaks anything any more."""
        self.relent(0)
        self.stop.set()
        self.trapper.join()
