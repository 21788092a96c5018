"""What gets into a log line, and what never does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_lib.observability import logs

# A process of its own: pytest has its hands in logging.
_SCRIPT = """
import json, logging, sys
import structlog
from shared_lib.observability import context, logs
logs.configure({"level": "INFO"})
context.begin(request_id="request-1", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
for line in sys.stdin:
    given = json.loads(line)
    try:
        raise ValueError(given["text"])
    except ValueError:
        structlog.get_logger("own").exception("said", **given["fields"])
        logging.getLogger("foreign").warning("told: %s", given["text"], exc_info=True)
"""


class Logged(Protocol):
    def __call__(self, text: str = "nothing", **fields: Any) -> tuple[str, list[dict[str, Any]]]:
        """What two loggers, structlog's and the standard library's, write of it: as text and as objects."""


@pytest.fixture(scope="module")
def logged() -> Iterator[Logged]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-u", "-c", _SCRIPT], text=True, **pipes) as process:

        def log(text: str = "nothing", **fields: Any) -> tuple[str, list[dict[str, Any]]]:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps({"text": text, "fields": fields}) + "\n")
            process.stdin.flush()
            lines = [process.stdout.readline() for _ in range(2)]
            return "".join(lines), [json.loads(line) for line in lines]

        yield log
        process.kill()


def test_every_line_is_one_object_with_the_ids_of_the_work_at_hand(logged: Logged) -> None:
    _, lines = logged("two\nlines")
    assert [line["event"] for line in lines] == ["said", "told: two\nlines"]
    for line in lines:
        assert line["request_id"] == "request-1"
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        assert {"timestamp", "level", "logger"} <= line.keys()


_MANY = """
import structlog
from shared_lib.observability import context, logs
logs.configure({"level": "LEVEL"})
structlog.contextvars.bind_contextvars(caller="svc-orders")
context.begin(request_id="request-1", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
rows = [
    {"number": 1, "request_id": "its-own"},
    {"number": 2, "password": "hunter2", "text": "two\\nlines", "url": "amqp://u:hunter2@h", "caller": "me"},
]
for row in rows:
    structlog.get_logger("own").info("said", **row)
logs.info_all("own", "said", rows)
logs.info_all("own", "said", [])
"""


def test_many_lines_in_one_record_are_those_that_each_would_be() -> None:
    lines = [json.loads(line) for line in _output(_MANY.replace("LEVEL", "INFO"))]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    assert lines[2:] == lines[:2]
    assert [line["number"] for line in lines] == [1, 2, 1, 2]


def test_many_lines_below_the_level_are_not_written() -> None:
    assert _output(_MANY.replace("LEVEL", "WARNING")) == []


def _output(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "hunter2" not in done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIwMTk4YzBkZSJ9.c2lnbmF0dXJlLW9mLXRva2Vu",
        "sk_live_" + "0123456789abcdef",  # in one piece it would be found in the history
        "whsec_0123456789abcdef",
    ],
)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(logged: Logged, secret: str) -> None:
    text, lines = logged(f"it said {secret} and more", note=f"x{' '}{secret}", deep={"list": [secret]})
    assert len(lines) == 2
    assert secret not in text
    assert "and more" in text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer c29tZSBvcGFxdWUgdG9rZW4", "c29tZSBvcGFxdWUgdG9rZW4"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("cannot reach amqp://svc-orders:a-pass-word@rabbitmq:5672/events", "a-pass-word"),
        ("cannot reach redis://:only-a-password@redis:6379/0", "only-a-password"),
        ("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----", "MIGHAgEAMBMG"),
    ],
)
def test_credentials_in_messages_and_tracebacks_are_hidden(logged: Logged, text: str, secret: str) -> None:
    written, lines = logged(text)
    assert len(lines) == 2
    assert secret not in written


def test_what_is_called_a_secret_is_hidden_at_any_depth(logged: Logged) -> None:
    text, (line, _) = logged(
        password="hunter2-a",
        headers={"Authorization": "hunter2-b", "Accept": "json", "Set-Cookie": ["hunter2-c"]},
        rows=[{"refresh_token": "hunter2-d", "otp": "hunter2-e"}],
    )
    assert "hunter2" not in text
    assert line["headers"]["Accept"] == "json"


def test_addresses_without_credentials_stay_readable(logged: Logged) -> None:
    _, (line, _) = logged(url="http://svc-cart:8000/internal/v1/carts", mail="the bearer of news")
    assert line["url"] == "http://svc-cart:8000/internal/v1/carts"
    assert line["mail"] == "the bearer of news"


_SECRETS = (
    *("Bearer c29tZSBvcGFx", "bAsIc c29tZSBvcGFx", "Ba\u017fic c29tZSBvcGFx", "bas\u0131c c29tZSBvcGFx"),
    *("eyJhbGciOiJF.eyJhbGciOiJF", "amqp://u:p@h", "sk_01234567", "rk_01234567", "whsec_01234567"),
    "-----BEGIN EC PRIVATE KEY-----x-----END EC PRIVATE KEY-----",
)
_OTHERS = (
    "Bearer",
    "basic",
    "eyJ",
    "EYJ",
    "://",
    "sk_",
    "PRIVATE KEY",
    "KEY-----",
    ":",
    "\u00fc",
    "\u212a",
    " ",
    "\n",
    ".",
)


@pytest.mark.parametrize("secret", _SECRETS)
@given(st.lists(st.sampled_from(_OTHERS), max_size=4).map("".join), st.sampled_from(_OTHERS))
def test_the_cheaper_question_never_spares_what_the_pattern_finds(
    secret: str, before: str, after: str
) -> None:
    for text in (secret, before + secret + after, before):
        line = orjson.dumps({"event": text}).decode()
        assert logs._dumps({"event": text}) == logs._LOOKS_SECRET.sub(logs._HIDDEN, line)
