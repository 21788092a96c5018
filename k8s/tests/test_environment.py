"""The charts say to each process exactly what it reads: its own settings are loaded with what the chart gives it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import recorder
from tests.support.container import environment
from tests.support.helm import SERVICES, Folder, Rendered
from tests.support.values import EVERYTHING, MINIMAL, merged

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = ("web", "events", "worker", "beat", "migration")
#: Read by the S3 client, not by the settings.
OF_BOTO = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


class Recorder:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, recorder.__file__],
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, service: str, process: str, env: dict[str, str]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        wanted = {"folder": str(ROOT / service), "process": process, "env": env}
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in told, told["error"]
        return told

    def end(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def recording() -> Iterator[Recorder]:
    one = Recorder()
    yield one
    one.end()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_the_least_and_reads_all_that_it_is_given(
    charts: Folder, minimal: dict[str, Rendered], tmp_path: Path, recording: Recorder, service: str
) -> None:
    env = environment(minimal[service], f"{service}-web", tmp_path)

    told = recording.start(service, "web", env)

    assert set(env) <= set(told["read"])
    assert set(told["settings"]) <= set(env) | _known(charts, service)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("service", SERVICES)
def test_a_process_takes_every_setting_that_the_chart_knows_and_reads_no_other(
    charts: Folder,
    everything: dict[str, Rendered],
    tmp_path: Path,
    recording: Recorder,
    service: str,
    process: str,
) -> None:
    env = environment(everything[service], f"{service}-{process}", tmp_path)

    told = recording.start(service, process, env)

    assert set(env) - OF_BOTO <= set(told["read"])
    assert set(told["settings"]) <= set(env) | _known(charts, service)


def _known(charts: Folder, service: str) -> set[str]:
    """What values may set, EMBEDDED_BEAT, which only the worker is told, FAILPOINTS_DIR, which prod refuses, and WEB_SHARE_PORT,
    for which a pod has no second web.
    """
    schema = json.loads((charts.path / service / "values.schema.json").read_text())
    names = {
        name
        for kind in ("webSettings", "workerSettings", "secrets", "files", "keys")
        for name in schema["definitions"][kind]["properties"]
    }
    media = {"MEDIA_URL"} if "media" in schema["properties"] else set()
    return names | media | {"EMBEDDED_BEAT", "FAILPOINTS_DIR", "WEB_SHARE_PORT"}


@pytest.mark.parametrize("service", SERVICES)
def test_the_values_of_the_tests_know_every_setting(charts: Folder, service: str) -> None:
    schema = json.loads((charts.path / service / "values.schema.json").read_text())["definitions"]

    assert set(EVERYTHING[service]["settings"]) == set(schema["settings"]["properties"])


def test_a_variable_that_nobody_reads_is_noticed(
    minimal: dict[str, Rendered], tmp_path: Path, recording: Recorder
) -> None:
    env = {**environment(minimal["svc-orders"], "svc-orders-web", tmp_path), "ORDER_PAYMENT_WINDOW": "1800"}

    assert "ORDER_PAYMENT_WINDOW" not in recording.start("svc-orders", "web", env)["read"]


def test_a_missing_variable_is_noticed(
    minimal: dict[str, Rendered], tmp_path: Path, recording: Recorder
) -> None:
    env = environment(minimal["svc-orders"], "svc-orders-web", tmp_path)
    del env["SVC_CART_URL"]

    with pytest.raises(AssertionError, match="SVC_CART_URL"):
        recording.start("svc-orders", "web", env)


def test_settings_of_a_process_go_before_those_of_all(charts: Folder) -> None:
    change = {
        "settings": {"LOG_LEVEL": "ERROR"},
        "web": {"settings": {"LOG_LEVEL": "DEBUG", "WEB_WORKERS": 3}},
    }

    rendered = charts.render("svc-cart", merged(MINIMAL["svc-cart"], change))

    assert rendered.environment("svc-cart-web")["LOG_LEVEL"] == "DEBUG"
    assert rendered.environment("svc-cart-web")["WEB_WORKERS"] == "3"
    assert rendered.environment("svc-cart-worker")["LOG_LEVEL"] == "ERROR"
    assert "WEB_WORKERS" not in rendered.environment("svc-cart-worker")


@pytest.mark.parametrize(
    ("value", "text"), [(2592000, "2592000"), (0, "0"), (0.5, "0.5"), (12.0, "12"), (1e9, "1000000000")]
)
def test_numbers_stay_what_they_are(charts: Folder, value: float, text: str) -> None:
    values = merged(MINIMAL["svc-cart"], {"settings": {"REQUEST_TIMEOUT_SECONDS": value or 1}})
    if not value:
        values = merged(MINIMAL["svc-cart"], {"settings": {"DATABASE_POOL_MAX": 0}})

    env = charts.render("svc-cart", values).environment("svc-cart-web")

    assert env["DATABASE_POOL_MAX" if not value else "REQUEST_TIMEOUT_SECONDS"] == text


def test_false_and_nothing_are_told_too(everything: dict[str, Rendered]) -> None:
    env = everything["svc-catalog"].environment("svc-catalog-web")

    assert env["DATABASE_SERVER_SIDE_BINDING"] == "false"
    assert env["STOCK_LOW_THRESHOLD"] == "0"


def test_a_new_release_is_told_its_version(charts: Folder) -> None:
    rendered = charts.render("svc-cart", merged(MINIMAL["svc-cart"], {"image": {"tag": "2.0.1"}}))

    assert rendered.environment("svc-cart-web")["SERVICE_VERSION"] == "2.0.1"


def _gateway(rendered: Rendered, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    env = {
        name: value if isinstance(value, str) else "secret"
        for name, value in rendered.environment("gateway").items()
    }
    here = {"OUTPUT_DIR": str(tmp_path / "gateway"), "PATH": os.environ["PATH"], "GATEWAY_USER": "nobody"}
    return subprocess.run(
        [str(ROOT / "gateway" / "bin" / "render")],
        env={**env, **here},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("values", [MINIMAL["gateway"], EVERYTHING["gateway"]], ids=["minimal", "everything"])
def test_the_gateway_takes_what_its_chart_gives_it(
    charts: Folder, tmp_path: Path, values: dict[str, Any]
) -> None:
    # Where Redis is found by a name, the cluster's DNS would be asked.
    rendered = charts.render("gateway", merged(values, {"redis": {"host": "10.0.0.5"}}))

    done = _gateway(rendered, tmp_path)

    assert not done.returncode, done.stderr
    written = (tmp_path / "gateway" / "nginx.conf").read_text()
    assert "server svc-orders:8000" in written
    assert "listen 0.0.0.0:8081" in written


def test_the_gateway_reads_all_that_it_is_given(everything: dict[str, Rendered]) -> None:
    script = (ROOT / "gateway" / "bin" / "render").read_text()
    template = (ROOT / "gateway" / "conf" / "nginx.conf.template").read_text()
    names = set(re.findall(r"[A-Z][A-Z_]+", script)) | set(
        re.findall(r"^env ([A-Z_]+);", template, re.MULTILINE)
    )
    # Read in a loop over the services, and over all limits.
    names |= set(everything["svc-cart"].environment("svc-cart-web")) & {
        f"SVC_{name.removeprefix('svc-').upper()}_URL" for name in SERVICES
    }

    given = {
        name for name in everything["gateway"].environment("gateway") if not name.startswith("GATEWAY_LIMIT_")
    }

    assert given <= names


def test_the_gateway_knows_the_variables_of_its_readme(
    charts: Folder, everything: dict[str, Rendered]
) -> None:
    readme = (ROOT / "gateway" / "README.md").read_text()
    table = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    documented = {name for cell in table for name in re.findall(r"`([A-Z_]+)`", cell)}
    # Where the files lie in the image, how it logs, and who runs it when root starts it: the image's own affair.
    of_the_image = {
        "GATEWAY_ROUTES",
        "NGINX_MODULES_DIR",
        "GATEWAY_ACCESS_LOG",
        "GATEWAY_ERROR_LOG",
        "GATEWAY_USER",
    }

    assert documented - of_the_image <= set(everything["gateway"].environment("gateway"))
