"""Prometheus' configuration, the alerts with their runbooks, and the dashboards; and Prometheus itself over the running stack."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shop import monitoring, stack, tools
from shop.envfile import complete
from shop.layout import ROOT, Layout, find_layout
from shop.ports import choose_block
from shop.report import Progress
from shop.services import discover

FOLDER = ROOT / "deploy" / "monitoring"
SERVICES = discover(ROOT)
METRIC = re.compile(r"\b(?:shop|gateway)_[a-z_]+\b")
#: Histograms and their parts are one metric.
PART = re.compile(r"_(?:bucket|sum|count)$")
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]


def dashboards() -> dict[str, Any]:
    return {
        path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))
    }


def expressions() -> list[str]:
    """Every PromQL expression of rules and dashboards."""
    found = [rule["expr"] for rule in RULES]
    for dashboard in dashboards().values():
        found += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
        found += [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return found


def used_metrics() -> set[str]:
    return {name for expression in expressions() for name in METRIC.findall(expression)}


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [tools.find("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules_and_each_alert_fires_when_it_should_and_else_not() -> None:
    promtool("check", "rules", "rules.yml")
    promtool("test", "rules", "tests.yml")
    tested = [each["name"] for each in yaml.safe_load((FOLDER / "tests.yml").read_text())["tests"]]
    alerts = [rule["alert"] for rule in RULES]
    assert sorted(tested) == sorted(f"{name} {kind}" for name in alerts for kind in ("fires", "stays silent"))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"deploy/monitoring/runbooks/{rule['alert']}.md"
        assert rule["labels"]["severity"] in ("page", "ticket")
    written = {path.stem: path.read_text() for path in (FOLDER / "runbooks").glob("*.md")}
    assert written.keys() == {rule["alert"] for rule in RULES}
    for name, text in written.items():
        assert text.startswith(f"# {name}\n")
        assert "\n## Look\n" in text
        assert "\n## Do\n" in text
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (FOLDER / "runbooks" / link).exists(), f"{name}: {link}"


def test_dashboards_are_whole() -> None:
    found = dashboards()
    assert len({dashboard["uid"] for dashboard in found.values()}) == len(found) == 2
    for dashboard in found.values():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                assert panel["targets"], panel["title"]
                assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_every_process_is_a_target_in_both_runtimes(tmp_path: Path) -> None:
    layout = Layout(ROOT, tmp_path / "state", tmp_path / "env")
    layout.make_folders()
    env = complete(layout.env_file, SERVICES, {})
    native = monitoring.targets(env, SERVICES)
    expected = {(service, process) for service in SERVICES for process in ("web", "events", "worker")}
    expected.add(("gateway", "gateway"))
    containers = json.loads((FOLDER / "targets.compose.json").read_text())
    for groups in (native, containers):
        assert {(group["labels"]["service"], group["labels"]["process"]) for group in groups} == expected
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for group in containers:
        (target,) = group["targets"]
        name, _, port = target.partition(":")
        assert name in compose
        variable = {
            "web": "PORT",
            "events": "EVENTS_HEALTH_PORT",
            "worker": "WORKER_HEALTH_PORT",
        }.get(group["labels"]["process"])
        assert port == str(compose[name]["environment"].get(variable, {"PORT": 8000}.get(variable, 8081)))


class Prometheus:
    """Prometheus itself, over the stack that runs."""

    def __init__(self, folder: Path) -> None:
        layout = find_layout()
        found = stack.find(layout, Progress())
        assert found is not None, "there are no settings: is the stack up?"
        self.env = found.env
        configured = monitoring.configure(layout, found.env, found.services)
        own = configured / "prometheus.yml"
        # A test has no quarter of a minute for each scrape.
        own.write_text(own.read_text().replace("15s", "1s"))
        (self.port,) = choose_block(1)
        self._process = subprocess.Popen(monitoring.command(configured, folder, self.port))

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def wait(self, path: str, good: Any, seconds: float = 40) -> Any:
        """The answer, once it is good."""
        deadline, answer = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                answer = self.ask(path)
            except OSError:
                answer = None
            if answer is not None and good(answer):
                return answer
            time.sleep(0.2)
        raise AssertionError(f"{path} is still {answer!r}"[:2000])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    started = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield started
    started.stop()


@pytest.mark.stack
def test_prometheus_reads_every_process_of_the_running_stack(prometheus: Prometheus) -> None:
    expected = len(SERVICES) * 3 + 1

    def all_up(found: dict[str, Any]) -> bool:
        up = [target for target in found["activeTargets"] if target["health"] == "up"]
        return len(up) == len(found["activeTargets"]) == expected

    prometheus.wait("targets?state=active", all_up)
    rules = prometheus.wait(
        "rules", lambda found: all(rule["health"] == "ok" for rule in found["groups"][0]["rules"])
    )
    assert len(rules["groups"][0]["rules"]) == len(RULES)
    firing = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
    assert "ProcessDown" not in firing


@pytest.mark.stack
def test_every_metric_that_rules_and_dashboards_name_is_there(prometheus: Prometheus) -> None:
    def names(found: dict[str, Any]) -> set[str]:
        return set(found)

    wanted = {PART.sub("", name) for name in used_metrics()}
    known = names(prometheus.wait("metadata", lambda found: wanted <= {PART.sub("", name) for name in found}))
    assert wanted <= {PART.sub("", name) for name in known}
    assert "shop_no_such_metric" not in known


@pytest.mark.stack
def test_labels_are_few(prometheus: Prometheus) -> None:
    """What grows with users, orders or paths would fill any Prometheus."""
    prometheus.wait(
        "targets?state=active", lambda found: any(t["health"] == "up" for t in found["activeTargets"])
    )
    for label in prometheus.ask("labels"):
        values = prometheus.ask(f"label/{label}/values")
        assert len(values) < 150, label
        for value in values:
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", value), (label, value)
