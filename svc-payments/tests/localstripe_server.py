"""`python tests/localstripe_server.py PORT`: localstripe, a Stripe server that others wrote, with what it lacks for us.

It lacks: `payment_method` and `return_url` of a confirmation, and so another try after a declined one; the parameter
`allowed_payment_method_types`; `created` of lists of payment intents and refunds. These are added here.

It also lacks: idempotency keys, `redirect_to_url`, disputes, refunds that are checked, pend or fail, payments that wait,
webhooks of anything but success and failure of a payment. The sandbox behind Stripe's interface has those.
"""

from __future__ import annotations

import sys
from typing import Any

from aiohttp import web
from localstripe import resources, server

_PaymentIntent = resources.PaymentIntent
_create = _PaymentIntent.__init__
_confirm = _PaymentIntent._api_confirm.__func__


def create(self: Any, *, allowed_payment_method_types: Any = None, **data: Any) -> None:
    _create(self, **data)


def confirm(
    cls: Any, *, payment_method: str | None = None, return_url: str | None = None, **data: Any
) -> Any:
    intent = cls._api_retrieve(data["id"])
    if payment_method is not None and intent.status == "requires_payment_method":
        intent.payment_method = resources.PaymentMethod._api_retrieve(payment_method).id
        intent.latest_charge = None
    return _confirm(cls, **data)


def listed(cls: Any) -> Any:
    original = cls._api_list_all.__func__

    def list_all(kind: Any, /, url: str, created: Any = None, **query: Any) -> Any:
        found = original(kind, url, **query)
        since = int(created["gte"]) if created else 0
        found._list = [each for each in found._list if each.created >= since]
        return found

    return classmethod(list_all)


def application() -> web.Application:
    """localstripe's, whose routes hold the functions that they were made with: ours have to be found first."""
    _PaymentIntent.__init__ = create
    for kind in (_PaymentIntent, resources.Refund):
        kind._api_list_all = listed(kind)
    resources.store.dump_to_disk = lambda: None
    made = web.Application(middlewares=server.app.middlewares)
    url = "/v1/payment_intents/{id}/confirm"
    ours = server.api_extra(lambda **data: confirm(_PaymentIntent, **data), url)
    made.router.add_route("POST", url, ours)
    for route in server.app.router.routes():
        if route.method != "HEAD" and (route.method, route.resource.canonical) != ("POST", url):
            made.router.add_route(route.method, route.resource.canonical, route.handler)
    return made


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), print=None)
