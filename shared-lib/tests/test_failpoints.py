"""Failpoints, also in processes of their own: a file kills one of them, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_lib import failpoints
from shared_lib.contracts.events.base import SERVICES
from shared_lib.failpoints import Hit, UndeclaredFailpoint, UnknownAction, arm, around, failpoint
from shared_lib.settings import service_settings
from shared_lib.testing.failpoints import armed

SERVICE = "svc-catalog"


@pytest.fixture(autouse=True)
def _points(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two points of this service and a shared one."""
    monkeypatch.setitem(failpoints.NAMES, SERVICE, ("work.before", "work.after"))
    monkeypatch.setitem(failpoints.NAMES, failpoints.SHARED, ("relay.confirmed",))
    failpoints._declared.cache_clear()
    yield
    failpoints._declared.cache_clear()


def test_a_point_that_is_not_armed_does_nothing() -> None:
    failpoint("relay.confirmed")
    with around("work"):
        pass


def test_a_block_has_a_point_before_it_and_one_after_it() -> None:
    done = []
    with armed("work.before"), pytest.raises(Hit), around("work"):
        done.append("never")
    with armed("work.after"), pytest.raises(Hit), around("work"):
        done.append("once")
    assert done == ["once"]


def test_a_block_that_raises_never_reaches_the_point_after_it() -> None:
    unreached = pytest.raises(AssertionError, match=r"nothing reached the failpoint work\.after")
    with unreached, armed("work.after"), pytest.raises(KeyError), around("work"):
        raise KeyError


def test_a_function_can_be_decorated() -> None:
    @around("work")
    def work(answer: int) -> int:
        return answer

    assert work(1) == 1
    with armed("work.after"), pytest.raises(Hit):
        work(2)
    assert work(3) == 3


def test_a_point_is_hit_once() -> None:
    with armed("relay.confirmed"):
        with pytest.raises(Hit):
            failpoint("relay.confirmed")
        failpoint("relay.confirmed")


def test_a_test_can_do_something_of_its_own_at_a_point() -> None:
    seen: list[str] = []
    with armed("work.before", lambda: seen.append("here")), around("work"):
        seen.append("inside")
    assert seen == ["here", "inside"]


def test_a_point_can_hang() -> None:
    started = time.monotonic()
    with armed("relay.confirmed", "sleep 0.05"):
        failpoint("relay.confirmed")
    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("name", ["work", "work.middle", "RELAY.CONFIRMED", ""])
def test_a_point_that_is_not_declared_is_refused_at_once(name: str) -> None:
    with pytest.raises(UndeclaredFailpoint, match=r"shared_lib\.failpoints\.NAMES"):
        failpoint(name)
    with pytest.raises(UndeclaredFailpoint):
        around(f"{name}s")


def test_production_spares_itself_the_look_at_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_CHECKED", False)
    failpoint("nobody.knows")


def test_a_hit_is_nothing_that_code_handles() -> None:
    assert not issubclass(Hit, Exception)


@pytest.mark.parametrize("action", ["die", "sleep", "sleep x", "sleep -1", "raise now"])
def test_an_action_that_nobody_knows_arms_nothing(action: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownAction):
        arm(tmp_path, SERVICE, "work.before", action)
    with pytest.raises(UndeclaredFailpoint):
        arm(tmp_path, SERVICE, "work", "kill")
    assert list(tmp_path.rglob("*")) == []


def test_a_file_arms_a_point_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_FOLDER", str(tmp_path))
    file = arm(tmp_path, SERVICE, "relay.confirmed", "raise")
    other = arm(tmp_path, SERVICE, "work.after", "raise")
    assert (file, file.read_text()) == (tmp_path / SERVICE / "relay.confirmed", "raise")
    with pytest.raises(Hit):
        failpoint("relay.confirmed")
    failpoint("relay.confirmed")
    assert (file.exists(), other.exists()) == (False, True)


_PROGRAM = f"""
import sys, time
from django.conf import settings
settings.configure(SERVICE_NAME={SERVICE!r})
from shared_lib import failpoints
failpoints.NAMES[{SERVICE!r}] = ("work.before", "work.after")
print("ready", flush=True)
time.sleep(float(sys.stdin.readline()) - time.time())
with failpoints.around("work"):
    pass
print("survived", flush=True)
"""


def test_of_two_processes_that_reach_a_point_at_once_a_file_kills_one(tmp_path: Path) -> None:
    file = arm(tmp_path, SERVICE, "work.before")
    environment = os.environ | {"FAILPOINTS_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        start = time.time() + 0.2
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{start}\n")
            process.stdin.flush()
        said = {process.communicate(timeout=20)[0]: process.returncode for process in processes}
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert said == {"": -signal.SIGKILL, "survived\n": 0}
    assert not file.exists()


def test_production_refuses_to_start_with_failpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENVIRONMENT": "prod",
        "SECRET_KEY": "x" * 50,
        "PUBLIC_BASE_URL": "https://shop.test",
        "STOREFRONT_URL": "https://shop.test",
        "DATABASE_URL": "postgresql://a:b@db/c",
    }.items():
        monkeypatch.setenv(name, value)
    assert service_settings(SERVICE, apps=["effects"])["FAILPOINTS_DIR"] is None
    monkeypatch.setenv("FAILPOINTS_DIR", str(tmp_path))
    with pytest.raises(ImproperlyConfigured, match="FAILPOINTS_DIR must not be set in production"):
        service_settings(SERVICE, apps=["effects"])
    monkeypatch.setenv("ENVIRONMENT", "test")
    assert service_settings(SERVICE, apps=["effects"])["FAILPOINTS_DIR"] == tmp_path
    monkeypatch.setenv("FAILPOINTS_DIR", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match=r"FAILPOINTS_DIR.*not there"):
        service_settings(SERVICE, apps=["effects"])


def test_all_points_can_be_listed() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "shared_lib.failpoints"], capture_output=True, text=True, check=True
    ).stdout
    rows = [tuple(line.split("\t")) for line in listed.splitlines()]
    assert len(set(rows)) == len(rows)
    assert all(service in {*SERVICES, "*"} and name for service, name in rows)


def test_the_table_has_a_row_for_every_service() -> None:
    assert set(failpoints.NAMES) == {*SERVICES, failpoints.SHARED}
