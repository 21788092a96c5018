"""Clients that send or read too slowly, or hold on to what they do not use, lose their connection and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.raw import Connection
from tests.support.services import Answer, Services

PRODUCTS = "/api/v1/catalog/products"
SECONDS = 1


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Gateway]:
    settings = {"GATEWAY_CLIENT_SECONDS": str(SECONDS), "GATEWAY_LIMIT_ADDRESS": "off"}
    gateway = Gateway(tmp_path_factory.mktemp("impatient"), environment | settings).start()
    yield gateway
    gateway.stop()


def drip(connection: Connection, text: str, seconds: float) -> bool:
    """Sends a character at a time; whether the gateway hung up meanwhile."""
    end = time.monotonic() + seconds
    for character in text:
        if time.monotonic() > end:
            break
        try:
            connection.send(character)
            connection.socket.settimeout(0.1)
            if not connection.socket.recv(1, socket.MSG_PEEK):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
        else:
            return True
    return False


def test_headers_must_all_be_there_in_time_however_steadily_they_drip(
    impatient: Gateway, services: Services
) -> None:
    with Connection(impatient.port) as connection:
        began = time.monotonic()
        assert drip(connection, f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Slow: {'x' * 100}", 4)
        assert time.monotonic() - began < SECONDS + 1.5
    assert services.seen == []


def test_a_body_that_stops_never_reaches_the_service(impatient: Gateway, services: Services) -> None:
    with Connection(impatient.port) as connection:
        connection.send("POST /api/v1/cart/lines HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n{")
        began = time.monotonic()
        assert connection.closed()
        assert time.monotonic() - began < SECONDS + 1.5
    assert services.seen == []


def test_a_client_that_does_not_read_its_answer_is_cut_off(impatient: Gateway, services: Services) -> None:
    services["svc-orders"].answer = lambda _: Answer(body=b"x" * 30_000_000)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", impatient.port))
        slow.settimeout(3)
        slow.sendall(b"GET /api/v1/orders/shipping-methods HTTP/1.1\r\nHost: shop\r\n\r\n")
        time.sleep(SECONDS + 1.5)
        received = 0
        try:
            while chunk := slow.recv(1 << 20):
                received += len(chunk)
        except ConnectionResetError:
            pass
        assert received < 30_000_000


def test_while_many_clients_are_slow_others_are_served(impatient: Gateway, services: Services) -> None:
    slow = [socket.create_connection(("127.0.0.1", impatient.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET /api/v1/catalog/products HTTP/1.1\r\nHost: shop\r\n")
        began = time.monotonic()
        assert {http.get(impatient.url + PRODUCTS).status_code for _ in range(10)} == {200}
        assert time.monotonic() - began < 2
    finally:
        for connection in slow:
            connection.close()
