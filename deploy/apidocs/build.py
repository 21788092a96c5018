"""Writes `deploy/apidocs/pages/openapi.json` and `asyncapi.json` from the code: `make apidocs`.

With `--check` it writes nothing and exits 1 when a file is not what the code says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from shared_lib.contracts.events import CONTRACTS, SERVICES
from shared_lib.contracts.subscriptions import subscribers
from shared_lib.events.envelope import CONTENT_TYPE, CloudEvent

ROOT = Path(__file__).resolve().parents[2]
PAGES = Path(__file__).parent / "pages"

Json = dict[str, Any]

_SCHEMA = """
from shared_lib.testing.environment import prepare
prepare()
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn"])
"""
#: Settings must be there; nothing is connected to.
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@localhost/nothing",
    "MEDIA_ROOT": str(ROOT),
    "SANDBOX_URL": "http://localhost",
    "SANDBOX_API_KEY": "none",
    "SANDBOX_WEBHOOK_SECRET": "none",
    "SMTP_URL": "smtp://localhost:25",
    "EMAIL_FROM": "shop@example.com",
}
# Schemas that mean the same in every service keep their name; all others get the service's.
_SHARED = {"Problem", "ProblemItem"}


def service_schema(service: str) -> Json:
    """The OpenAPI document of one service. Raises `SystemExit` with what its generation complains of."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **NOWHERE}
    result = subprocess.run(
        [sys.executable, "-c", _SCHEMA],
        cwd=ROOT / service,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"{service} has no clean description:\n{result.stderr}")
    document: Json = json.loads(result.stdout)
    return document


def renamed(document: Json, service: str) -> Json:
    """The document with its schemas named for the service (`OrdersLine`), so that two services may each have a `Line`."""
    area, own = service.removeprefix("svc-").capitalize(), document["components"]["schemas"]

    def name(schema: str) -> str:
        # `CartCoupon` beside a `Coupon`, which takes that name, is `CartCartCoupon`.
        named = schema.startswith(area) and schema.removeprefix(area) not in own
        return schema if schema in _SHARED or named else area + schema

    text = re.sub(
        r'"#/components/schemas/([^"]+)"',
        lambda match: f'"#/components/schemas/{name(match[1])}"',
        json.dumps(document),
    )
    changed: Json = json.loads(text)
    schemas = changed["components"]["schemas"]
    changed["components"]["schemas"] = {name(schema): value for schema, value in schemas.items()}
    return changed


def openapi() -> Json:
    """One document of all services, each operation tagged with its own."""
    with ThreadPoolExecutor(2) as pool:
        documents = dict(zip(SERVICES, pool.map(service_schema, SERVICES), strict=True))
    merged: Json = {
        "openapi": "3.1.1",
        "info": {
            "title": "Shop",
            "version": "1",
            "description": "Everything a storefront needs, through the gateway. Errors are problem documents (RFC 9457).",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": service.removeprefix("svc-")} for service in SERVICES],
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    for service, document in documents.items():
        changed = renamed(document, service)
        for path, item in changed["paths"].items():
            if path in merged["paths"]:
                sys.exit(f"{path} is described twice, the second time by {service}")
            for operation in item.values():
                if isinstance(operation, dict):
                    operation["tags"] = [service.removeprefix("svc-")]
            merged["paths"][path] = item
        for part in ("schemas", "securitySchemes"):
            merged["components"][part] |= changed["components"].get(part, {})
    return merged


def asyncapi() -> Json:
    """AsyncAPI 3: a channel for each event, sent by its producer, received by who subscribes."""
    contracts = [CONTRACTS[name] for name in sorted(CONTRACTS)]
    (envelope, *schemas), components = msgspec.json.schema_components(
        [CloudEvent, *contracts], ref_template="#/components/schemas/{name}"
    )
    channels, operations, messages = {}, {}, {}
    for contract, schema in zip(contracts, schemas, strict=True):
        name = contract.event_type
        key = name.replace(".", "_")
        messages[key] = {
            "name": name,
            "title": contract.__name__,
            "summary": (contract.__doc__ or "").strip(),
            "contentType": CONTENT_TYPE,
            "payload": {
                "allOf": [
                    envelope,
                    {
                        "properties": {
                            "source": {"const": f"/{contract.producer}"},
                            "type": {"const": name},
                            "data": schema,
                        }
                    },
                ]
            },
        }
        channels[key] = {"address": name, "messages": {key: {"$ref": f"#/components/messages/{key}"}}}
        reference = {"$ref": f"#/channels/{key}"}
        operations[f"{contract.producer}.sends.{key}"] = {
            "action": "send",
            "channel": reference,
            "title": contract.producer,
        }
        for consumer in subscribers(name):
            operations[f"{consumer}.receives.{key}"] = {
                "action": "receive",
                "channel": reference,
                "title": consumer,
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Events of the shop",
            "version": "1",
            "description": "CloudEvents 1.0 in structured JSON mode, on the topic exchange `shop.events`.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": components},
    }


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: python -m apidocs.build [--check]")
    stale = []
    for name, document in (("openapi.json", openapi()), ("asyncapi.json", asyncapi())):
        path = PAGES / name
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
        else:
            path.write_text(text)
    if stale:
        print(f"{', '.join(stale)} is not what the code says; run `make apidocs`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
