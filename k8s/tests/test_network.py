"""Who may talk to whom: the paths of the design, and no other."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.helm import SERVICES, Folder, Manifest, Rendered
from tests.support.values import MINIMAL, merged

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = {"kubernetes.io/metadata.name": "monitoring"}

#: callee: the services that call it, by the table of internal calls.
INTERNAL = {
    "svc-accounts": {"svc-orders", "svc-notifications"},
    "svc-cart": {"svc-orders", "svc-notifications"},
    "svc-catalog": {"svc-orders", "svc-cart"},
    "svc-notifications": set(),
    "svc-orders": set(),
    "svc-payments": {"svc-orders"},
}


@dataclass(frozen=True)
class Pod:
    """A pod as network policies see it; `namespace` are the labels of its namespace, none for that of the shop."""

    labels: frozenset[tuple[str, str]]
    namespace: frozenset[tuple[str, str]] | None = None

    @property
    def app(self) -> str:
        return dict(self.labels).get("app.kubernetes.io/name", "")

    @property
    def component(self) -> str:
        return dict(self.labels).get("app.kubernetes.io/component", "")


def _pods(rendered: Rendered) -> list[Pod]:
    templates = [one["spec"]["template"] for kind in ("Deployment", "Job") for one in rendered.of(kind)]
    return [Pod(frozenset(one["metadata"]["labels"].items())) for one in (*templates, *rendered.of("Pod"))]


def _matches(selector: dict[str, Any], labels: frozenset[tuple[str, str]]) -> bool:
    assert set(selector) <= {"matchLabels"}
    return set(selector.get("matchLabels", {}).items()) <= labels


def _is_peer(peer: dict[str, Any], source: Pod) -> bool:
    assert set(peer) <= {"namespaceSelector", "podSelector"}
    if "namespaceSelector" in peer:
        near = source.namespace is not None and _matches(peer["namespaceSelector"], source.namespace)
    else:
        near = source.namespace is None
    return near and _matches(peer.get("podSelector", {}), source.labels)


def _allowed(policies: list[Manifest], source: Pod, target: Pod, port: int) -> bool:
    """As Kubernetes decides: open where no policy selects the target, else by any rule of those that do."""
    chosen = [one["spec"] for one in policies if _matches(one["spec"]["podSelector"], target.labels)]
    if not chosen:
        return True
    return any(
        port in {entry["port"] for entry in rule["ports"]}
        and ("from" not in rule or any(_is_peer(peer, source) for peer in rule["from"]))
        for spec in chosen
        for rule in spec.get("ingress", ())
    )


def _paths(rendered: Rendered, sources: list[Pod]) -> set[tuple[str, str, str, int]]:
    policies = rendered.of("NetworkPolicy")
    return {
        (source.app, target.app, target.component, port)
        for source in sources
        for target in _pods(rendered)
        for port in (8000, 8001, 8002, 8080, 8081, 5432)
        if _allowed(policies, source, target, port)
    }


def _running(rendered: Rendered) -> list[Pod]:
    return [pod for pod in _pods(rendered) if pod.component not in {"test", "migration"}]


def _callers_in_the_code(service: str) -> set[str]:
    """The names in every `callers = frozenset({...})` of the service's internal views."""
    found: set[str] = set()
    for path in (ROOT / service).glob("*/api/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and any(
                getattr(name, "id", "") == "callers" for name in node.targets
            ):
                found |= {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_is_what_the_services_admit(service: str) -> None:
    assert _callers_in_the_code(service) == INTERNAL[service]


def test_exactly_the_paths_of_the_design_are_open(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]
    through_the_gateway = {("gateway", service, "web", 8000) for service in SERVICES}
    inside = {(caller, callee, "web", 8000) for callee, callers in INTERNAL.items() for caller in callers}
    # Everybody who verifies access tokens reads the public keys.
    keys = {(service, "svc-accounts", "web", 8000) for service in SERVICES if service != "svc-accounts"}
    door = {(app, "gateway", "gateway", 8080) for app in (*SERVICES, "gateway")}

    assert _paths(shop, _running(shop)) == through_the_gateway | inside | keys | door


def test_strangers_reach_the_gateway_and_nothing_else(minimal: dict[str, Rendered]) -> None:
    same_namespace = Pod(frozenset({("app", "stranger")}))
    elsewhere = Pod(frozenset({("app.kubernetes.io/name", "gateway")}), frozenset({("team", "other")}))

    paths = _paths(minimal["shop"], [same_namespace, elsewhere])

    assert {path[1:] for path in paths} == {("gateway", "gateway", 8080)}


def test_every_pod_is_under_a_policy(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]

    for pod in _pods(shop):
        assert any(
            _matches(one["spec"]["podSelector"], pod.labels) and one["spec"]["policyTypes"] == ["Ingress"]
            for one in shop.of("NetworkPolicy")
        ), pod


def test_the_test_of_a_service_reaches_it_and_no_other(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]
    (pod,) = [pod for pod in _pods(shop) if (pod.app, pod.component) == ("svc-cart", "test")]

    # As every pod of svc-cart, it is also one of those who read the catalog and the public keys.
    assert _paths(shop, [pod]) == {
        ("svc-cart", "svc-cart", "web", 8000),
        ("svc-cart", "svc-catalog", "web", 8000),
        ("svc-cart", "svc-accounts", "web", 8000),
        ("svc-cart", "gateway", "gateway", 8080),
    }


def test_metrics_are_read_by_those_who_are_named(charts: Folder) -> None:
    peers = [{"namespaceSelector": {"matchLabels": PROMETHEUS}}]
    shop = charts.render("shop", merged(MINIMAL["shop"], {"global": {"metricsFrom": peers}}))
    prometheus = Pod(frozenset(), frozenset(PROMETHEUS.items()))

    web = {("", service, "web", 8000) for service in SERVICES}
    events = {("", service, "events", 8001) for service in SERVICES}
    worker = {("", service, "worker", 8002) for service in SERVICES}
    gateway = {("", "gateway", "gateway", port) for port in (8080, 8081)}
    assert _paths(shop, [prometheus]) == web | events | worker | gateway


def test_a_service_that_nobody_calls_is_closed_to_all(charts: Folder) -> None:
    change = {"networkPolicy": {"callers": []}, "test": {"enabled": False}}
    alone = charts.render("svc-orders", merged(MINIMAL["svc-orders"], change))

    assert not _paths(alone, [Pod(frozenset({("app.kubernetes.io/name", "gateway")})), *_pods(alone)])


def test_a_service_asks_others_where_they_listen(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]

    for service in SERVICES:
        (port,) = shop.one("Service", service)["spec"]["ports"]
        variable = service.upper().replace("-", "_") + "_URL"
        for name in ("gateway", *(f"{caller}-web" for caller in SERVICES)):
            assert shop.environment(name)[variable] == f"http://{service}:{port['port']}"


def test_a_service_leads_to_its_web_pods_only(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]

    for service in shop.of("Service"):
        selector = service["spec"]["selector"]
        found = [pod for pod in _pods(shop) if set(selector.items()) <= pod.labels]
        (pod,) = found
        assert pod.component in {"web", "gateway"}
