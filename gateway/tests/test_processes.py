"""How the gateway starts, stops, takes a new configuration, and what a crash leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import http
from tests.support.gateway import FOLDER, Gateway, render
from tests.support.ports import wait_for_port
from tests.support.problems import assert_problem
from tests.support.services import Answer, Services

PRODUCTS = "/api/v1/catalog/products"


@pytest.fixture
def own(tmp_path: Path, environment: dict[str, str], services: Services) -> Iterator[Gateway]:
    routes = tmp_path / "routes.lua"
    routes.write_text((FOLDER / "routes.lua").read_text())
    gateway = Gateway(
        tmp_path / "out", environment | {"GATEWAY_ROUTES": str(routes), "GATEWAY_LIMIT_ADDRESS": "off"}
    ).start()
    yield gateway
    gateway.stop()


def wait_until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_killing_the_master_leaves_no_process_and_the_port_is_free(own: Gateway) -> None:
    wait_until(lambda: len(own.workers()) == 2 and "cache manager" in "".join(own.children().values()))
    left = own.children()
    os.kill(own.master, signal.SIGKILL)
    own.stop()
    wait_until(lambda: not any(alive(pid) for pid in left))
    own.start()
    assert http.get(own.url + PRODUCTS).status_code == 200


def test_after_a_reload_too_nothing_outlives_its_master(own: Gateway) -> None:
    own.reload()
    wait_until(lambda: "cache manager" in "".join(own.children().values()))
    left = own.children()
    os.kill(own.master, signal.SIGKILL)
    own.stop()
    wait_until(lambda: not any(alive(pid) for pid in left))


def test_a_killed_worker_is_replaced_and_goes_on_reading_keys_and_deny_list(own: Gateway) -> None:
    own.wait_until_keys_are_read()
    before = own.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(own.workers()) == 2 and not own.workers() & before)
    wait_for_port(own.port)
    own.wait_for_metric("gateway_denylist_age_seconds", lambda age: age < 1.5)
    time.sleep(1.5)
    own.wait_for_metric("gateway_denylist_age_seconds", lambda age: age < 1.5)
    assert http.get(own.url + PRODUCTS).status_code == 200


def test_a_new_configuration_is_taken_without_losing_a_request(own: Gateway, services: Services) -> None:
    found: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        # A connection for each request: an idle one may be closed at the moment it is used again, as HTTP allows.
        with http.session(base_url=own.url, headers={"Connection": "close"}) as client:
            while not stop.is_set():
                found.append(client.get(PRODUCTS).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    routes = Path(own.environment["GATEWAY_ROUTES"])
    text = routes.read_text()
    routes.write_text(text.replace('"/healthz"', '"/healthz2"'))
    assert http.get(f"{own.url}/healthz2").status_code == 404
    before = own.workers()
    os.kill(own.master, signal.SIGHUP)
    wait_until(lambda: http.get(f"{own.url}/healthz2").status_code == 200)
    wait_until(lambda: not any(alive(pid) for pid in before))
    stop.set()
    for thread in threads:
        thread.join()
    assert len(found) > 20
    assert set(found) == {200}


def test_a_bad_route_table_is_refused_and_the_old_one_goes_on(own: Gateway) -> None:
    routes = Path(own.environment["GATEWAY_ROUTES"])
    wait_until(lambda: len(own.workers()) == 2)
    before = own.workers()
    routes.write_text(routes.read_text().replace('auth = "optional"', 'auth = "sometimes"', 1))
    os.kill(own.master, signal.SIGHUP)
    wait_until(lambda: "auth must be one of" in own.error_log())
    assert "line" in own.error_log()
    assert http.get(own.url + PRODUCTS).status_code == 200
    assert own.workers() == before


def test_a_graceful_stop_finishes_what_runs(own: Gateway, services: Services) -> None:
    services["svc-catalog"].answer = lambda _: Answer(delay=0.8)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(http.get(own.url + PRODUCTS).status_code))
    thread.start()
    wait_until(lambda: services.seen)
    os.kill(own.master, signal.SIGQUIT)
    thread.join()
    assert found == [200]
    own.stop()


def test_after_a_reload_the_keys_are_still_there_and_another_audience_counts_at_once(
    own: Gateway, services: Services, bearer: Any
) -> None:
    own.wait_until_keys_are_read()
    good = bearer()
    assert http.get(f"{own.url}/api/v1/orders", headers=good).status_code == 200
    services["svc-accounts"].stop()
    old = own.workers()
    os.kill(own.master, signal.SIGHUP)
    wait_until(lambda: not any(alive(pid) for pid in old))
    assert http.get(f"{own.url}/api/v1/orders", headers=good).status_code == 200
    old = own.workers()
    assert render(own.environment | {"JWT_AUDIENCE": "another-shop"}).returncode == 0
    os.kill(own.master, signal.SIGHUP)
    wait_until(lambda: not any(alive(pid) for pid in old))
    answer = http.get(f"{own.url}/api/v1/orders", headers=good)
    assert assert_problem(answer, 401, "invalid_token")["reason"] == "wrong_audience"


def files_open_for_writing(pid: int) -> set[str]:
    """But for the inherited standard streams and what is closed while we look."""
    found = set()
    for link in [link for link in Path(f"/proc/{pid}/fd").iterdir() if int(link.name) > 2]:
        with contextlib.suppress(FileNotFoundError):
            target = str(link.readlink())
            flags = int(Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split("flags:")[1].split()[0], 8)
            if target.startswith("/") and flags & os.O_ACCMODE != os.O_RDONLY:
                found.add(target)
    return found


def test_everything_written_lies_in_the_output_folder(own: Gateway) -> None:
    http.post(f"{own.url}/api/v1/cart/lines", content=b"x" * 60_000)
    written = {target for pid in own.workers() | {own.master} for target in files_open_for_writing(pid)}
    assert written >= {str(own.output / "access.log"), str(own.output / "error.log")}
    for target in written:
        assert target.startswith((str(own.output), "/dev/")), target


def test_rendering_again_while_it_runs_changes_nothing_until_it_is_told(own: Gateway) -> None:
    assert render(own.environment | {"GATEWAY_TIME_NORMAL": "7"}).returncode == 0
    assert http.get(own.url + PRODUCTS).status_code == 200
