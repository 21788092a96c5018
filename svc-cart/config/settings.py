from marshmallow.validate import Range

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-cart", apps=["cart"]))

CART_ABANDONED_HOURS = env.int(
    "CART_ABANDONED_HOURS",
    24,
    validate=Range(min=1),
    help="after so long without a change a cart is abandoned",
)
CART_GUEST_DAYS = env.int(
    "CART_GUEST_DAYS", 30, validate=Range(min=1), help="how long a guest's cart is kept after its last use"
)
