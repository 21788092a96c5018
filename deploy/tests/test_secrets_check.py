"""No secret of the running stack is in its logs, on command lines, in open files or in git; and one that is there is seen."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from shop import secrets_check, stack
from shop.layout import find_layout
from shop.report import Progress

pytestmark = pytest.mark.stack


@pytest.fixture
def shop() -> stack.Stack:
    found = stack.find(find_layout(), Progress())
    assert found is not None
    return found


def said(shop: stack.Stack) -> list[str]:
    return secrets_check.check(shop.layout, shop.env, shop.services)


def test_nothing_secret_is_where_it_may_not_be(shop):
    assert said(shop) == []
    known = secrets_check.values(shop.layout, shop.env, shop.services)
    assert {"SVC_CART_DATABASE_PASSWORD", "jwt.pem", "svc-orders.pem", "SANDBOX_API_KEY"} <= set(known)


@pytest.fixture
def planted(shop) -> Iterator[dict[str, str]]:
    """A secret in a log, one on a command line, one in a file that everybody may read; by the words that tell of it."""
    log, file = shop.layout.logs / "planted.log", shop.layout.state / "planted.txt"
    mode = shop.layout.state.stat().st_mode
    shop.layout.state.chmod(0o755)
    log.write_text(f"connecting with {shop.env['SVC_CART_REDIS_PASSWORD']}\n")
    file.write_text(shop.env["POSTGRES_PASSWORD"])
    file.chmod(0o644)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", shop.env["SANDBOX_API_KEY"]]
    )
    yield {
        "SVC_CART_REDIS_PASSWORD is in a log": str(log),
        "SANDBOX_API_KEY is in a command line": f"process {sleeper.pid}",
        "POSTGRES_PASSWORD is in a file that others may read": str(file),
    }
    sleeper.kill()
    sleeper.wait()
    log.unlink()
    file.unlink()
    shop.layout.state.chmod(mode & 0o777)


def test_what_is_where_it_may_not_be_is_named(shop, planted):
    assert sorted(said(shop)) == sorted(f"{words}: {place}" for words, place in planted.items())


def test_a_private_key_in_a_commit_would_be_seen():
    key = b"+-----BEGIN PRIVATE KEY-----\n" + b"A" * 64
    assert secrets_check.LOOKS_SECRET.search(key)
    assert not secrets_check.LOOKS_SECRET.search(b"-----BEGIN PRIVATE KEY-----\nof a test")
