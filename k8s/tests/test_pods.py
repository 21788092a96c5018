"""What runs: how it is started, watched, limited, updated and kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.helm import APPLICATIONS, SERVICES, Folder, Rendered
from tests.support.values import MINIMAL, merged

PROCESSES = ("web", "events", "worker", "beat")


def _container(rendered: Rendered, name: str) -> dict[str, Any]:
    (container,) = rendered.pods[name]["containers"]
    found: dict[str, Any] = container
    return found


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_no_pod_may_do_more_than_it_must(
    minimal: dict[str, Rendered], everything: dict[str, Rendered], chart: str
) -> None:
    for pod in (*minimal[chart].pods.values(), *everything[chart].pods.values()):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_user_and_the_place_to_write_are_those_of_the_image(
    minimal: dict[str, Rendered], service: str
) -> None:
    for process in PROCESSES:
        pod = minimal[service].pods[f"{service}-{process}"]
        writable = {
            mount["mountPath"]
            for mount in pod["containers"][0]["volumeMounts"]
            if not mount.get("readOnly", False)
        }

        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert writable - {"/media"} == {"/tmp"}  # noqa: S108 - a path in the container
        assert {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}} in pod["volumes"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_is_started_by_its_name(minimal: dict[str, Rendered], service: str, process: str) -> None:
    container = _container(minimal[service], f"{service}-{process}")

    assert container["command"] == ["python", "-m", "shared_lib.server"]
    assert container["args"] == [process]
    assert container["image"] == f"shop/{service}:0.1.0"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("process", "variable"), [("web", "PORT"), ("events", "EVENTS_HEALTH_PORT")])
def test_what_has_a_port_is_asked_there_whether_it_lives_and_can_serve(
    minimal: dict[str, Rendered], service: str, process: str, variable: str
) -> None:
    container = _container(minimal[service], f"{service}-{process}")
    env = minimal[service].environment(f"{service}-{process}")

    (port,) = container["ports"]
    assert str(port["containerPort"]) == env[variable]
    assert env["HOST"] == "0.0.0.0"  # noqa: S104 - the kubelet asks from outside the pod
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}


@pytest.mark.parametrize("service", SERVICES)
def test_what_has_no_port_must_stay_up_for_a_while_to_count(
    minimal: dict[str, Rendered], service: str
) -> None:
    for process in ("worker", "beat"):
        container = _container(minimal[service], f"{service}-{process}")

        assert not {"livenessProbe", "readinessProbe", "startupProbe"} & set(container)
        assert minimal[service].one("Deployment", f"{service}-{process}")["spec"]["minReadySeconds"] == 10


@pytest.mark.parametrize("service", SERVICES)
def test_every_process_but_the_beat_tells_its_metrics_where_its_annotations_say(
    minimal: dict[str, Rendered], service: str
) -> None:
    for process, variable in (
        ("web", "PORT"),
        ("events", "EVENTS_HEALTH_PORT"),
        ("worker", "WORKER_HEALTH_PORT"),
    ):
        (port,) = _container(minimal[service], f"{service}-{process}")["ports"]
        template = minimal[service].one("Deployment", f"{service}-{process}")["spec"]["template"]
        told = template["metadata"]["annotations"]["prometheus.io/port"]
        env = minimal[service].environment(f"{service}-{process}")

        assert told == str(port["containerPort"]) == env[variable]
        assert env["HOST"] == "0.0.0.0"  # noqa: S104 - Prometheus asks from outside the pod


@pytest.mark.parametrize("service", SERVICES)
def test_there_is_one_beat_and_workers_have_none(everything: dict[str, Rendered], service: str) -> None:
    rendered = everything[service]
    beat = rendered.one("Deployment", f"{service}-beat")["spec"]

    assert beat["replicas"] == 1
    assert beat["strategy"] == {"type": "Recreate"}
    assert f"{service}-beat" not in {
        one["spec"]["scaleTargetRef"]["name"] for one in rendered.of("HorizontalPodAutoscaler")
    }
    assert rendered.environment(f"{service}-worker")["EMBEDDED_BEAT"] == "false"


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_an_update_takes_no_pod_away_before_another_is_ready(
    minimal: dict[str, Rendered], chart: str
) -> None:
    for deployment in minimal[chart].of("Deployment"):
        if not deployment["metadata"]["name"].endswith("-beat"):
            assert deployment["spec"]["strategy"] == {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            }


@pytest.mark.parametrize(
    ("chart", "name"), [(service, f"{service}-web") for service in SERVICES] + [("gateway", "gateway")]
)
def test_who_answers_clients_answers_until_nobody_asks_it_any_more(
    minimal: dict[str, Rendered], chart: str, name: str
) -> None:
    pod = minimal[chart].pods[name]

    stop = " ".join(_container(minimal[chart], name)["lifecycle"]["preStop"]["exec"]["command"])
    assert "sleep(5)" in stop or "sleep 5" in stop
    assert pod["terminationGracePeriodSeconds"] >= 30


def test_the_gateway_has_longer_to_stop_than_its_requests(charts: Folder) -> None:
    slow = charts.render("gateway", merged(MINIMAL["gateway"], {"shutdownSeconds": 120}))

    assert slow.pods["gateway"]["terminationGracePeriodSeconds"] == 135
    assert slow.environment("gateway")["GATEWAY_SHUTDOWN_SECONDS"] == "120"


def test_one_service_that_is_away_does_not_take_the_gateway_away(minimal: dict[str, Rendered]) -> None:
    container = _container(minimal["gateway"], "gateway")

    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "admin"}


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_run_before_an_installation_and_an_upgrade(
    minimal: dict[str, Rendered], service: str
) -> None:
    job = minimal[service].one("Job", f"{service}-migration")
    pod = job["spec"]["template"]["spec"]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert (
        job["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    )
    assert pod["containers"][0]["command"] == ["python", "manage.py", "migrate", "--no-input"]
    assert pod["restartPolicy"] == "Never"


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_a_hook_needs_nothing_that_the_release_brings(everything: dict[str, Rendered], chart: str) -> None:
    rendered = everything[chart]
    brought = {
        one["metadata"]["name"]
        for kind in ("ServiceAccount", "PersistentVolumeClaim")
        for one in rendered.of(kind)
    }

    for job in rendered.of("Job"):
        pod = job["spec"]["template"]["spec"]
        assert "serviceAccountName" not in pod
        claims = {volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]}
        assert not claims & brought


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_no_chart_brings_a_secret(everything: dict[str, Rendered], chart: str) -> None:
    assert not everything[chart].of("Secret")
    assert not everything[chart].of("ConfigMap")


@pytest.mark.parametrize("service", SERVICES)
def test_one_secret_is_enough_for_a_service(minimal: dict[str, Rendered], service: str) -> None:
    for process in (*PROCESSES, "migration"):
        name = f"{service}-{process}"
        references = [
            value for value in minimal[service].environment(name).values() if not isinstance(value, str)
        ]
        (projected,) = [
            volume["projected"] for volume in minimal[service].pods[name]["volumes"] if "projected" in volume
        ]

        assert {one["name"] for one in references} == {service}
        assert {source["secret"]["name"] for source in projected["sources"]} == {service}
        assert projected["defaultMode"] == 0o440


def test_a_secret_may_come_from_elsewhere(charts: Folder) -> None:
    change = {
        "existingSecret": "cart-secrets",
        "secrets": {
            "env": {"DATABASE_URL": {"name": "cart-app", "key": "uri"}, "REDIS_URL": {"key": "redis"}}
        },
    }

    env = charts.render("svc-cart", merged(MINIMAL["svc-cart"], change)).environment("svc-cart-web")

    assert env["DATABASE_URL"] == {"name": "cart-app", "key": "uri"}
    assert env["REDIS_URL"] == {"name": "cart-secrets", "key": "redis"}
    assert env["SECRET_KEY"] == {"name": "cart-secrets", "key": "SECRET_KEY"}


@pytest.mark.parametrize("service", SERVICES)
def test_only_svc_accounts_holds_the_key_that_signs_access_tokens(
    minimal: dict[str, Rendered], service: str
) -> None:
    given = "JWT_SIGNING_KEY_FILE" in minimal[service].environment(f"{service}-web")

    assert given is (service == "svc-accounts")


@pytest.mark.parametrize("service", SERVICES)
def test_what_scales_has_no_fixed_number(everything: dict[str, Rendered], service: str) -> None:
    rendered = everything[service]

    for process in ("web", "events", "worker"):
        scaler = rendered.one("HorizontalPodAutoscaler", f"{service}-{process}")["spec"]
        deployment = rendered.one("Deployment", f"{service}-{process}")["spec"]
        assert "replicas" not in deployment
        # A part of what is requested is what the scaler measures.
        assert "cpu" in deployment["template"]["spec"]["containers"][0]["resources"]["requests"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 30)


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_selectors_find_exactly_their_own_pods(everything: dict[str, Rendered], chart: str) -> None:
    rendered = everything[chart]
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"].items()
        for one in rendered.of("Deployment")
    }

    for deployment in rendered.of("Deployment"):
        name, selector = deployment["metadata"]["name"], deployment["spec"]["selector"]["matchLabels"]
        assert [one for one, has in labels.items() if selector.items() <= has] == [name]
        for constraint in deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert constraint["labelSelector"]["matchLabels"] == selector
    for budget in rendered.of("PodDisruptionBudget"):
        found = [
            one for one, has in labels.items() if budget["spec"]["selector"]["matchLabels"].items() <= has
        ]
        assert found == [budget["metadata"]["name"]]


def test_selectors_survive_a_move_to_another_release(minimal: dict[str, Rendered]) -> None:
    selectors = [one["spec"]["selector"]["matchLabels"] for one in minimal["shop"].of("Deployment")]

    assert {key for selector in selectors for key in selector} == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/component",
        "app.kubernetes.io/part-of",
    }


@pytest.mark.parametrize("chart", [*SERVICES, "gateway"])
def test_every_chart_has_a_test_that_asks_whether_it_is_ready(
    minimal: dict[str, Rendered], chart: str
) -> None:
    (pod,) = minimal[chart].of("Pod")
    command = pod["spec"]["containers"][0]["command"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert "/readyz" in command[-1]
    assert chart in command[-1]
    if chart != "gateway":
        compile(command[-1], "test", "exec")


def test_pictures_lie_where_the_gateway_looks_for_them(minimal: dict[str, Rendered]) -> None:
    shop = minimal["shop"]
    (claim,) = shop.of("PersistentVolumeClaim")
    users = {
        name: volume["persistentVolumeClaim"]["claimName"]
        for name, pod in shop.pods.items()
        for volume in pod.get("volumes", ())
        if "persistentVolumeClaim" in volume
    }

    assert users == dict.fromkeys(
        ("gateway", "svc-catalog-web", "svc-catalog-worker"), claim["metadata"]["name"]
    )
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert (
        shop.environment("svc-catalog-web")["MEDIA_ROOT"]
        == shop.environment("gateway")["MEDIA_ROOT"]
        == "/media"
    )


def test_a_bucket_needs_no_volume(charts: Folder) -> None:
    change = {
        "media": {
            "storage": "s3",
            "url": "https://pictures.example.com",
            "s3": {"bucket": "b", "existingSecret": "s3"},
        }
    }
    rendered = charts.render("svc-catalog", merged(MINIMAL["svc-catalog"], change))
    env = rendered.environment("svc-catalog-web")

    assert "persistentVolumeClaim" not in json.dumps(rendered.manifests)
    assert not rendered.of("PersistentVolumeClaim")
    assert env["MEDIA_STORAGE"] == "s3"
    assert env["AWS_ACCESS_KEY_ID"] == {"name": "s3", "key": "AWS_ACCESS_KEY_ID"}
    assert "MEDIA_ROOT" not in env


def test_an_ingress_leads_to_the_gateway_under_its_public_name(charts: Folder) -> None:
    rendered = charts.render("gateway", merged(MINIMAL["gateway"], {"ingress": {"enabled": True}}))
    (rule,) = rendered.one("Ingress", "gateway")["spec"]["rules"]

    assert rule["host"] == "shop.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "gateway", "port": {"name": "http"}}


@pytest.mark.parametrize("chart", APPLICATIONS)
def test_the_notes_say_how_to_go_on(minimal: dict[str, Rendered], chart: str) -> None:
    assert "helm test shop --namespace shop" in minimal[chart].notes
