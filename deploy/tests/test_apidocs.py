"""The descriptions that the gateway serves are those of the code."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema

DEPLOY = Path(__file__).resolve().parents[1]


def test_the_committed_descriptions_are_what_the_code_says():
    result = subprocess.run(
        [sys.executable, "-m", "apidocs.build", "--check"],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_schemas_of_a_service_never_take_the_name_of_another():
    sys.path.insert(0, str(DEPLOY))
    from apidocs.build import renamed

    own = {"Cart": {}, "Line": {}, "Coupon": {"title": "a"}, "CartCoupon": {"title": "b"}}
    reference = {"$ref": "#/components/schemas/CartCoupon"}
    changed = renamed({"components": {"schemas": own}, "paths": {"/x": reference}}, "svc-cart")

    assert set(changed["components"]["schemas"]) == {"Cart", "CartLine", "CartCoupon", "CartCartCoupon"}
    assert changed["components"]["schemas"]["CartCartCoupon"] == {"title": "b"}
    assert changed["paths"]["/x"] == {"$ref": "#/components/schemas/CartCartCoupon"}


def test_the_description_of_events_is_true_of_what_is_on_the_wire():
    from shared_lib.contracts.events import StockLow
    from shared_lib.events.envelope import encode, wrap
    from shared_lib.ids import uuid7

    document = json.loads((DEPLOY / "apidocs" / "pages" / "asyncapi.json").read_text())

    def accepted(message: str, event: dict) -> bool:
        schema = {**document, "$ref": f"#/components/messages/{message}/payload"}
        return jsonschema.Draft202012Validator(schema).is_valid(event)

    low = StockLow(version=3, variant_id=uuid7(), product_id=uuid7(), seller_id=uuid7(), available=2)
    event = json.loads(encode(wrap(low, subject=str(low.variant_id))))
    assert accepted("stock_low_v1", event)
    assert not accepted("stock_low_v1", event["data"])
    assert not accepted("stock_low_v1", {**event, "data": {**event["data"], "available": None}})
    assert not accepted("stock_changed_v1", event)
