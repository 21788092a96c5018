"""Wrong values are refused before anything is rendered, by a sentence that says where and what."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest

from tests.support.helm import APPLICATIONS, SERVICES, Folder, Values
from tests.support.values import GLOBAL, MINIMAL, merged

EVERY_SERVICE: list[tuple[Values, str]] = [
    ({"replicas": 3}, "at '': additional properties 'replicas' not allowed"),
    ({"web": {"replica": 3}}, "at '/web': additional properties 'replica' not allowed"),
    ({"web": {"replicas": -1}}, "at '/web/replicas': minimum: got -1, want 0"),
    ({"web": {"replicas": "two"}}, "at '/web/replicas': got string, want integer"),
    (
        {"web": {"resources": {"limits": {"memory": "lots"}}}},
        "at '/web/resources/limits/memory': 'lots' does not match",
    ),
    (
        {"web": {"settings": {"WORKER_THREADS": 2}}},
        "at '/web/settings': additional properties 'WORKER_THREADS'",
    ),
    (
        {"web": {"autoscaling": {"minReplicas": 0}}},
        "at '/web/autoscaling/minReplicas': minimum: got 0, want 1",
    ),
    ({"web": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "at '/web/podDisruptionBudget/maxUnavailable'"),
    (
        {"worker": {"settings": {"WORKER_THREADS": 0}}},
        "at '/worker/settings/WORKER_THREADS': minimum: got 0, want 1",
    ),
    ({"beat": {"replicas": 2}}, "at '/beat': additional properties 'replicas' not allowed"),
    ({"settings": {"LOGLEVEL": "INFO"}}, "at '/settings': additional properties 'LOGLEVEL' not allowed"),
    (
        {"settings": {"DATABASE_URL": "postgresql://u:p@h/d"}},
        "additional properties 'DATABASE_URL' not allowed",
    ),
    ({"settings": {"LOG_LEVEL": "LOUD"}}, "at '/settings/LOG_LEVEL': value must be one of 'DEBUG', 'INFO'"),
    ({"settings": {"DATABASE_POOL_MAX": 1.5}}, "at '/settings/DATABASE_POOL_MAX': got number, want integer"),
    (
        {"secrets": {"env": {"SECRET_KEY": "hunter2"}}},
        "at '/secrets/env/SECRET_KEY': got string, want object",
    ),
    ({"secrets": {"env": {"SECRET_KEY": {"value": "x"}}}}, "additional properties 'value' not allowed"),
    ({"secrets": {"env": {"REDIS_URL": {"name": "My Secret"}}}}, "at '/secrets/env/REDIS_URL/name'"),
    (
        {"secrets": {"env": {"STRIPE_KEY": {}}}},
        "at '/secrets/env': additional properties 'STRIPE_KEY' not allowed",
    ),
    ({"existingSecret": "My_Secret"}, "at '/existingSecret'"),
    ({"image": {"tag": "a b"}}, "at '/image/tag': 'a b' does not match pattern"),
    ({"image": {"digest": "latest"}}, "at '/image/digest'"),
    ({"runAsUser": 0}, "at '/runAsUser': minimum: got 0, want 1"),
    ({"podLabels": {"app.kubernetes.io/name": "mine"}}, "invalid propertyName 'app.kubernetes.io/name'"),
    (
        {"topologySpread": {"whenUnsatisfiable": "Perhaps"}},
        "at '/topologySpread/whenUnsatisfiable': value must be one of",
    ),
    ({"networkPolicy": {"extraFrom": [{}]}}, "at '/networkPolicy/extraFrom/0': minProperties: got 0, want 1"),
    ({"migration": {"activeDeadlineSeconds": 0}}, "at '/migration/activeDeadlineSeconds'"),
]
EVERY_CHART: list[tuple[Values, str]] = [
    (
        {"global": {"environment": "production"}},
        "at '/global/environment': value must be one of 'dev', 'prod'",
    ),
    (
        {"global": {"publicBaseUrl": "shop.example.com"}},
        "at '/global/publicBaseUrl': 'shop.example.com' does not match",
    ),
    ({"global": {"publicBaseUrl": "http://shop.example.com"}}, "does not match pattern '^https://'"),
    ({"global": {"publicBaseUrl": "https://shop.example.com/"}}, "at '/global/publicBaseUrl'"),
    (
        {"global": {"currency": "dollars"}},
        "at '/global/currency': 'dollars' does not match pattern '^[A-Z]{3}$'",
    ),
    (
        {"global": {"serviceUrls": {"svc-carts": "http://x:1"}}},
        "additional properties 'svc-carts' not allowed",
    ),
    ({"global": {"serviceUrls": {"svc-cart": "https://x:1/"}}}, "at '/global/serviceUrls/svc-cart'"),
    (
        {"global": {"image": {"pullPolicy": "Sometimes"}}},
        "at '/global/image/pullPolicy': value must be one of",
    ),
    ({"global": {"storefront": "x"}}, "at '/global': additional properties 'storefront' not allowed"),
]
ONE_CHART: list[tuple[str, Values, str]] = [
    ("svc-orders", {"settings": {"ORDER_PAYMENT_WINDOW_SECONDS": "30m"}}, "got string, want integer"),
    (
        "svc-cart",
        {"settings": {"ORDER_PAYMENT_WINDOW_SECONDS": 30}},
        "'ORDER_PAYMENT_WINDOW_SECONDS' not allowed",
    ),
    ("svc-accounts", {"settings": {"REFRESH_GRACE_SECONDS": 90}}, "maximum: got 90, want 60"),
    (
        "svc-notifications",
        {"settings": {"EMAIL_FROM": "nobody"}},
        "at '/settings/EMAIL_FROM': 'nobody' does not match",
    ),
    (
        "svc-catalog",
        {"media": {"storage": "ftp"}},
        "at '/media/storage': value must be one of 'filesystem', 's3'",
    ),
    ("svc-catalog", {"media": {"storage": "s3"}}, "at '/media/s3/bucket': minLength: got 0, want 1"),
    (
        "svc-catalog",
        {"media": {"filesystem": {"accessModes": []}}},
        "at '/media/filesystem/accessModes': minItems",
    ),
    ("svc-orders", {"media": {"storage": "s3"}}, "at '': additional properties 'media' not allowed"),
    ("gateway", {"redis": {"host": "redis://x"}}, "at '/redis/host': 'redis://x' does not match"),
    (
        "gateway",
        {"redis": {"password": "secret"}},
        "at '/redis': additional properties 'password' not allowed",
    ),
    ("gateway", {"trustedProxies": []}, "at '/trustedProxies': minItems: got 0, want 1"),
    ("gateway", {"trustedProxies": ["everybody"]}, "at '/trustedProxies/0': 'everybody' does not match"),
    ("gateway", {"limits": {"user": "many"}}, "at '/limits/user': 'many' does not match pattern"),
    ("gateway", {"limits": {"USER": "off"}}, "at '/limits': additional properties 'USER' not allowed"),
    (
        "gateway",
        {"dev": {"mailWebUrl": "http://mail:8080"}},
        "at '/dev/mailWebUrl': maxLength: got 16, want 0",
    ),
    ("gateway", {"service": {"type": "ExternalName"}}, "at '/service/type': value must be one of"),
    ("gateway", {"shutdownSeconds": 0}, "at '/shutdownSeconds': minimum: got 0, want 1"),
    ("gateway", {"corsOrigins": ["https://a.example.com/x"]}, "at '/corsOrigins/0'"),
    ("shop", {"svc-cart": {"web": {"replicas": -1}}}, "at '/web/replicas': minimum: got -1, want 0"),
    ("shop", {"install": {"svc-card": True}}, "at '/install': additional properties 'svc-card' not allowed"),
    ("shop", {"svc-loyalty": {}}, "at '': additional properties 'svc-loyalty' not allowed"),
]


def _refusal(charts: Folder, chart: str, values: Values) -> str:
    with pytest.raises(helm_python.HelmError) as refused:
        charts.render(chart, values)
    return str(refused.value)


@pytest.mark.parametrize(
    ("change", "sentence"), EVERY_SERVICE, ids=[sentence for _, sentence in EVERY_SERVICE]
)
def test_a_service_refuses_a_broken_value_by_a_sentence(
    charts: Folder, change: Values, sentence: str
) -> None:
    for service in SERVICES:
        assert sentence in _refusal(charts, service, merged(MINIMAL[service], change))


@pytest.mark.parametrize(("change", "sentence"), EVERY_CHART, ids=[sentence for _, sentence in EVERY_CHART])
def test_every_chart_refuses_a_broken_value_by_a_sentence(
    charts: Folder, change: Values, sentence: str
) -> None:
    for chart in APPLICATIONS:
        assert sentence in _refusal(charts, chart, merged(MINIMAL[chart], change))


@pytest.mark.parametrize(
    ("chart", "change", "sentence"), ONE_CHART, ids=[f"{c}: {s}" for c, _, s in ONE_CHART]
)
def test_a_chart_refuses_what_is_wrong_for_it(
    charts: Folder, chart: str, change: Values, sentence: str
) -> None:
    assert sentence in _refusal(charts, chart, merged(MINIMAL[chart], change))


def test_the_umbrella_says_in_which_chart_a_value_is_wrong(charts: Folder) -> None:
    refusal = _refusal(charts, "shop", merged(MINIMAL["shop"], {"svc-cart": {"web": {"replicas": -1}}}))

    assert "svc-cart:\n- at '/web/replicas'" in refusal


@pytest.mark.parametrize("chart", APPLICATIONS)
@pytest.mark.parametrize("name", ["publicBaseUrl", "storefrontUrl"])
def test_what_has_no_default_must_be_given(charts: Folder, chart: str, name: str) -> None:
    values: dict[str, Any] = {**MINIMAL[chart], "global": {**GLOBAL["global"]}}
    del values["global"][name]

    assert f"at '/global': missing property '{name}'" in _refusal(charts, chart, values)


def test_what_one_chart_has_no_default_for_must_be_given(charts: Folder) -> None:
    assert "at '/settings': missing property 'EMAIL_FROM'" in _refusal(charts, "svc-notifications", GLOBAL)
    assert "at '/redis': missing property 'host'" in _refusal(
        charts, "gateway", {**GLOBAL, "trustedProxies": ["none"]}
    )


def test_outside_prod_plain_http_is_good_enough(charts: Folder) -> None:
    dev = {
        "environment": "dev",
        "publicBaseUrl": "http://localhost:8080",
        "storefrontUrl": "http://localhost:3000",
    }

    rendered = charts.render("svc-cart", {"global": dev})

    assert rendered.environment("svc-cart-web")["ENVIRONMENT"] == "dev"


def test_the_umbrellas_globals_reach_every_chart(charts: Folder) -> None:
    change = {
        "global": {"currency": "EUR", "logLevel": "DEBUG", "image": {"registry": "registry.example.com"}}
    }

    rendered = charts.render("shop", merged(MINIMAL["shop"], change))

    for name, pod in rendered.pods.items():
        assert pod["containers"][0]["image"].startswith("registry.example.com/shop/")
        if not name.endswith("-test"):
            assert rendered.environment(name)["LOG_LEVEL"] == "DEBUG"
    assert rendered.environment("svc-cart-web")["SHOP_CURRENCY"] == "EUR"


def test_the_umbrella_changes_one_chart_and_no_other(charts: Folder) -> None:
    rendered = charts.render("shop", merged(MINIMAL["shop"], {"svc-cart": {"web": {"replicas": 7}}}))

    assert rendered.one("Deployment", "svc-cart-web")["spec"]["replicas"] == 7
    assert rendered.one("Deployment", "svc-orders-web")["spec"]["replicas"] == 2


@pytest.mark.parametrize("chart", SERVICES)
def test_the_umbrella_installs_a_service_as_its_own_chart_does(charts: Folder, chart: str) -> None:
    alone = charts.render(chart, MINIMAL[chart]).manifests
    together = charts.render("shop", MINIMAL["shop"]).manifests

    assert all(one in together for one in alone)


def test_a_chart_that_is_switched_off_is_not_there(charts: Folder) -> None:
    rendered = charts.render("shop", merged(MINIMAL["shop"], {"install": {"svc-cart": False}}))

    assert not [one for one in rendered.manifests if one["metadata"]["name"].startswith("svc-cart")]
    assert rendered.one("Deployment", "svc-orders-web")
