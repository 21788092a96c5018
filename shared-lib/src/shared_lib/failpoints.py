"""Named points in the code at which a test can make the process die, fail or hang.

    with around("checkout.reserve"):      # "checkout.reserve.before", and "checkout.reserve.after" on a normal exit
        catalog.reserve(...)
    failpoint("relay.confirmed")          # one point

`around` is a decorator as well. Every point is declared in `NAMES`; in every environment but prod an undeclared one raises
`UndeclaredFailpoint` as soon as it is met.

A file arms a point once: with the environment variable FAILPOINTS_DIR, the process that manages to remove
`FAILPOINTS_DIR/SERVICE/NAME` does what the file says: `kill` (SIGKILL to itself; an empty file means that too), `raise`
(`Hit`), `sleep SECONDS`. `arm()` writes such a file as a whole, so that nobody reads half of it. Without FAILPOINTS_DIR
a point costs a comparison or two; production refuses to start with it.

`python -m shared_lib.failpoints` prints all points, a line each: service, tab, name. The service of points in code that all
services share is `*`; they are armed for one service like the others.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import cache
from pathlib import Path
from types import TracebackType

SHARED = "*"


def _steps(*names: str) -> tuple[str, ...]:
    """The two points of each `around`."""
    return tuple(f"{name}.{side}" for name in names for side in ("before", "after"))


NAMES: dict[str, tuple[str, ...]] = {
    SHARED: (
        *_steps("relay.publish"),
        "relay.marked",
        "inbox.uncommitted",
        "inbox.committed",
        "inbox.acknowledged",
        "inbox.copied_aside",
        "dead_letters.copied",
        "idempotency.claimed",
        *_steps("idempotency.complete"),
        "idempotency.committed",
        *_steps("jobs.hint"),
    ),
    "svc-accounts": (),
    "svc-catalog": _steps(
        "reserve.commit",
        "undo.commit",
        "settle.commit",
        "expire.commit",
        "adjust.commit",
        "popularity.commit",
    ),
    "svc-cart": (
        *_steps("coupons.use", "coupons.give_back", "order.subtract"),
        "coupons.use.inside",
        "coupons.give_back.inside",
        "order.subtract.inside",
    ),
    "svc-orders": (
        *_steps("offer.address", "offer.cart", "quote.variants"),
        *_steps("checkout.begin", "checkout.take_over", "checkout.fix", "checkout.release_earlier"),
        *_steps("checkout.reserve", "checkout.use_coupon", "checkout.create_payment"),
        *_steps("checkout.return_earlier_coupons", "checkout.place"),
        "checkout.begin.inside",
        "checkout.place.inside",
        *_steps("undo.decide", "undo.claim", "undo.cancel_payment", "undo.take_money", "undo.release"),
        *_steps("undo.return_coupons", "undo.note", "undo.forget"),
        *_steps("close.wish", "close.replace", "close.claim", "close.cancel_payment", "close.settle"),
        *_steps("payment.attach", "payment.create", "payment.take", "payment.drop", "payment.take_dropped"),
        *_steps("payment.mark_canceled"),
        *_steps("event.payment", "event.refund", "event.refund_failed", "event.dispute"),
        *_steps("event.shortage"),
        *_steps("refund.claim", "refund.send", "refund.note", "refund.fail"),
        *_steps("fulfilment.ship", "fulfilment.deliver", "shipping.add_method"),
        *_steps("refund.request", "return.request", "return.approve", "return.receive"),
        *_steps("return.reject"),
    ),
    "svc-payments": _steps(
        "payments.create",
        "payments.confirm.claim",
        "payments.confirm.create_intent",
        "payments.confirm.reference",
        "payments.confirm.provider",
        "payments.confirm.release",
        "payments.confirm.wait",
        "payments.outcome",
        "payments.cancel.here",
        "payments.cancel.provider",
        "refunds.request",
        "refunds.provider",
        "refunds.outcome",
        "webhooks.store",
        "webhooks.provider",
        "webhooks.settle",
        "webhooks.note",
        "webhooks.forget",
        "disputes.outcome",
        "reconcile.provider",
        "reconcile.abandon",
        "reconcile.begin",
        "reconcile.page",
        "reconcile.ask",
        "reconcile.report",
        "reconcile.forget",
    ),
    "svc-notifications": (),
}

_FOLDER = os.environ.get("FAILPOINTS_DIR") or None
_CHECKED = os.environ.get("ENVIRONMENT") != "prod"
# What the tests of this very process have armed.
_here: dict[str, Callable[[], None]] = {}
_SLEEP = re.compile(r"sleep (\d+(?:\.\d+)?)")


class Hit(BaseException):
    """What an armed point raises: not an `Exception`, so that nothing handles it, as nothing handles a crash."""


class UndeclaredFailpoint(RuntimeError):
    """The point is not in `NAMES` for this service."""


class UnknownAction(ValueError):
    """A point was armed with something else than `kill`, `raise` or `sleep SECONDS`."""


def failpoint(name: str) -> None:
    """Does what the point is armed for; usually nothing. Raises `UndeclaredFailpoint`, and `Hit` if that is armed."""
    if _CHECKED:
        _check(name)
    if _FOLDER is not None or _here:
        _reach(name)


class around(ContextDecorator):  # noqa: N801  # reads as a statement
    """Two points: before the block, and after it unless it raises."""

    def __init__(self, name: str) -> None:
        self._before = f"{name}.before"
        self._after = f"{name}.after"
        if _CHECKED:
            _check(self._before)
            _check(self._after)

    def __enter__(self) -> None:
        if _FOLDER is not None or _here:
            _reach(self._before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (_FOLDER is not None or _here):
            _reach(self._after)


def action_of(text: str) -> Callable[[], None]:
    """What a point does that is armed with `text`. Raises `UnknownAction`."""
    text = text.strip()
    if text in ("", "kill"):
        return _kill
    if text == "raise":
        return _raise
    if found := _SLEEP.fullmatch(text):
        seconds = float(found[1])
        return lambda: time.sleep(seconds)
    raise UnknownAction(f"{text!r} is none of kill, raise, sleep SECONDS")


def arm(folder: Path, service: str, name: str, action: str = "kill") -> Path:
    """Arms a point once, for whichever process of `service` that has `folder` as FAILPOINTS_DIR reaches it first.

    Returns the file, which is gone as soon as the point was hit. Raises `UndeclaredFailpoint`, `UnknownAction`.
    """
    if name not in names_of(service):
        raise UndeclaredFailpoint(f"{service} has no failpoint {name!r}")
    action_of(action)
    path = folder / service / name
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.{os.getpid()}")
    draft.write_text(action)
    draft.replace(path)
    return path


def names_of(service: str) -> tuple[str, ...]:
    """All points that `service` has: its own and the shared ones."""
    return NAMES.get(service, ()) + NAMES[SHARED]


@cache
def _declared(service: str) -> frozenset[str]:
    return frozenset(names_of(service))


def _service() -> str:
    from django.conf import settings

    name: str = settings.SERVICE_NAME
    return name


def _check(name: str) -> None:
    service = _service()
    if name not in _declared(service):
        raise UndeclaredFailpoint(
            f"{service} has no failpoint {name!r}: add it to shared_lib.failpoints.NAMES"
        )


def _reach(name: str) -> None:
    action = _here.pop(name, None) or _taken_from_file(name)
    if action is not None:
        action()


def _taken_from_file(name: str) -> Callable[[], None] | None:
    """Of several processes that reach an armed point at once, one removes the file; for the others it was not armed."""
    if _FOLDER is None:
        return None
    path = Path(_FOLDER, _service(), name)
    try:
        text = path.read_text()
        path.unlink()
    except FileNotFoundError:
        return None
    return action_of(text)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # the signal may take a moment; nothing more happens here


def _raise() -> None:
    raise Hit


if __name__ == "__main__":
    for owner, names in NAMES.items():
        for point in names:
            print(f"{owner}\t{point}")
