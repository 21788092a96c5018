"""The descriptions that the gateway serves are those of the code."""

import subprocess
import sys
from pathlib import Path

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
