"""Public answers of the catalog are kept at the edge, and are old the moment the catalog says so."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.raw import exchange
from tests.support.redis_server import RedisServer
from tests.support.services import Answer, Seen, Services

PRODUCTS, CATEGORIES = "/api/v1/catalog/products", "/api/v1/catalog/categories"
PUBLIC = {"Content-Type": "application/json", "Cache-Control": "public, max-age=0, s-maxage=60"}


def public(body: bytes = b'{"results": []}', **headers: str) -> Callable[[Seen], Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(headers=PUBLIC | {"ETag": '"one"'} | named, body=body)


def counting(**headers: str) -> Callable[[Seen], Answer]:
    """Each answer of the service is another one."""
    numbers = itertools.count(1)
    return lambda _: Answer(
        headers=PUBLIC | {name.replace("_", "-"): value for name, value in headers.items()},
        body=json.dumps({"answer": next(numbers)}).encode(),
    )


@pytest.fixture
def page() -> str:
    """A page that nobody has asked for before."""
    return f"{PRODUCTS}?q={uuid.uuid4().hex}"


@pytest.fixture
def product() -> str:
    return f"lamp-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def versions(redis_server: RedisServer) -> Iterator[redis.Redis]:
    redis_server.start()
    with redis_server.client() as client:
        yield client
        redis_server.start()


def changed(versions: redis.Redis, *names: str) -> None:
    """Products changed, as svc-catalog tells it."""
    number = int(versions.incrby("gateway:cache:products:version", len(names)))
    versions.zadd("gateway:cache:products", dict.fromkeys(names, number))


def states(client: httpx.Client, path: str, count: int, **options: Any) -> list[str]:
    return [client.get(path, **options).headers["X-Cache"] for _ in range(count)]


def wait_for_answer(client: httpx.Client, path: str, number: int, seconds: float = 3.0) -> float:
    began = time.monotonic()
    while client.get(path).json()["answer"] != number:
        assert time.monotonic() - began < seconds, "the old answer goes on"
        time.sleep(0.02)
    return time.monotonic() - began


def test_the_second_read_comes_from_the_cache(client: httpx.Client, services: Services, page: str) -> None:
    services["svc-catalog"].answer = public()
    answers = [client.get(page) for _ in range(3)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    assert len(services.seen) == 1
    first, second, _ = answers
    assert (second.status_code, second.content) == (200, first.content)
    for name in ("Content-Type", "ETag", "Cache-Control"):
        assert second.headers[name] == first.headers[name]
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert "RateLimit" in second.headers
    assert second.headers.get_list("X-Content-Type-Options") == ["nosniff"]


def test_both_workers_and_every_client_share_it(gateway: Gateway, services: Services, page: str) -> None:
    services["svc-catalog"].answer = public()
    for number in range(20):
        headers = {"X-Forwarded-For": f"100.70.1.{number}", "User-Agent": f"browser {number}"}
        http.get(gateway.url + page, headers=headers)
    assert len(services.seen) == 1


def test_a_tag_that_still_holds_is_answered_without_a_body_from_the_cache(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = public()
    client.get(page)
    same = client.get(page, headers={"If-None-Match": '"other", W/"one"'})
    assert (same.status_code, same.content, same.headers["X-Cache"]) == (304, b"", "HIT")
    assert same.headers["ETag"] == '"one"'
    assert same.headers["Cache-Control"] == PUBLIC["Cache-Control"]
    assert client.get(page, headers={"If-None-Match": '"two"'}).status_code == 200
    assert len(services.seen) == 1


def test_a_conditional_read_that_is_not_kept_yet_is_asked_for_whole(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = public()
    first = client.get(page, headers={"If-None-Match": '"one"'})
    assert (first.status_code, first.headers["X-Cache"]) == (304, "MISS")
    assert services.last.header("if-none-match") is None
    assert client.get(page).content == b'{"results": []}'


def test_head_is_answered_from_what_a_get_left_and_leaves_a_whole_answer(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = public()
    head = client.head(page)
    assert (head.status_code, head.content, head.headers["X-Cache"]) == (200, b"", "MISS")
    full = client.get(page)
    assert (full.content, full.headers["X-Cache"]) == (b'{"results": []}', "HIT")
    assert client.head(page).headers["X-Cache"] == "HIT"


# What may be kept


NOT_KEPT = {
    "private": {"Cache-Control": "private, no-store"},
    "no-store": {"Cache-Control": "no-store"},
    "public but no-store": {"Cache-Control": "public, s-maxage=60, no-store"},
    "public but private": {"Cache-Control": "public, private, s-maxage=60"},
    "not called public": {"Cache-Control": "max-age=60"},
    "nothing said": {"Cache-Control": ""},
    "a cookie": {"Set-Cookie": "refresh=x"},
    "varies by language": {"Vary": "Accept-Language"},
    "varies by token": {"Vary": "Accept-Encoding, Authorization"},
    "varies by everything": {"Vary": "*"},
    "no time": {"Cache-Control": "public, s-maxage=0"},
}


@pytest.mark.parametrize("name", NOT_KEPT)
def test_what_the_service_does_not_share_with_everybody_is_never_kept(
    client: httpx.Client, services: Services, page: str, name: str
) -> None:
    headers = PUBLIC | NOT_KEPT[name]
    services["svc-catalog"].answer = lambda _: Answer(
        headers={key: text for key, text in headers.items() if text}
    )
    assert states(client, page, 3) == ["MISS"] * 3
    assert len(services.seen) == 3


@pytest.mark.parametrize("status", [301, 404, 422, 500, 503])
def test_only_a_good_answer_is_kept(client: httpx.Client, services: Services, page: str, status: int) -> None:
    services["svc-catalog"].answer = lambda _: Answer(status, {"Cache-Control": "private, no-store"})
    assert {client.get(page).status_code for _ in range(3)} == {status}
    assert len(services.seen) == 3


def test_a_token_never_reaches_the_service_and_changes_nothing(
    client: httpx.Client, services: Services, page: str, bearer: Any
) -> None:
    services["svc-catalog"].answer = public()
    assert states(client, page, 1, headers=bearer() | {"Cookie": "refresh=x"}) == ["MISS"]
    assert services.last.header("authorization") is None
    assert states(client, page, 1) == ["HIT"]
    assert states(client, page, 1, headers={"Authorization": "Bearer nonsense"}) == ["HIT"]


def test_a_client_can_not_ask_past_the_cache(client: httpx.Client, services: Services, page: str) -> None:
    services["svc-catalog"].answer = public()
    client.get(page)
    for headers in ({"Cache-Control": "no-cache"}, {"Pragma": "no-cache"}, {"X-Accel-Expires": "0"}):
        assert states(client, page, 1, headers=headers) == ["HIT"]


def test_other_routes_are_never_kept_whatever_the_service_says(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    for name in ("svc-orders", "svc-cart", "svc-catalog"):
        services[name].answer = public()
    headers = bearer()
    paths = ("/api/v1/orders", "/api/v1/cart", "/api/v1/orders/shipping-methods", f"{PRODUCTS}/x/reviews")
    for path in paths:
        answers = [client.get(path, headers=headers) for _ in range(2)]
        assert all("X-Cache" not in answer.headers for answer in answers)
    assert len(services.seen) == 2 * len(paths)


# Under which name


def test_the_order_of_parameters_makes_no_difference_and_the_service_sees_one_order(
    client: httpx.Client, services: Services
) -> None:
    services["svc-catalog"].answer = counting()
    mark = uuid.uuid4().hex
    spellings = [
        f"q={mark}&page_size=5&attr.color=Red&attr.color=Blue",
        f"page_size=5&attr.color=Red&q={mark}&attr.color=Blue",
        f"attr.color=Red&&attr.color=Blue&page_size=5&q={mark}&",
    ]
    assert [client.get(f"{PRODUCTS}?{text}").headers["X-Cache"] for text in spellings] == [
        "MISS",
        "HIT",
        "HIT",
    ]
    assert services.last.target == f"{PRODUCTS}?attr.color=Red&attr.color=Blue&page_size=5&q={mark}"
    # What comes twice keeps its order, since that may mean something.
    other = f"q={mark}&page_size=5&attr.color=Blue&attr.color=Red"
    assert client.get(f"{PRODUCTS}?{other}").headers["X-Cache"] == "MISS"


def test_values_with_other_characters_stay_as_they_were_sent(
    client: httpx.Client, services: Services
) -> None:
    services["svc-catalog"].answer = public()
    client.get(f"{PRODUCTS}?sort=-price&q=caf%C3%A9%20%26%20%2B+x%2F&a={uuid.uuid4().hex}")
    assert services.last.target.endswith("&q=caf%C3%A9%20%26%20%2B+x%2F&sort=-price")


def test_an_endless_query_is_passed_by(client: httpx.Client, services: Services) -> None:
    services["svc-catalog"].answer = public()
    assert states(client, f"{PRODUCTS}?q={'x' * 1100}", 2) == ["BYPASS", "BYPASS"]
    assert len(services.seen) == 2


def test_hosts_and_schemes_share_an_answer(gateway: Gateway, services: Services, page: str) -> None:
    services["svc-catalog"].answer = public()
    for number, host in enumerate(("shop", "elsewhere.example")):
        head = f"GET {page} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 100.70.2.1\r\n"
        answer = exchange(gateway.port, f"{head}X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert answer.header("X-Cache") == ("HIT" if number else "MISS")


def encoded(seen: Seen) -> Answer:
    body = b'{"results": [' + b" " * 2000 + b"]}"
    if seen.header("accept-encoding") == "gzip":
        headers = PUBLIC | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "ETag": '"one-gzip"'}
        return Answer(headers=headers, body=gzip.compress(body))
    return Answer(headers=PUBLIC | {"Vary": "Accept-Encoding", "ETag": '"one"'}, body=body)


def test_compressed_and_plain_answers_are_kept_beside_each_other(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = encoded
    takes = {
        "gzip": True,
        "gzip, deflate, br, zstd": True,
        "br;q=1.0, gzip;q=0.8": True,
        "*": True,
        "GZIP": True,
        "": False,
        "br": False,
        "identity": False,
        "gzip;q=0": False,
        "gzip; q=0.0, br": False,
    }
    plain = b'{"results": [' + b" " * 2000 + b"]}"
    for accepted, compressed in takes.items():
        answer = client.get(page, headers={"Accept-Encoding": accepted})
        assert answer.content == plain
        assert answer.headers.get("Content-Encoding") == ("gzip" if compressed else None), accepted
        assert "Accept-Encoding" in ", ".join(answer.headers.get_list("Vary"))
    assert sorted(seen.header("accept-encoding") or "" for seen in services.seen) == ["", "gzip"]


# Until when


def test_a_change_of_the_catalog_makes_lists_new_within_a_second(
    client: httpx.Client, services: Services, versions: redis.Redis, page: str, product: str
) -> None:
    services["svc-catalog"].answer = counting()
    assert [client.get(path).json()["answer"] for path in (page, page, f"{PRODUCTS}/{product}")] == [1, 1, 2]
    versions.incr("gateway:cache:catalog")
    assert wait_for_answer(client, page, 3) < 1
    assert client.get(f"{PRODUCTS}/{product}").headers["X-Cache"] == "HIT"


def test_a_change_of_a_product_makes_its_page_new_under_both_names_and_no_other(
    client: httpx.Client, services: Services, versions: redis.Redis, page: str, product: str
) -> None:
    services["svc-catalog"].answer = counting()
    identity = uuid.uuid4()
    other = f"{PRODUCTS}/other-{product}"
    names = [product, str(identity), str(identity).upper()]
    paths = [f"{PRODUCTS}/{name}" for name in names]
    before = [client.get(path).json()["answer"] for path in (*paths, page, other)]
    changed(versions, identity.hex, product)
    assert wait_for_answer(client, paths[0], before[-1] + 1) < 1
    assert [client.get(path).json()["answer"] for path in (*paths, page, other)] == [6, 7, 8, 4, 5]


def test_a_gateway_that_missed_too_many_changes_discards_everything(
    client: httpx.Client, services: Services, versions: redis.Redis, product: str
) -> None:
    services["svc-catalog"].answer = counting()
    path = f"{PRODUCTS}/{product}"
    assert client.get(path).json()["answer"] == client.get(path).json()["answer"] == 1
    versions.incrby("gateway:cache:products:version", 20_000)
    assert wait_for_answer(client, path, 2) < 1


def test_many_changes_at_once_are_all_taken(
    client: httpx.Client, services: Services, versions: redis.Redis, product: str
) -> None:
    services["svc-catalog"].answer = counting()
    paths = [f"{PRODUCTS}/{product}-{number}" for number in (0, 1500, 2999)]
    assert [client.get(path).json()["answer"] for path in paths] == [1, 2, 3]
    changed(versions, *(f"{product}-{number}" for number in range(3000)))
    # They are taken in pieces, so each page is waited for.
    assert sum(wait_for_answer(client, path, answer) for answer, path in enumerate(paths, start=4)) < 1.5


def test_an_old_answer_is_served_at_once_while_one_request_fetches_a_new_one(
    gateway: Gateway, client: httpx.Client, services: Services, page: str
) -> None:
    """Not changed, but past its time: whoever asks does not wait."""
    answers = counting(Cache_Control="public, max-age=0, s-maxage=1")
    services["svc-catalog"].answer = answers
    client.get(page)
    time.sleep(2.1)

    def slowly(seen: Seen) -> Answer:
        answer = answers(seen)
        answer.delay = 0.3
        return answer

    services["svc-catalog"].answer = slowly
    began = time.monotonic()
    # A connection each: Nginx reads the next request of the one that set off the renewal when that is done.
    found = [http.get(gateway.url + page) for _ in range(5)]
    assert time.monotonic() - began < 0.3
    assert {(answer.json()["answer"], answer.headers["X-Cache"]) for answer in found} == {(1, "STALE")}
    assert wait_for_answer(client, page, 2) < 2
    assert len(services.seen) == 2


def test_an_old_answer_that_still_holds_is_renewed_without_sending_it_again(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = public(Cache_Control="public, max-age=0, s-maxage=1")
    client.get(page)
    time.sleep(2.1)
    services["svc-catalog"].answer = lambda _: Answer(304, PUBLIC | {"ETag": '"one"'}, b"")
    assert states(client, page, 1) == ["STALE"]
    time.sleep(0.3)
    assert services["svc-catalog"].seen[-1].header("if-none-match") == '"one"'
    answer = client.get(page)
    assert (answer.headers["X-Cache"], answer.content) == ("HIT", b'{"results": []}')


def test_many_misses_at_once_are_one_request_to_the_service(
    gateway: Gateway, services: Services, page: str
) -> None:
    def slowly(_: Seen) -> Answer:
        answer = public()(_)
        answer.delay = 0.3
        return answer

    services["svc-catalog"].answer = slowly
    began = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        found = list(
            pool.map(
                lambda number: http.get(
                    gateway.url + page, headers={"X-Forwarded-For": f"100.70.3.{number}"}
                ),
                range(12),
            )
        )
    assert {answer.status_code for answer in found} == {200}
    assert len(services.seen) == 1
    assert time.monotonic() - began < 1.5


def test_many_requests_for_what_is_not_kept_do_not_wait_for_each_other(
    gateway: Gateway, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = lambda _: Answer(404, {"Cache-Control": "no-store"}, delay=0.1)
    began = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        found = list(
            pool.map(
                lambda number: (
                    http.get(
                        gateway.url + page, headers={"X-Forwarded-For": f"100.70.4.{number}"}
                    ).status_code
                ),
                range(12),
            )
        )
    assert found == [404] * 12
    assert time.monotonic() - began < 1.5


# When something is away


def test_when_the_service_is_away_kept_pages_go_on_and_others_are_503(
    client: httpx.Client, services: Services, page: str
) -> None:
    services["svc-catalog"].answer = public(Cache_Control="public, max-age=0, s-maxage=1")
    client.get(page)
    time.sleep(2.1)
    services["svc-catalog"].stop()
    for _ in range(5):
        answer = client.get(page)
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "STALE")
        time.sleep(0.05)
    assert_problem(client.get(f"{page}-other"), 503, "service_unavailable")
    assert_problem(client.get(f"{PRODUCTS}/{uuid.uuid4().hex}"), 503, "service_unavailable")
    services["svc-catalog"].start()
    services["svc-catalog"].answer = public(b'{"new": 1}')
    end = time.monotonic() + 2
    while client.get(page).content != b'{"new": 1}':
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client.get(f"{page}-other").status_code == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_service_that_fails_does_not_take_kept_pages_with_it(
    client: httpx.Client, services: Services, page: str, status: int
) -> None:
    services["svc-catalog"].answer = public(Cache_Control="public, max-age=0, s-maxage=1")
    client.get(page)
    time.sleep(2.1)
    services["svc-catalog"].answer = lambda _: Answer(status, {"Cache-Control": "no-store"})
    for _ in range(4):
        assert states(client, page, 1) == ["STALE"]
        time.sleep(0.05)


@pytest.fixture
def own(
    tmp_path: Path, environment: dict[str, str], services: Services
) -> Iterator[tuple[Gateway, RedisServer]]:
    """A gateway with a Redis that it alone uses."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    limits = {"GATEWAY_LIMIT_ADDRESS": "off"}
    gateway = Gateway(tmp_path / "gateway", environment | server.environment() | limits).start()
    gateway.wait_for_metric("gateway_cache_age_seconds", lambda age: age < 1)
    yield gateway, server
    gateway.stop()
    server.stop()


