"""The storm: buyers check out while everything is killed, stopped, delayed, cut, half-opened and doubled."""

from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from faults import checks
from faults.actors import Cast, disarm
from faults.arrival import check_arrival, mark
from faults.buyers import Story
from faults.client import Client, Json, new_key
from faults.crowd import people, staff_token
from faults.errands import Errands
from faults.intentions import Buyer
from faults.journal import Journal
from faults.plan import PROCESS_KINDS, STORES, Plan, Purchase, latecomer, least, make_plan
from faults.settle import settle
from faults.site import Site
from shop.problems import Problem

WEBHOOKS = {"double": 1.0, "delay_max_seconds": 3.0, "reorder": 0.5, "bad_signature": 0.05, "stale": 0.05}
ANSWERS = {"slow": 0.2, "slow_max_seconds": 1.0, "error": 0.04, "cut": 0.04}
WANTED = 12
#: Of the products that buyers want, so many have so few units that some buyers come too late.
SCARCE, SCARCE_UNITS = 2, 12
AT_ONCE = 32
#: Buyers beyond the plan who come while failpoints are missing: fewer than seconds.
MOST_MORE = 1000


@dataclass(frozen=True)
class Weather:
    """How long and how hard. `points`: how many failpoints are tried, None for every one; `tail` is how many seconds
    those may take, and whatever else is lacking, when the other faults end; `patience` is a buyer's, `calm` the time to settle."""

    checkouts: int
    seconds: float
    outage: tuple[float, float]
    rounds: int
    points: int | None
    tail: float
    patience: float
    calm: float


LONG = Weather(200, 180.0, (3.0, 8.0), 1, None, 460.0, 150.0, 120.0)
SHORT = Weather(30, 28.0, (1.5, 3.0), 1, 10, 120.0, 90.0, 60.0)


