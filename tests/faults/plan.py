"""What happens when: everything that chance decides, decided beforehand from one seed.

A second run with the same seed makes the same plan: the same buyers with the same intentions at the same moments, the same
processes killed, the same stores stopped and the same connections disturbed. How they meet is up to the machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Links that always have connections which somebody uses.
FIRST_DISTURBANCES = (
    ("postgres", "cut"),
    ("postgres", "delay"),
    ("postgres", "swallow_answers"),
    ("amqp", "cut"),
    ("redis", "swallow"),
)
PROCESS_KINDS = ("web", "events", "worker")
STORES = ("rabbitmq", "postgres", "redis", "sandbox")

#: What a buyer is up to after the order, and how often, in parts.
INTENTIONS = {
    "pay": 22,
    "decline_then_pay": 8,
    "authenticate": 8,
    "fail_authentication_then_pay": 3,
    "abandon_authentication": 3,
    "pay_delayed": 8,
    "cancel_unpaid": 8,
    "pay_then_cancel": 10,
    "pay_and_cancel_at_once": 5,
    "leave": 7,
    "pay_at_the_last_moment": 5,
    "replace": 8,
    "wrong_total_then_pay": 5,
    "pay_anew": 6,
    "ask_for_a_payment_and_leave": 2,
    "send_to_a_kept_address": 5,
    "receive": 4,
    "receive_and_send_back": 4,
    "receive_and_may_not_send_back": 2,
    "get_some_money_back": 3,
    "pay_with_a_card_whose_refunds_fail_then_cancel": 2,
    "pay_slow_to_refund_then_cancel": 2,
    "pay_and_dispute": 2,
}
#: Which intention passes the failpoints whose names have this part. Those on the way of every order need none.
LEADS_TO = {
    "quote.": "pay",
    "offer.address": "send_to_a_kept_address",
    "earlier": "replace",
    "close.replace": "replace",
    "close.": "cancel_unpaid",
    "close.claim": "leave",
    "undo.": "wrong_total_then_pay",
    "payment.": "pay_anew",
    "payments.cancel.": "cancel_unpaid",
    "payments.confirm.": "pay_delayed",
    "coupons.give_back": "cancel_unpaid",
    "refund": "pay_then_cancel",
    "refund.request": "get_some_money_back",
    "refund.fail": "pay_with_a_card_whose_refunds_fail_then_cancel",
    "refund_failed": "pay_with_a_card_whose_refunds_fail_then_cancel",
    "dispute": "pay_and_dispute",
    "fulfilment.": "receive",
    "return.": "receive_and_send_back",
    "return.reject": "receive_and_may_not_send_back",
    "webhooks.": "pay_delayed",
    "reconcile.ask": "pay_delayed",
}
#: How the order is sent, and how often, in parts.
MANNERS = {
    "patient": 6,
    "hangs_up": 3,  # before the answer, then comes back with the same key
    "twice_at_once": 2,  # two requests with one key
}
#: How many open an account first. It costs half a second of a processor each, for the hash of the password.
REGISTERING = 0.3
WITH_COUPON = 0.3
#: How many of those who come while failpoints are missing come for their sake.
USEFUL = 0.75


@dataclass(frozen=True)
class Purchase:
    """One buyer. `start` is seconds after the beginning; `products` are picks from the shop's list, `quantity` of each.

    `registers`: opens an account and signs in; the others have done that before the run.
    """

    number: int
    start: float
    intention: str
    manner: str
    products: tuple[int, ...]
    quantity: int
    hang_up_after: float
    registers: bool
    coupon: bool


@dataclass(frozen=True)
class Kill:
    """`program` is the one to hit; `place` picks one of its processes, 0 being the first."""

    at: float
    program: str
    place: int


@dataclass(frozen=True)
class Outage:
    """The store is stopped at `at` and started `seconds` later."""

    at: float
    store: str
    seconds: float


@dataclass(frozen=True)
class Disturbance:
    """`what` is "delay", "cut", "swallow" or "swallow_answers"; `seconds` is for how long (a cut has none)."""

    at: float
    link: str
    what: str
    seconds: float
    delay: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """`seconds` is how long faults are made; buyers come during the first nine tenths of it."""

    seed: int
    seconds: float
    purchases: tuple[Purchase, ...]
    kills: tuple[Kill, ...]
    outages: tuple[Outage, ...]
    disturbances: tuple[Disturbance, ...]


def least(what: str, disturbances: Sequence[Disturbance]) -> int:
    """How often a disturbance of a kind must really have been made: a third of what was planned."""
    return sum(its.what == what for its in disturbances) // 3


def make_plan(
    *,
    seed: int,
    checkouts: int,
    seconds: float,
    services: Sequence[str],
    links: Sequence[str],
    outage: tuple[float, float],
    rounds: int = 1,
) -> Plan:
    """`outage` is how long a store stays away at least and at most, `rounds` how often each one goes."""
    rng = random.Random(seed)
    return Plan(
        seed=seed,
        seconds=seconds,
        purchases=_purchases(rng, checkouts, seconds),
        kills=_kills(rng, seconds, services),
        outages=_outages(rng, seconds, outage, rounds),
        disturbances=_disturbances(rng, seconds, links),
    )


def _purchases(rng: random.Random, count: int, seconds: float) -> tuple[Purchase, ...]:
    # Every intention occurs before chance decides.
    intentions = list(INTENTIONS)[:count]
    intentions += rng.choices(list(INTENTIONS), list(INTENTIONS.values()), k=count - len(intentions))
    rng.shuffle(intentions)
    starts = sorted(rng.uniform(0, 0.9 * seconds) for _ in range(count))
    return tuple(purchase(rng, number, starts[number], intentions[number]) for number in range(count))


def purchase(rng: random.Random, number: int, start: float, intention: str) -> Purchase:
    """One buyer whose intention and time are given."""
    return Purchase(
        number=number,
        start=start,
        intention=intention,
        manner=rng.choices(list(MANNERS), list(MANNERS.values()))[0],
        products=tuple(rng.sample(range(12), rng.choice((1, 1, 2, 3)))),
        quantity=rng.choice((1, 1, 1, 2, 3)),
        hang_up_after=rng.choice((0.02, 0.05, 0.1, 0.3)),
        registers=rng.random() < REGISTERING,
        coupon=rng.random() < WITH_COUPON,
    )


def latecomer(rng: random.Random, number: int, missing: Sequence[str]) -> Purchase:
    """One buyer more, most likely with an intention that leads to one of the failpoints in `missing`."""
    useful = sorted({LEADS_TO[part] for part in LEADS_TO if any(part in name for name in missing)})
    by_chance = rng.choices(list(INTENTIONS), list(INTENTIONS.values()))[0]
    intention = rng.choice(useful) if useful and rng.random() < USEFUL else by_chance
    its = purchase(rng, number, 0.0, intention)
    return replace(its, coupon=True) if any("coupon" in name for name in missing) else its


def _kills(rng: random.Random, seconds: float, services: Sequence[str]) -> tuple[Kill, ...]:
    """One about every second; each three are one of each kind."""
    found: list[Kill] = []
    at = 1.0
    while at < seconds:
        for kind in rng.sample(PROCESS_KINDS, len(PROCESS_KINDS)):
            found.append(Kill(at, f"{rng.choice(services)}-{kind}", rng.randrange(4)))
            at += rng.uniform(0.7, 1.3)
    return tuple(kill for kill in found if kill.at < seconds)


def _outages(
    rng: random.Random, seconds: float, length: tuple[float, float], rounds: int
) -> tuple[Outage, ...]:
    """One after the other, spread over the time between a twelfth and three quarters of it."""
    stores = [store for _ in range(rounds) for store in rng.sample(STORES, len(STORES))]
    first, last = seconds / 12, 0.75 * seconds
    step = (last - first) / max(len(stores), 1)
    return tuple(
        Outage(first + step * place + rng.uniform(0, step / 4), store, min(rng.uniform(*length), 0.6 * step))
        for place, store in enumerate(stores)
    )


def _disturbances(rng: random.Random, seconds: float, links: Sequence[str]) -> tuple[Disturbance, ...]:
    """One every two to three seconds, those that hit most first; each link meets each kind before chance repeats one."""
    pairs = list(FIRST_DISTURBANCES)
    rng.shuffle(pairs)
    found = []
    at = 2.0
    while at < seconds:
        if not pairs:
            pairs = [
                (link, what) for link in links for what in ("delay", "cut", "swallow", "swallow_answers")
            ]
            rng.shuffle(pairs)
        link, what = pairs.pop()
        delay = rng.choice(((0.005, 0.03), (0.02, 0.15), (0.1, 0.6)))
        # A broker is missed by its heartbeats only, which takes longest.
        longest = min(25.0, seconds / 8) if link == "amqp" and what == "swallow" else 6.0
        length = 0.0 if what == "cut" else rng.uniform(2.0, max(longest, 3.0))
        found.append(Disturbance(at, link, what, length, delay))
        at += rng.uniform(2.0, 3.0)
    return tuple(found)
