"""Every operation of carts, orders and payments, through the gateway: as described, whatever is sent.

Each is called once so that it succeeds, then with generated requests: ones that fit the description, ones that break it, about
things that exist and things that don't, by everybody who may call and everybody who may not. SHOP_API_CASES is how many of
these a service gets (default 150); SHOP_API_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from api.recipes import RECIPES, key
from api.world import ADMIN, BUYER, GUEST, SELLER, World, caller

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("cart", "orders", "payments")
CASES = int(os.environ.get("SHOP_API_CASES", "150"))
SEED = int(os.environ.get("SHOP_API_SEED", "1"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
DESCRIPTION = json.loads((ROOT / "deploy" / "apidocs" / "pages" / "openapi.json").read_text())
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
    if operation.path.split("/")[3] in SERVICES
}


def _service(name: str) -> str:
    return str(OPERATIONS[name].path.split("/")[3])


@pytest.fixture(scope="module")
def world(base_url: str, stack_env: dict[str, str]) -> Iterator[World]:
    one = World(base_url, os.environ["DEMO_PASSWORD"], stack_env["SANDBOX_WEBHOOK_SECRET"])
    yield one
    one.close()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        yield one


def test_no_operation_has_a_catch_all_answer() -> None:
    for name, operation in OPERATIONS.items():
        assert "default" not in operation.definition.raw["responses"], name


def test_no_recipe_is_for_an_operation_that_is_gone() -> None:
    assert set(RECIPES) <= set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_succeeds(world: World, session: requests.Session, name: str) -> None:
    assert name in RECIPES, f"api/recipes.py does not say how {name} succeeds"
    recipe = RECIPES[name]
    made = recipe.make(world)
    operation = OPERATIONS[name]
    case = operation.Case(
        path_parameters=made.get("path", {}),
        query=made.get("query", {}),
        headers=made.get("headers", {}),
        **({"body": made["body"], "media_type": "application/json"} if "body" in made else {}),
    )

    response = _send(case, world, session, recipe.who, content=made.get("content"))

    assert 200 <= response.status_code < 300, response.text
    case.validate_response(response, checks=CHECKS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_as_described_whatever_is_sent(
    world: World, session: requests.Session, name: str
) -> None:
    operation, chance = OPERATIONS[name], random.Random(f"{SEED} {name}")
    share = max(2, CASES // sum(_service(one) == _service(name) for one in OPERATIONS) + 1)
    takes_key = "Idempotency-Key" in {one["name"] for one in operation.definition.raw.get("parameters", [])}
    answers: Counter[int] = Counter()

    def check(case: Case) -> None:
        own = chance.random() < 0.6
        who = RECIPES[name].who if own else chance.choice((BUYER, SELLER, ADMIN, GUEST))
        for parameter in case.path_parameters or {}:
            if world.known.get(parameter) and chance.random() < 0.6:
                case.path_parameters[parameter] = chance.choice(world.known[parameter])
        if takes_key and chance.random() < 0.7:
            case.headers.update(key())
        response = _send(case, world, session, who, chance=None if own else chance)
        answers[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            raise AssertionError(
                f"{who}: {group}\n{response.request.method} {response.request.url}"
            ) from None

    for mode in (GenerationMode.NEGATIVE, GenerationMode.POSITIVE):
        try:
            strategy = operation.as_strategy(generation_mode=mode)
        except schemathesis.errors.SchemathesisError:
            continue
        run = seed(SEED)(
            settings(
                max_examples=max(
                    2, share // 2 if mode is GenerationMode.NEGATIVE else share - answers.total()
                ),
                database=None,
                deadline=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )(given(case=strategy)(check))
        )
        # An operation that takes anything cannot be sent anything wrong.
        with suppress(Unsatisfiable):
            run()

    print(f"{name}: {sum(answers.values())} cases, {dict(sorted(answers.items()))}")
    assert answers


def _send(
    case: Case,
    world: World,
    session: requests.Session,
    who: str,
    *,
    chance: random.Random | None = None,
    content: bytes | None = None,
) -> requests.Response:
    """The answer through the gateway. Over a limit the same request is sent again a moment later."""
    client = caller(world, who, chance)
    headers = {"X-Forwarded-For": world.address()}
    if client is not None:
        headers["Authorization"] = f"Bearer {client.access}"
    extra: dict[str, Any] = {} if content is None else {"data": content}
    for _ in range(5):
        kwargs = case.as_transport_kwargs(base_url=world.base_url, headers=headers) | extra
        response = session.request(**kwargs, timeout=30)
        if response.status_code != 429:
            break
        time.sleep(float(response.headers["Retry-After"]))
    return response
