from django.core.exceptions import ImproperlyConfigured
from marshmallow.validate import OneOf, Range

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-payments", apps=["payments"]))

EVENT_HANDLERS = ""  # svc-orders asks for what it wants; no event tells payments to do anything

# The first is the default. A shop that runs in production names the ones it has contracts with.
PAYMENT_PROVIDERS = env.list(
    "PAYMENT_PROVIDERS",
    [] if globals()["ENVIRONMENT"] == "prod" else ["sandbox"],
    help="of sandbox and stripe, the first is the default; in prod there is none, and sandbox is refused",
)
PAYMENT_PROVIDER_TIMEOUT_SECONDS = env.float(
    "PAYMENT_PROVIDER_TIMEOUT_SECONDS", 8.0, validate=Range(min=0.1), help="for one call to a provider"
)
PAYMENT_RETURN_URLS = env.list(
    "PAYMENT_RETURN_URLS",
    [globals()["STOREFRONT_URL"]],
    help="where a buyer may be sent back to, with all paths below",
)
PAYMENT_WEBHOOK_RETENTION_DAYS = env.int(
    "PAYMENT_WEBHOOK_RETENTION_DAYS",
    30,
    validate=Range(min=1),
    help="how long settled webhook events are kept",
)
PAYMENT_RECONCILIATION_HOURS = env.int(
    "PAYMENT_RECONCILIATION_HOURS",
    3,
    validate=Range(min=1),
    help="how far back the hourly comparison looks; `manage.py reconcile --since` looks as far as one likes",
)

for url in PAYMENT_RETURN_URLS:
    if not url.startswith(("http://", "https://")):
        raise ImproperlyConfigured(
            "PAYMENT_RETURN_URLS must be absolute http or https URLs, separated by commas."
        )
if unknown := set(PAYMENT_PROVIDERS) - {"sandbox", "stripe"}:
    raise ImproperlyConfigured(
        f"PAYMENT_PROVIDERS names {', '.join(sorted(unknown))}, which is not a provider here."
    )
if "sandbox" in PAYMENT_PROVIDERS:
    if globals()["ENVIRONMENT"] == "prod":
        raise ImproperlyConfigured(
            "The payment provider `sandbox` moves no money; take it out of PAYMENT_PROVIDERS."
        )
    _offered = "sandbox is offered"
    SANDBOX_URL = env.url("SANDBOX_URL", when=_offered, help="the sandbox provider")
    SANDBOX_API_KEY = env.secret("SANDBOX_API_KEY", when=_offered, help="what our calls to it bear")
    SANDBOX_WEBHOOK_SECRET = env.secret(
        "SANDBOX_WEBHOOK_SECRET", when=_offered, help="what its webhooks are signed with"
    )
if "stripe" in PAYMENT_PROVIDERS:
    _offered = "stripe is offered"
    STRIPE_SECRET_KEY = env.secret("STRIPE_SECRET_KEY", when=_offered, help="Stripe's key for our calls")
    STRIPE_WEBHOOK_SECRET = env.secret("STRIPE_WEBHOOK_SECRET", when=_offered, help="signs Stripe's webhooks")
    STRIPE_PUBLISHABLE_KEY = env.str(
        "STRIPE_PUBLISHABLE_KEY",
        "",
        when=_offered,
        help="for Stripe's script in the storefront, which `GET /payments/methods` gives it; no secret",
    )
    STRIPE_API_BASE = env.url(
        "STRIPE_API_BASE", "https://api.stripe.com", when=_offered, help="another one in tests"
    )
    STRIPE_CAPTURE_METHOD = env.str(
        "STRIPE_CAPTURE_METHOD",
        "automatic",
        validate=OneOf(["automatic", "manual"]),
        when=_offered,
        help="manual: a confirmation authorises, and a call of its own captures at once",
    )