def test_without_redis_answers_are_kept_for_seconds_and_afterwards_all_are_asked_for_anew(
    own: tuple[Gateway, RedisServer], services: Services, page: str
) -> None:
    gateway, server = own
    services["svc-catalog"].answer = counting()
    with http.session(base_url=gateway.url) as client:
        client.get(page)
        time.sleep(0.5)
        assert states(client, page, 2) == ["HIT", "HIT"]
        server.stop()
        assert wait_for_answer(client, page, 2, seconds=6) > 0.5  # nothing tells of changes now
        assert client.get(page).headers["X-Cache"] == "HIT"
        newest = len(services.seen)
        wait_for_answer(client, page, newest + 1, seconds=5)  # and again, and again
        server.start()
        gateway.wait_for_metric("gateway_cache_age_seconds", lambda age: age < 1)
        client.get(page)
        client.get(page)
        newest = len(services.seen)
        time.sleep(2.5)
        assert states(client, page, 2) == ["HIT", "HIT"]
        assert len(services.seen) == newest


def test_after_a_short_absence_of_redis_nothing_from_before_is_served(
    own: tuple[Gateway, RedisServer], services: Services, page: str
) -> None:
    gateway, server = own
    services["svc-catalog"].answer = counting()
    with http.session(base_url=gateway.url) as client:
        assert client.get(page).json()["answer"] == 1
        server.stop()
        server.start()
        assert wait_for_answer(client, page, 2) < 1.5


