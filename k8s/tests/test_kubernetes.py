"""Every chart, with every switch, is what the API server of every version takes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.support.helm import APPLICATIONS, Folder, Rendered, Values
from tests.support.kubernetes import NEWEST, VERSIONS, mistakes
from tests.support.values import EVERYTHING, MATRIX

#: What 1.20 serves of the kinds that the charts use.
SERVED_BY_1_20 = {
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"),
    ("policy/v1beta1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
}
#: Fields of these kinds that came after 1.20.
YOUNGER_THAN_1_20 = {
    *(
        "allocateLoadBalancerNodePorts",
        "endPort",
        "ephemeralContainers",
        "grpc",
        "hostUsers",
        "internalTrafficPolicy",
    ),
    *("loadBalancerClass", "matchLabelKeys", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy", "os"),
    *(
        "podFailurePolicy",
        "resizePolicy",
        "restartPolicyRules",
        "schedulingGates",
        "sleep",
        "suspend",
        "completionMode",
    ),
    *(
        "trafficDistribution",
        "unhealthyPodEvictionPolicy",
        "volumeAttributesClassName",
        "containerResource",
        "claims",
    ),
    *(
        "appArmorProfile",
        "supplementalGroupsPolicy",
        "recursiveReadOnly",
        "maxSurgePercent",
        "ipFamilyPolicy",
    ),
}


@pytest.mark.parametrize(
    ("chart", "name", "values"), MATRIX, ids=[f"{chart}: {name}" for chart, name, _ in MATRIX]
)
def test_every_manifest_is_valid_in_every_version(
    charts: Folder, chart: str, name: str, values: Values
) -> None:
    for version in VERSIONS:
        rendered = charts.render(chart, values, kube=version)

        assert rendered.manifests
        assert not mistakes(rendered.manifests, version)


def test_the_validation_names_a_field_that_kubernetes_does_not_know(minimal: dict[str, Rendered]) -> None:
    broken = deepcopy(minimal["svc-orders"].one("Service", "svc-orders"))
    broken["spec"]["ports"][0]["potocol"] = "TCP"

    (sentence,) = mistakes([broken], NEWEST)

    assert "potocol" in sentence


def test_the_validation_refuses_an_api_that_is_gone(charts: Folder) -> None:
    old = charts.render("svc-orders", EVERYTHING["svc-orders"], kube="1.20")

    sentences = mistakes(old.manifests, NEWEST)

    assert any("policy/v1beta1" in sentence for sentence in sentences)
    assert any("autoscaling/v2beta2" in sentence for sentence in sentences)


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_an_old_cluster_gets_the_apis_that_it_serves(charts: Folder, chart: str) -> None:
    rendered = charts.render(chart, EVERYTHING[chart], kube="1.20")

    assert {(one["apiVersion"], one["kind"]) for one in rendered.manifests} <= SERVED_BY_1_20
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= {one["kind"] for one in rendered.manifests}
    assert not _fields(rendered.manifests) & YOUNGER_THAN_1_20


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_an_old_cluster_gets_what_a_new_one_gets_but_for_the_versions(charts: Folder, chart: str) -> None:
    newer = {"policy/v1beta1": "policy/v1", "autoscaling/v2beta2": "autoscaling/v2"}
    old = charts.render(chart, EVERYTHING[chart], kube="1.20").manifests

    translated = [{**one, "apiVersion": newer.get(one["apiVersion"], one["apiVersion"])} for one in old]

    assert translated == charts.render(chart, EVERYTHING[chart], kube=NEWEST).manifests


@pytest.mark.parametrize(
    ("kube", "policy", "autoscaling"),
    [
        ("1.20", "policy/v1beta1", "autoscaling/v2beta2"),
        ("1.21", "policy/v1", "autoscaling/v2beta2"),
        ("1.22", "policy/v1", "autoscaling/v2beta2"),
        ("1.23", "policy/v1", "autoscaling/v2"),
    ],
)
def test_the_versions_change_where_kubernetes_changed_them(
    charts: Folder, kube: str, policy: str, autoscaling: str
) -> None:
    rendered = charts.render("svc-cart", EVERYTHING["svc-cart"], kube=kube)

    assert {one["apiVersion"] for one in rendered.of("PodDisruptionBudget")} == {policy}
    assert {one["apiVersion"] for one in rendered.of("HorizontalPodAutoscaler")} == {autoscaling}


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_nothing_is_null(minimal: dict[str, Rendered], everything: dict[str, Rendered], chart: str) -> None:
    for one in (*minimal[chart].manifests, *everything[chart].manifests):
        assert not _nulls(one, one["kind"])


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_every_port_says_its_protocol(everything: dict[str, Rendered], chart: str) -> None:
    rendered = everything[chart]
    ports = [port for service in rendered.of("Service") for port in service["spec"]["ports"]]
    ports += [
        port for pod in rendered.pods.values() for one in pod["containers"] for port in one.get("ports", ())
    ]
    ports += [
        port
        for policy in rendered.of("NetworkPolicy")
        for r in policy["spec"].get("ingress", ())
        for port in r["ports"]
    ]

    assert ports
    assert {port["protocol"] for port in ports} == {"TCP"}


def _fields(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_fields, node)) if node else set()
    if isinstance(node, dict):
        return {str(key) for key in node}.union(*map(_fields, node.values()))
    return set()


def _nulls(node: Any, path: str) -> list[str]:
    if node is None:
        return [path]
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in children for found in _nulls(child, f"{path}.{key}")]
