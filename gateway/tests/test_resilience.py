"""A service may be restarted, or have more to do than it can, and clients hardly notice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench.load import ECHO, Storefronts, Tally, run

from tests.support import http
from tests.support.gateway import FOLDER, Gateway
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.problems import assert_problem
from tests.support.services import Answer, Seen, Services
from tests.support.tokens import Key

ORDERS, CART, METHODS = "/api/v1/orders", "/api/v1/cart/lines", "/api/v1/orders/shipping-methods"


@pytest.fixture
def make(tmp_path: Path, environment: dict[str, str], services: Services) -> Iterator[Callable[..., Gateway]]:
    """A gateway of this test's own, with limits out of the way."""
    started: list[Gateway] = []

    def start(**changes: str) -> Gateway:
        usual = {"GATEWAY_LIMIT_ADDRESS": "off", "GATEWAY_TIME_NORMAL": "8", "GATEWAY_RETRY_SECONDS": "4"}
        gateway = Gateway(tmp_path / f"gateway-{len(started)}", environment | usual | changes).start()
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


Ask = Callable[[httpx.Client], httpx.Response]


@contextmanager
def load(gateway: Gateway, *asks: Ask) -> Iterator[Counter[int | str]]:
    """Clients that ask one after the other as long as the block runs; gives the count of each status, and of each way in
    which no answer came."""
    found: Counter[int | str] = Counter()
    stop = threading.Event()

    def run(ask: Ask) -> None:
        with http.session(base_url=gateway.url) as client:
            while not stop.is_set():
                try:
                    found[ask(client).status_code] += 1
                except httpx.HTTPError as error:
                    found[repr(error)] += 1

    threads = [threading.Thread(target=run, args=(ask,)) for ask in asks for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def read(client: httpx.Client) -> httpx.Response:
    return client.get(METHODS)


def write(client: httpx.Client) -> httpx.Response:
    return client.post(CART, content=b"x" * 5000, headers={"Idempotency-Key": uuid.uuid4().hex})


def test_a_service_is_restarted_under_load_and_no_request_fails(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make()
    with load(gateway, read, write) as found:
        for name in ("svc-orders", "svc-cart"):
            time.sleep(0.3)
            services[name].stop()
            time.sleep(1.2)
            services[name].start()
        time.sleep(1)
    assert found.keys() == {200}
    assert found[200] > 50
    assert {len(seen.body) for seen in services.seen if seen.method == "POST"} == {5000}
    gateway.wait_for_metric("gateway_retries_total", lambda count: count > 0)


def test_a_write_that_certainly_did_not_arrive_is_sent_once_the_service_is_back(
    make: Callable[..., Gateway], services: Services
) -> None:
    """Even without an Idempotency-Key: nobody took the connection."""
    gateway = make()
    services["svc-cart"].stop()
    timer = threading.Timer(0.6, services["svc-cart"].start)
    timer.start()
    answer = http.post(gateway.url + CART, content=b"x" * 5000)
    timer.join()
    assert answer.status_code == 200
    assert len(services.last.body) == 5000


# The circuit


def back(gateway: Gateway, path: str) -> float:
    """Seconds until an answer is a 200 again."""
    began = time.monotonic()
    while http.get(gateway.url + path).status_code != 200:
        assert time.monotonic() - began < 5
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_service_that_stays_away_is_waited_for_once_and_then_refused_at_once(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make(GATEWAY_RETRY_SECONDS="1")
    services["svc-orders"].stop()
    times = []
    for _ in range(6):
        began = time.monotonic()
        answer = assert_problem(http.get(gateway.url + METHODS), 503, "service_unavailable")
        assert answer["detail"] == "A part of the shop is not available at the moment"
        times.append(time.monotonic() - began)
    assert 0.4 < times[0] < 2
    assert max(times[2:]) < 0.3
    gateway.wait_for_metric('gateway_circuit_refused_total{service="svc-orders"}', lambda count: count > 0)
    assert http.get(f"{gateway.url}/api/v1/cart").status_code == 200
    services["svc-orders"].start()
    assert back(gateway, METHODS) < 1


def test_a_restart_soon_after_an_outage_is_waited_for_again(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make(GATEWAY_RETRY_SECONDS="1")
    services["svc-orders"].stop()
    for _ in range(3):
        assert http.get(gateway.url + METHODS).status_code == 503
    services["svc-orders"].start()
    back(gateway, METHODS)
    services["svc-orders"].stop()
    timer = threading.Timer(0.4, services["svc-orders"].start)
    timer.start()
    assert http.get(gateway.url + METHODS).status_code == 200
    timer.join()


@contextmanager
def silence() -> Iterator[str]:
    """The address of a machine that has gone: nothing answers, not even a refusal."""
    with socket.socket() as door, ExitStack() as stack:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(4):  # whoever nobody accepts fills the queue, and the next is not heard
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(door.getsockname())
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


def test_a_machine_that_has_gone_without_a_word_soon_costs_nobody_time(
    make: Callable[..., Gateway], services: Services
) -> None:
    with silence() as url:
        gateway = make(SVC_ORDERS_URL=url, GATEWAY_RETRY_SECONDS="1")
        began = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            for answer in pool.map(lambda _: http.get(gateway.url + METHODS), range(3)):
                assert_problem(answer, 503, "service_unavailable")
        assert time.monotonic() - began < 6
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert_problem(http.get(gateway.url + METHODS), 503, "service_unavailable")
            times.append(time.monotonic() - began)
        assert sorted(times)[2] < 0.3  # one of them may have gone and looked


def test_kept_pages_go_on_while_the_circuit_is_open(make: Callable[..., Gateway], services: Services) -> None:
    gateway = make(GATEWAY_RETRY_SECONDS="1")
    page = f"/api/v1/catalog/products?page={uuid.uuid4().hex}"
    services["svc-catalog"].answer = lambda _: Answer(
        headers={"Cache-Control": "public, max-age=0, s-maxage=1"}
    )
    gateway.wait_for_metric("gateway_cache_age_seconds", lambda age: age < 1)
    assert http.get(gateway.url + page).status_code == 200
    services["svc-catalog"].stop()
    with load(gateway, lambda client: client.get(f"{page}-other")) as others:
        time.sleep(2.5)
        found = [http.get(gateway.url + page) for _ in range(10)]
    assert {(answer.status_code, answer.headers["X-Cache"]) for answer in found} == {(200, "STALE")}
    assert others.keys() == {503}
    assert others[503] > 50
    services["svc-catalog"].start()
    assert back(gateway, f"{page}-other") < 1


def test_nobody_waits_beyond_the_deadline(make: Callable[..., Gateway], services: Services) -> None:
    gateway = make(GATEWAY_TIME_NORMAL="1")
    services["svc-orders"].stop()
    began = time.monotonic()
    assert_problem(http.get(gateway.url + METHODS), 503, "service_unavailable")
    assert time.monotonic() - began < 1.5


BROKEN = [
    ("GET", METHODS, {}, 2),
    ("POST", CART, {}, 1),
    ("POST", CART, {"Idempotency-Key": "one"}, 2),
]


@pytest.mark.parametrize(("method", "path", "headers", "times"), BROKEN, ids=str)
def test_what_broke_off_is_sent_again_only_if_twice_does_no_harm(
    make: Callable[..., Gateway],
    services: Services,
    method: str,
    path: str,
    headers: dict[str, str],
    times: int,
) -> None:
    gateway = make()
    answers: Iterator[Answer] = iter([Answer(raw=b"")])
    for name in ("svc-orders", "svc-cart"):
        services[name].answer = lambda _: next(answers, Answer())
    with http.session(base_url=gateway.url) as client:
        answer = client.request(method, path, headers=headers)
    if times == 1:
        assert_problem(answer, 502, "bad_gateway")
    else:
        assert answer.status_code == 200
    assert len(services.seen) == times


def test_a_service_that_always_breaks_off_is_502_soon(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make()
    services["svc-orders"].answer = lambda _: Answer(raw=b"")
    began = time.monotonic()
    assert_problem(http.get(gateway.url + METHODS), 502, "bad_gateway")
    assert time.monotonic() - began < 2
    assert len(services.seen) <= 3


def test_of_too_many_requests_at_once_some_are_refused_at_once_and_the_rest_is_served(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make(GATEWAY_IN_FLIGHT="4", GATEWAY_WORKERS="1")
    services["svc-orders"].answer = lambda _: Answer(delay=0.8)

    def timed(_: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = http.get(gateway.url + METHODS)
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(timed, range(12)))
    refused = [(answer, took) for answer, took in found if answer.status_code == 503]
    assert Counter(answer.status_code for answer, _ in found) == {200: 4, 503: 8}
    for answer, took in refused:
        assert_problem(answer, 503, "service_unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert took < 0.7
    assert http.get(gateway.url + METHODS).status_code == 200
    gateway.wait_for_metric('gateway_shed_total{service="svc-orders"}', lambda count: count == 8)


def test_a_slow_service_does_not_take_the_others_with_it(
    make: Callable[..., Gateway], services: Services
) -> None:
    gateway = make(GATEWAY_IN_FLIGHT="4", GATEWAY_WORKERS="1")
    services["svc-orders"].answer = lambda _: Answer(delay=0.5)
    with load(gateway, read, read, read), http.session(base_url=gateway.url) as client:
        time.sleep(0.2)
        assert {client.get("/api/v1/cart").status_code for _ in range(20)} == {200}


def test_refusals_of_all_kinds_leave_room_for_the_next(
    make: Callable[..., Gateway], services: Services, bearer: Any
) -> None:
    """Whatever ends a request, it no longer counts as one that waits."""
    gateway = make(GATEWAY_IN_FLIGHT="3", GATEWAY_WORKERS="1", GATEWAY_RETRY_SECONDS="0")
    gateway.wait_until_keys_are_read()

    def broken(_: Seen) -> Answer:
        return Answer(raw=b"")

    with http.session(base_url=gateway.url) as client:
        for _ in range(6):
            assert client.get(ORDERS).status_code == 401
            assert client.get(ORDERS, headers={"Authorization": "Bearer x"}).status_code == 401
            assert client.get("/api/v1/orders/admin", headers=bearer()).status_code == 403
            assert client.get(f"{ORDERS}/1/invoice").status_code == 401
            assert client.post(f"{ORDERS}/1/payments", content=b"x" * 70_000).status_code == 413
            services["svc-orders"].answer = broken
            assert client.get(METHODS).status_code == 502
            services["svc-orders"].answer = lambda _: Answer()
        assert client.get(ORDERS, headers=bearer()).status_code == 200


# Reloading


def test_reloads_under_five_hundred_requests_a_second_lose_none_and_a_mistake_changes_nothing(
    make: Callable[..., Gateway], key: Key, tmp_path: Path
) -> None:
    """Tokens, pages from the cache, unknown paths: every answer is checked to the byte."""
    routes = tmp_path / "routes.lua"
    text = (FOLDER / "routes.lua").read_text()
    routes.write_text(text)
    line = text[: text.index('time = "long"')].count("\n") + 1
    behind = free_port()
    url = f"http://127.0.0.1:{behind}"
    tmp_path.chmod(0o755)
    with nginx(tmp_path, "behind", ECHO.format(port=behind, public="public, s-maxage=5"), behind):
        gateway = make(
            SVC_ORDERS_URL=url, SVC_CATALOG_URL=url, GATEWAY_LIMIT_USER="off", GATEWAY_ROUTES=str(routes)
        )
        gateway.wait_until_keys_are_read()
        clients, tally = Storefronts(key, tokens=50), Tally()

        def reload() -> None:
            for _ in range(3):
                time.sleep(0.3)
                gateway.reload()
            before = gateway.workers()
            routes.write_text(text.replace('time = "long"', 'time = "endless"', 1))
            gateway.signal_reload()
            end = time.monotonic() + 5
            while "time must be one of long, normal" not in gateway.error_log():
                assert time.monotonic() < end
                time.sleep(0.02)
            time.sleep(0.3)
            assert gateway.workers() == before

        async def everything() -> None:
            load = run(gateway.port, 500, 3.5, clients.good, tally, connections=24, renew=True)
            await asyncio.gather(load, asyncio.to_thread(reload))

        asyncio.run(everything())
    assert f"routes.lua line {line}: /api/v1/accounts/me/export: time must be" in gateway.error_log()
    assert tally.wrong == []
    assert tally.total > 500