def test_a_reload_keeps_what_was_kept(
    own: tuple[Gateway, RedisServer], services: Services, page: str
) -> None:
    gateway, _ = own
    services["svc-catalog"].answer = counting()
    http.get(gateway.url + page)
    gateway.reload()
    assert http.get(gateway.url + page).headers["X-Cache"] == "HIT"
    time.sleep(1)
    assert http.get(gateway.url + page).headers["X-Cache"] == "HIT"


def test_metrics_tell_where_answers_came_from(
    gateway: Gateway, client: httpx.Client, services: Services, page: str
) -> None:
    names = {how: f'gateway_cache_total{{result="{how}"}}' for how in ("hit", "miss")}
    time.sleep(0.4)
    before = gateway.metrics()
    services["svc-catalog"].answer = public()
    states(client, page, 4)
    gateway.wait_for_metric(names["hit"], lambda value: value == before.get(names["hit"], 0) + 3)
    assert gateway.metrics()[names["miss"]] == before.get(names["miss"], 0) + 1


def test_the_category_tree_is_kept_too(
    client: httpx.Client, services: Services, versions: redis.Redis
) -> None:
    services["svc-catalog"].answer = counting()
    first = client.get(f"{CATEGORIES}?x={uuid.uuid4().hex}")
    again = client.get(str(first.request.url))
    assert (again.headers["X-Cache"], again.content) == ("HIT", first.content)
