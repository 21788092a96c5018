from marshmallow.validate import Range

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-orders", apps=["orders"]))

globals()["SPECTACULAR_SETTINGS"]["ENUM_NAME_OVERRIDES"] = {
    "OrderStatusEnum": "orders.api.serializers.ORDER_STATUS_CHOICES",
    "RefundStatusEnum": "orders.models.RefundStatus",
    "ReturnStatusEnum": "orders.models.ReturnStatus",
    "PaymentStateEnum": "orders.api.serializers.PAYMENT_STATE_CHOICES",
}

ORDER_PAYMENT_WINDOW_SECONDS = env.int(
    "ORDER_PAYMENT_WINDOW_SECONDS",
    1800,
    validate=Range(min=1),
    help="an order that is not paid within this time cancels itself",
)
ORDER_PAYMENT_RETRY_SECONDS = env.int(
    "ORDER_PAYMENT_RETRY_SECONDS",
    600,
    validate=Range(min=1),
    help="what a buyer gets at least when a payment that was processing fails late",
)
_issuer: str = env.str(
    "INVOICE_ISSUER",
    "The Shop",
    help="who issues invoices: name, address, tax number, `\\n` between the lines",
)
INVOICE_ISSUER = _issuer.replace("\\n", "\n").strip() or "The Shop"
ORDER_RETURN_DAYS = env.int(
    "ORDER_RETURN_DAYS",
    30,
    validate=Range(min=0),
    help="how long after its delivery an order can be sent back",
)
# Longer than REQUEST_TIMEOUT_SECONDS, so that only the checkout of a process that died is ever taken over.
CHECKOUT_LEASE_SECONDS = env.int(
    "CHECKOUT_LEASE_SECONDS",
    15,
    validate=Range(min=1),
    help="how long a checkout belongs to the request that runs it; longer than REQUEST_TIMEOUT_SECONDS",
)
CHECKOUT_RESUME_SECONDS = env.int(
    "CHECKOUT_RESUME_SECONDS",
    60,
    validate=Range(min=1),
    help="after the lease the buyer's retry may resume the checkout for so long; then the sweeper undoes it",
)
