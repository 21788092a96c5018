"""What `make upgrade` and its kin do to containers, in which order, and what a failure leaves: with an engine that only notes it.

docs/containers.md names the script that does it all to the running containers, under load.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from containers import engine, files, rolling
from shop import releases
from shop.layout import Layout
from shop.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
CART = "svc-cart"
WEB = "svc-cart-web"


class Engine:
    """Containers of svc-cart's web by their ids; `fails` are words of commands that fail, `state` is what a new one is like."""

    def __init__(self) -> None:
        self.webs = ["old"]
        self.done: list[str] = []
        self.fails: set[str] = set()
        self.images = {"shop/svc-cart:1.2.0"}
        self.state = "running 0 0"

    def compose(self, compose: engine.Compose, *words: str, **_: object) -> str:
        version = compose._versions.get("SVC_CART_VERSION", releases.DEV)
        if words[0] == "ps":
            return "\n".join(self.webs)
        said = " ".join(word for word in words if not word.startswith("-"))
        self.done.append(f"{version}: {said}")
        if any(fault in said for fault in self.fails):
            raise Problem(f"{said} failed.")
        if "--scale" in words:
            self.webs.append(f"new{len(self.done)}")
        return ""

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        code, said = 0, ""
        if words[0] == "image":
            code = words[2] not in self.images
        elif words[0] == "inspect":
            said = self.state
        elif words[0] == "logs":
            said = "CART_GUEST_DAYS must be more than 0."
        elif words[0] == "rm":
            self.webs.remove(words[-1])
        if words[0] in ("kill", "stop", "rm"):
            self.done.append(" ".join(word for word in words if not word.startswith("-")))
        return subprocess.CompletedProcess(words, int(code), said, "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = Engine()

    def do(compose: engine.Compose, *words: str, **more: object) -> str:
        return found.compose(compose, *words, **more)

    monkeypatch.setattr(engine.Compose, "do", do)
    monkeypatch.setattr(rolling, "docker", found.docker)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found


@pytest.fixture
def compose(tmp_path: Path) -> engine.Compose:
    layout = Layout(ROOT, tmp_path / "state", tmp_path / "env")
    layout.make_folders()
    files.folder(layout).mkdir()
    return engine.Compose(layout, {})


def record(compose: engine.Compose) -> releases.Record:
    return releases.record(rolling.records(compose.layout), CART)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Problem) as raised:
        call()
    return str(raised.value)


def test_an_upgrade_migrates_then_starts_beside_then_ends_the_old(
    machine: Engine, compose: engine.Compose
) -> None:
    rolling.upgrade(compose, CART, "1.2.0")
    assert machine.done == [
        "1.2.0: run DATABASE_LOCK_TIMEOUT_MS=4000 svc-cart-migrate",
        "1.2.0: up svc-cart-web=2 svc-cart-web",
        "kill USR1 old",
        "stop 70 old",
        "rm old",
        "1.2.0: up 120 svc-cart-events svc-cart-worker",
    ]
    assert record(compose) == releases.Record("1.2.0", "dev")
    assert rolling.versions(compose.layout, [CART, "svc-orders"]) == {"SVC_CART_VERSION": "1.2.0"}


def test_a_rollback_goes_back_without_migrations_and_again_goes_forth(
    machine: Engine, compose: engine.Compose
) -> None:
    assert "nothing to go back to" in refused(lambda: rolling.rollback(compose, CART))
    rolling.upgrade(compose, CART, "1.2.0")
    machine.done.clear()
    upgraded = compose.having(CART, "1.2.0")
    assert rolling.rollback(upgraded, CART) == "dev"
    assert not any("migrate" in each for each in machine.done)
    assert machine.done[0] == "dev: up svc-cart-web=2 svc-cart-web"
    assert rolling.versions(compose.layout, [CART]) == {}
    assert rolling.rollback(compose, CART) == "1.2.0"


def test_without_an_image_or_a_web_nothing_is_touched(machine: Engine, compose: engine.Compose) -> None:
    assert "The engine has no image shop/svc-cart:1.3.0: `make release" in refused(
        lambda: rolling.upgrade(compose, CART, "1.3.0")
    )
    machine.images.add("shop/svc-cart:../1")
    assert "The engine has no image" in refused(lambda: rolling.upgrade(compose, CART, "../1"))
    machine.webs.clear()
    assert "svc-cart-web does not run: `make up` first" in refused(
        lambda: rolling.upgrade(compose, CART, "1.2.0")
    )
    assert "dev runs already" in refused(lambda: rolling.upgrade(compose, CART, "dev"))
    assert machine.done == []


def test_a_migration_that_fails_leaves_the_old_one_serving(machine: Engine, compose: engine.Compose) -> None:
    machine.fails = {"migrate"}
    assert "svc-cart dev goes on serving." in refused(lambda: rolling.upgrade(compose, CART, "1.2.0"))
    assert len(machine.done) == 1
    assert record(compose) == releases.Record()


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("exited 0 1", "ended with exit code 1 before it was ready"),
        ("running 2 0", "ended with exit code 0 before it was ready"),
        ("", "ended with exit code 0 before it was ready"),
    ],
)
def test_a_web_that_does_not_get_ready_is_removed_with_its_last_words(
    machine: Engine, compose: engine.Compose, state: str, why: str
) -> None:
    machine.state = state
    said = refused(lambda: rolling.upgrade(compose, CART, "1.2.0"))
    assert f"The new container of svc-cart-web {why}; the one before goes on serving." in said
    assert "CART_GUEST_DAYS must be" in said
    assert machine.webs == ["old"]
    assert machine.done[2:] == ["rm new2"]
    assert record(compose) == releases.Record()


def test_a_worker_that_does_not_get_ready_takes_the_service_back(
    machine: Engine, compose: engine.Compose
) -> None:
    machine.fails = {"120 svc-cart-events"}
    original = machine.compose

    def only_the_new(compose: engine.Compose, *words: str, **more: object) -> str:
        machine.fails = {"120 svc-cart-events"} if compose.released(CART) else set()
        return original(compose, *words, **more)

    machine.compose = only_the_new  # type: ignore[method-assign]
    assert "svc-cart dev serves again." in refused(lambda: rolling.upgrade(compose, CART, "1.2.0"))
    assert [each for each in machine.done if " up " in each][2:] == [
        "dev: up svc-cart-web=2 svc-cart-web",
        "dev: up 120 svc-cart-events svc-cart-worker",
    ]
    assert machine.webs == ["new7"]
    assert record(compose) == releases.Record()


def test_a_part_of_a_service_can_be_restarted_alone(machine: Engine, compose: engine.Compose) -> None:
    rolling.restart(compose, CART, ("worker",))
    assert machine.done == ["dev: up 120 svc-cart-worker"]
    machine.done.clear()
    rolling.restart(compose, CART, ("web",))
    assert machine.done[0] == "dev: up svc-cart-web=2 svc-cart-web"
    assert len(machine.done) == 4