class Storm:
    """One run. `go` returns when it is over and everything has been compared; what was wrong is in the journal."""

    def __init__(self, site: Site, journal: Journal, *, seed: int, weather: Weather, window: float) -> None:
        self.site = site
        self.journal = journal
        self.window = window
        self.stories: list[Story] = []
        self._provider_before: dict[str, int] = {}
        #: How many seconds a second of the plan took while all faults were made.
        self.slowness = 1.0
        self.weather = weather
        self.pace = site.pace
        self.plan: Plan = make_plan(
            seed=seed,
            checkouts=weather.checkouts,
            seconds=weather.seconds,
            services=site.shop.services,
            links=site.links(),
            outage=weather.outage,
            rounds=weather.rounds,
        )
        self._staff = staff_token(site)
        self._people = iter(people(site, weather.checkouts + MOST_MORE))

    def go(self) -> None:
        self._say("waiting until the stack is quiet")
        self.pace.start()
        settle(self.site, self.journal, seconds=60)
        variants, spare, odd = self._choose_products()
        stock_before = {
            variant: its["on_hand"]
            for variant, its in checks.stock_of(self.site, [its["id"] for its in variants]).items()
        }
        marks = mark(self.site)
        proxied = self.site.disturb("count")
        self.site.provider("POST", "/control/faults", {"seed": self.plan.seed, **WEBHOOKS, **ANSWERS})
        self._provider_before = self.site.provider("GET", "/control/faults")["counters"]

        self.journal.begin()
        self.pace.begin()
        self._say(
            f"{self.weather.checkouts} buyers, {self.plan.seconds:.0f} s of faults, seed {self.plan.seed}"
        )
        cast = Cast(self.plan, self.site, self.journal, points_at_once=2, points=self.weather.points)
        errands = Errands(
            self.site,
            self.journal,
            cast.stop,
            cast.trapper,
            spare=spare,
            odd=odd,
            commands_from=self.plan.seconds,
        )
        with ThreadPoolExecutor(AT_ONCE) as pool:
            cast.begin()
            errands.start()
            buyers = self._let_buyers_come(pool, variants, cast)
            cast.end()
            errands.join()
            self._heal()
            self._say(f"healed; {sum(not buyer.done() for buyer in buyers)} buyers are still at it")
            self.stories = [buyer.result() for buyer in buyers]
        # Until here every webhook was doubled: most payments of a short run are made after the worst.
        self.site.provider("DELETE", "/control/faults")
        self._wait_until_ready()
        errands.tidy()
        self._say("waiting until nothing is under way")
        calm = settle(self.site, self.journal, seconds=self.weather.calm * self.pace.factor)
        self.journal.note("settled", seconds=round(calm, 1))
        self._say(f"settled after {calm:.1f} s; comparing")

        checks.Reckoning(self.site, self.journal, self.stories).everything(stock_before)
        check_arrival(self.site, self.journal, marks)
        checks.audit(self.site, self.journal)
        self._count_connections(proxied)
        self.journal.counts.update({what: number for what, number in self._by_provider().items() if number})
        self._demand(cast)

    def _say(self, text: str) -> None:
        print(f"{self.journal.now:7.1f} s  {text}", flush=True)

    # Before

    def _choose_products(self) -> tuple[list[Json], str, str]:
        """What buyers want, the last ones scarce, and two variants that they do not want."""
        rows = self.site.rows(
            "svc-catalog",
            "SELECT v.id::text AS id, v.product_id::text AS product, s.on_hand - s.reserved AS available"
            " FROM catalog_variant v JOIN catalog_stock s ON s.variant_id = v.id JOIN catalog_product p ON p.id = v.product_id"
            " WHERE p.status = 'published' AND v.deleted_at IS NULL ORDER BY v.id LIMIT %s",
            (WANTED + 2,),
        )
        *wanted, spare, odd = rows
        many = max(200, 5 * self.weather.checkouts)
        for place, variant in enumerate(wanted):
            units = SCARCE_UNITS if place >= WANTED - SCARCE else many
            self._stock(variant, units - variant["available"])
        for variant in (spare, odd):
            self._stock(variant, 1000 - variant["available"])
        return wanted, str(spare["id"]), str(odd["id"])

    def _stock(self, variant: Json, delta: int) -> None:
        if not delta:
            return
        client = Client(self.site.base_url, "198.20.2.1", self.journal, patience=30, access=self._staff)
        body = {"delta": delta, "reason": "fault test"}
        answer = client.call(
            "adjust", "POST", f"/catalog/variants/{variant['id']}/stock", body, key=new_key()
        )
        client.close()
        if answer.status != 200:
            raise RuntimeError(f"the stock of {variant['id']} cannot be set: {answer.body}")

    # During

    def _let_buyers_come(
        self, pool: ThreadPoolExecutor, variants: list[Json], cast: Cast
    ) -> list[Future[Story]]:
        """All of the plan, then more of them as long as failpoints are left or too little has happened."""
        buyers: list[Future[Story]] = []

        def come(its: Purchase) -> None:
            buyers.append(pool.submit(self._buyer(its, variants).live))

        for its in self.plan.purchases:
            self.pace.until(its.start)
            come(its)
        self.pace.until(self.plan.seconds)
        cast.relent(self.weather.tail / 2 * self.pace.factor)
        self.slowness = self.journal.now / self.plan.seconds
        self.journal.note("only failpoints from here", missing=len(cast.trapper.missing))
        self._say(f"failpoints: {len(cast.trapper.hit)} hit, {len(cast.trapper.missing)} to go")
        rng = random.Random(f"{self.plan.seed} more")
        number = len(self.plan.purchases)
        until = self.plan.seconds + self.weather.tail
        while (cast.trapper.missing or self._lacking()) and self.pace.moment < until:
            if sum(not buyer.done() for buyer in buyers) < AT_ONCE // 2:
                come(latecomer(rng, number, [name for _, name in list(cast.trapper.missing)]))
                number += 1
            time.sleep(0.5)
        return buyers

    def _buyer(self, its: Purchase, variants: list[Json]) -> Buyer:
        return Buyer(
            its,
            self.journal,
            base_url=self.site.base_url,
            variants=variants,
            window=self.window,
            return_url=f"{self.site.shop.env['STOREFRONT_URL']}/checkout/return",
            staff=self._staff,
            person=next(self._people),
            patience=self.weather.patience * self.pace.factor,
        )

    def _heal(self) -> None:
        """Connections and programs become whole again; nothing is armed any more."""
        self.journal.note("heal")
        disarm(self.site)
        for link in self.site.links():
            self.site.disturb("pass", link)
        self.site.start_everything()

    def _wait_until_ready(self) -> None:
        """Every program answers and reads its queue."""
        began = self.journal.now
        try:
            self.site.shop.ready.everything()
        except Problem as problem:
            self.journal.find(f"not everything comes back: {problem}")
        self.journal.note("everything is ready", seconds=round(self.journal.now - began, 1))

    # After

    def _count_connections(self, before: dict[str, dict[str, int]]) -> None:
        for link, counts in self.site.disturb("count").items():
            for what, number in counts.items():
                if more := number - before[link].get(what, 0):
                    self.journal.count(f"proxy {link}: {what}", more)
                    self.journal.count(f"connections {what}", more)

    def _by_provider(self) -> dict[str, int]:
        """What the provider has done to its webhooks and answers in this run."""
        counters: dict[str, int] = self.site.provider("GET", "/control/faults")["counters"]
        return {f"provider: {what}": n - self._provider_before.get(what, 0) for what, n in counters.items()}

    def _lacking(self) -> list[str]:
        """What buyers bring about, and too little of it so far."""
        try:
            counts = {**self.journal.counts, **self._by_provider()}
        except httpx.HTTPError:
            return ["the provider does not answer"]
        buyers = self.weather.checkouts
        demands = {
            "orders": buyers * 2 // 3,
            "payments succeeded": buyers // 4,
            "answers not waited for": buyers // 15,
            "provider: doubled": buyers // 2,
            "provider: delayed": buyers // 2,
            "provider: reordered": 1,
        }
        return [
            f"{what} {counts.get(what, 0)} times, {number} are demanded"
            for what, number in demands.items()
            if counts.get(what, 0) < number
        ]

    def _demand(self, cast: Cast) -> None:
        """The least that must have happened for this run to have proved anything."""
        counts = self.journal.counts
        for kind in PROCESS_KINDS:
            planned = sum(kill.program.endswith(f"-{kind}") for kill in self.plan.kills)
            self._at_least(f"kill {kind}", planned * 2 // 3)
        for store in STORES:
            self._at_least(f"stop {store}", self.weather.rounds)
        for what in ("delay", "cut", "swallow", "swallow_answers"):
            self._at_least(what, least(what, self.plan.disturbances))
        self._at_least("connections cut", 5)
        self._at_least("connections swallowed", 5)
        self._at_least("charges compared", self.weather.checkouts // 4)
        for sentence in self._lacking():
            self.journal.find(f"too little happened: {sentence}")
        ended = sum(story.ended for story in self.stories)
        counts["buyers"] = len(self.stories)
        counts["buyers served to the end"] = ended
        self._at_least("buyers served to the end", len(self.stories) * 3 // 4)
        counts["failpoints hit"] = len(cast.trapper.hit)
        for owner, name in sorted(cast.trapper.missing):
            self.journal.find(f"failpoint {name} of {owner} was never hit")

    def _at_least(self, what: str, number: int) -> None:
        if self.journal.counts[what] < number:
            self.journal.find(
                f"too little happened: {what} {self.journal.counts[what]} times, {number} are demanded"
            )
