"""Values: the least that each chart needs, everything that it knows, and one switch at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.support.helm import SERVICES, Values

GLOBAL: Values = {
    "global": {"publicBaseUrl": "https://shop.example.com", "storefrontUrl": "https://www.example.com"}
}
_OWN: dict[str, Values] = {
    "gateway": {"redis": {"host": "10.0.0.5"}, "trustedProxies": ["10.1.0.0/16"]},
    "svc-notifications": {"settings": {"EMAIL_FROM": "Shop <shop@example.com>"}},
}
MINIMAL: dict[str, Values] = {
    "gateway": {**GLOBAL, **_OWN["gateway"]},
    **{service: {**GLOBAL, **_OWN.get(service, {})} for service in SERVICES},
    "shop": {**GLOBAL, **_OWN},
}

_GLOBAL_SWITCHES: dict[str, Values] = {
    "dev": {
        "environment": "dev",
        "publicBaseUrl": "http://localhost:8080",
        "storefrontUrl": "http://localhost:3000",
    },
    "another currency": {"currency": "EUR", "logLevel": "DEBUG"},
    "another issuer": {"jwt": {"issuer": "https://id.example.com", "audience": "all"}},
    "services elsewhere": {"serviceUrls": {"svc-catalog": "http://catalog.other:80"}},
    "a registry": {
        "image": {
            "registry": "registry.example.com:5000/team",
            "pullPolicy": "Always",
            "pullSecrets": ["pull"],
        }
    },
    "metrics for prometheus": {
        "metricsFrom": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
            }
        ]
    },
}
_CHART_SWITCHES: dict[str, Values] = {
    **{name: {"global": change} for name, change in _GLOBAL_SWITCHES.items()},
    "another image": {"image": {"repository": "team/image", "tag": "1.2.3-rc.1"}},
    "an image by digest": {"image": {"digest": "sha256:" + "0a" * 32}},
    "no account": {"serviceAccount": {"create": False}},
    "another account": {"serviceAccount": {"name": "it", "annotations": {"example.com/role": "it"}}},
    "no network policies": {"networkPolicy": {"enabled": False}},
    "further callers": {"networkPolicy": {"extraFrom": [{"podSelector": {"matchLabels": {"app": "check"}}}]}},
    "no annotations": {"metrics": {"annotations": False}},
    "labels and annotations": {
        "podLabels": {"team": "a"},
        "podAnnotations": {"example.com/restarted": "now"},
    },
    "placed": {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "shop", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}]
                }
            }
        },
        "priorityClassName": "shop-high",
    },
    "no spread": {"topologySpread": {"enabled": False}},
    "a hard spread": {
        "topologySpread": {"whenUnsatisfiable": "DoNotSchedule", "topologyKeys": ["kubernetes.io/hostname"]}
    },
    "another user": {"runAsUser": 1000660000, "tmpSizeLimit": "1Gi"},
    "no test": {"test": {"enabled": False}},
}
_SCALED: Values = {"enabled": True, "minReplicas": 3, "maxReplicas": 30, "targetCPUUtilizationPercentage": 80}
_SERVICE_SWITCHES: dict[str, Values] = {
    "another secret": {"existingSecret": "other"},
    "a secret of the operator": {
        "secrets": {"env": {"DATABASE_URL": {"name": "database-app", "key": "uri"}}}
    },
    "a key elsewhere": {
        "secrets": {"files": {"SERVICE_PRIVATE_KEY_FILE": {"name": "keys", "key": "mine.pem"}}}
    },
    "other public keys": {"publicKeys": {"SERVICE_PUBLIC_KEYS_DIR": "keys"}},
    "scaled": {process: {"autoscaling": _SCALED} for process in ("web", "events", "worker")},
    "budgets": {
        process: {"podDisruptionBudget": {"enabled": True, "maxUnavailable": "25%"}}
        for process in ("web", "events", "worker")
    },
    "no budget": {"web": {"podDisruptionBudget": {"enabled": False}}},
    "stopped": {process: {"replicas": 0} for process in ("web", "events", "worker")},
    "no migration": {"migration": {"enabled": False}},
    "another deadline": {"migration": {"activeDeadlineSeconds": 3600, "backoffLimit": 0}},
    "annotated service": {"service": {"annotations": {"example.com/note": "x"}}},
    "resources": {
        "web": {"resources": {"limits": {"cpu": 2, "memory": "1.5Gi", "ephemeral-storage": "1Gi"}}}
    },
}
_OWN_SWITCHES: dict[str, dict[str, Values]] = {
    "svc-catalog": {
        "a claim that exists": {"media": {"filesystem": {"existingClaim": "pictures"}}},
        "one node": {"media": {"filesystem": {"accessModes": ["ReadWriteOnce"], "storageClass": "fast"}}},
        "a bucket": {
            "media": {
                "storage": "s3",
                "url": "https://pictures.example.com",
                "s3": {
                    "bucket": "pictures",
                    "endpointUrl": "https://s3.example.com",
                    "region": "eu-1",
                    "existingSecret": "s3",
                },
            }
        },
        "a bucket by identity": {
            "media": {"storage": "s3", "url": "https://pictures.example.com", "s3": {"bucket": "pictures"}}
        },
    },
    "svc-accounts": {
        "keys of before": {"publicKeys": {"JWT_PREVIOUS_PUBLIC_KEYS_DIR": "shop-previous-keys"}},
    },
    "gateway": {
        "a load balancer": {
            "service": {
                "type": "LoadBalancer",
                "port": 443,
                "externalTrafficPolicy": "Local",
                "loadBalancerSourceRanges": ["192.0.2.0/24"],
                "annotations": {"example.com/lb": "x"},
            }
        },
        "a port of the nodes": {"service": {"type": "NodePort", "nodePort": 30080}},
        "an ingress": {"ingress": {"enabled": True}},
        "an ingress with TLS": {
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "api.example.com",
                "annotations": {"example.com/size": "24m"},
                "tlsSecret": "tls",
            }
        },
        "redis that moves": {"redis": {"host": "redis.stores", "port": 6380, "resolver": "10.96.0.10"}},
        "another secret": {"redis": {"user": "edge", "secret": {"name": "edge", "key": "password"}}},
        "no proxies": {"trustedProxies": ["none"]},
        "origins": {"corsOrigins": ["https://a.example.com", "https://b.example.com"]},
        "pictures in a bucket": {"media": {"existingClaim": ""}},
        "pages of dev": {
            "global": _GLOBAL_SWITCHES["dev"],
            "dev": {"mailWebUrl": "http://mail:8080", "sandboxUrl": "http://sandbox:8080"},
        },
        "limits": {"limits": {"user": "200/1s burst 400", "login_email": "off"}},
        "scaled": {"autoscaling": _SCALED},
        "no budget": {"podDisruptionBudget": {"enabled": False}},
        "slow requests": {"shutdownSeconds": 120},
    },
    "shop": {
        **{name: {"global": change} for name, change in _GLOBAL_SWITCHES.items()},
        **{f"without {name}": {"install": {name: False}} for name in ("gateway", *SERVICES)},
    },
}
SWITCHES: dict[str, dict[str, Values]] = {
    **{
        service: {**_CHART_SWITCHES, **_SERVICE_SWITCHES, **_OWN_SWITCHES.get(service, {})}
        for service in SERVICES
    },
    "gateway": {**_CHART_SWITCHES, **_OWN_SWITCHES["gateway"]},
    "shop": _OWN_SWITCHES["shop"],
}

#: A value of every variable that a service's `settings` may hold.
_COMMON_SETTINGS: Values = {
    "ALLOWED_HOSTS": "shop.example.com,svc-orders",
    "DATABASE_CONN_MAX_AGE": 30,
    "DATABASE_LOCK_TIMEOUT_MS": 4000,
    "DATABASE_POOL_MAX": 0,  # with a pool, DATABASE_CONN_MAX_AGE says nothing
    "DATABASE_PREPARE_THRESHOLD": -1,
    "DATABASE_SERVER_SIDE_BINDING": False,
    "DATABASE_STATEMENT_TIMEOUT_MS": 20000,
    "DRAIN_SECONDS": 12.5,
    "JWKS_URL": "https://id.example.com/keys",
    "LOG_LEVEL": "WARNING",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "RELAY_SILENCE_MS": 6000,
    "REQUEST_TIMEOUT_SECONDS": 7.5,
}
OWN_SETTINGS: dict[str, Values] = {
    "svc-accounts": {
        "ACCESS_TOKEN_SECONDS": 300,
        "REFRESH_GRACE_SECONDS": 0,
        "RESET_LINK_SECONDS": 7200,
        "SESSION_SECONDS": 5184000,
        "VERIFY_LINK_SECONDS": 86400,
    },
    "svc-cart": {"CART_ABANDONED_HOURS": 6, "CART_GUEST_DAYS": 7},
    "svc-catalog": {
        "CATALOG_SHARED_MAX_AGE_SECONDS": 0,
        "RESERVATION_BACKSTOP_SECONDS": 172800,
        "STOCK_LOW_THRESHOLD": 0,
    },
    "svc-notifications": {"EMAIL_FROM": "Shop <shop@example.com>"},
    "svc-orders": {
        "CHECKOUT_LEASE_SECONDS": 20,
        "CHECKOUT_RESUME_SECONDS": 90,
        "INVOICE_ISSUER": "Shop Ltd\\n1 Street, London",
        "ORDER_PAYMENT_RETRY_SECONDS": 300,
        "ORDER_PAYMENT_WINDOW_SECONDS": 3600,
        "ORDER_RETURN_DAYS": 14,
    },
    "svc-payments": {
        "PAYMENT_PROVIDERS": "sandbox,stripe",
        "PAYMENT_PROVIDER_TIMEOUT_SECONDS": 4,
        "PAYMENT_RECONCILIATION_HOURS": 6,
        "PAYMENT_RETURN_URLS": "https://www.example.com,https://m.example.com",
        "PAYMENT_WEBHOOK_RETENTION_DAYS": 7,
        "SANDBOX_URL": "http://sandbox:8080",
        "STRIPE_API_BASE": "https://api.stripe.com",
        "STRIPE_CAPTURE_METHOD": "manual",
        "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
    },
}
_OWN_SECRETS: dict[str, Values] = {
    "svc-accounts": {"DEMO_PASSWORD": {}},
    "svc-payments": {
        "SANDBOX_API_KEY": {"name": "sandbox"},
        "SANDBOX_WEBHOOK_SECRET": {"name": "sandbox"},
        "STRIPE_SECRET_KEY": {"name": "stripe"},
        "STRIPE_WEBHOOK_SECRET": {"name": "stripe"},
    },
}
_GATEWAY_SETTINGS: Values = {
    "DOCS_ROOT": "/srv/docs",
    "GATEWAY_BODY_MAX": "32m",
    "GATEWAY_CACHE_MAX": "64m",
    "GATEWAY_CLIENT_SECONDS": 20,
    "GATEWAY_CONNECTIONS": 1000000,
    "GATEWAY_DENYLIST_SECONDS": 0,
    "GATEWAY_IN_FLIGHT": 256,
    "GATEWAY_JWKS_REFRESH_SECONDS": 30,
    "GATEWAY_RETRY_SECONDS": 0,
    "GATEWAY_TIME_LONG": 90,
    "GATEWAY_TIME_NORMAL": 5,
    "GATEWAY_WORKERS": 4,
    "LOG_LEVEL": "ERROR",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "SVC_NOTIFICATIONS_LIVE_URL": "http://live:8000",
    "TRACE_RATIO": 0.05,
}


def merged(*all_values: Values) -> Values:
    """As Helm merges values: objects are joined, the last one wins."""
    result: dict[str, Any] = {}
    for values in all_values:
        for key, value in values.items():
            mine = result.get(key)
            result[key] = (
                merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else deepcopy(value)
            )
    return result


def _everything(chart: str) -> Values:
    off = {
        "no account",
        "no network policies",
        "no annotations",
        "no spread",
        "no test",
        "no migration",
        "no budget",
    }
    off |= {
        "stopped",
        "an image by digest",
        "pictures in a bucket",
        "a bucket by identity",
        "no proxies",
        "dev",
    }
    on = [change for name, change in SWITCHES[chart].items() if name not in off]
    return merged(MINIMAL[chart], *on)


def _everything_of(service: str) -> Values:
    changes: Values = {
        "settings": {**_COMMON_SETTINGS, **OWN_SETTINGS[service]},
        "secrets": {"env": _OWN_SECRETS.get(service, {})},
        "web": {
            "settings": {"WEB_WORKERS": 2, "WEB_THREADS": 8, "WEB_BACKPRESSURE": 64, "WEB_WAIT_READY": True}
        },
        "worker": {"settings": {"WORKER_THREADS": 4}},
    }
    if service == "svc-payments":  # its one provider is refused in prod
        return merged(_everything(service), changes, {"global": _GLOBAL_SWITCHES["dev"]})
    return merged(_everything(service), changes)


EVERYTHING: dict[str, Values] = {
    **{service: _everything_of(service) for service in SERVICES},
    "gateway": merged(_everything("gateway"), {"settings": _GATEWAY_SETTINGS}),
}
EVERYTHING["shop"] = merged(
    MINIMAL["shop"],
    {
        chart: {key: value for key, value in values.items() if key != "global"}
        for chart, values in EVERYTHING.items()
    },
    {"global": merged(*_GLOBAL_SWITCHES.values(), _GLOBAL_SWITCHES["dev"])},
)

#: (chart, name, values): the least, everything, and each switch alone.
MATRIX: list[tuple[str, str, Values]] = [
    (chart, name, values)
    for chart in SWITCHES
    for name, values in (
        ("minimal", MINIMAL[chart]),
        ("everything", EVERYTHING[chart]),
        *((name, merged(MINIMAL[chart], change)) for name, change in SWITCHES[chart].items()),
    )
]
