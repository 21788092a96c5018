from django.core.exceptions import ImproperlyConfigured
from marshmallow.validate import Length, OneOf, Range

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-payments", apps=["payments"]))

EVENT_HANDLERS = ""  # svc-orders asks for what it wants; no event tells payments to do anything

# The first is the default. A shop that runs in production names the ones it has contracts with.
PAYMENT_PROVIDERS = env.list("PAYMENT_PROVIDERS", [] if globals()["ENVIRONMENT"] == "prod" else ["sandbox"])
PAYMENT_PROVIDER_TIMEOUT_SECONDS = env.float("PAYMENT_PROVIDER_TIMEOUT_SECONDS", 8.0, validate=Range(min=0.1))
# Where a buyer may be sent back to: URLs, of which any path below is allowed too.
PAYMENT_RETURN_URLS = env.list("PAYMENT_RETURN_URLS", [globals()["STOREFRONT_URL"]])
PAYMENT_WEBHOOK_RETENTION_DAYS = env.int("PAYMENT_WEBHOOK_RETENTION_DAYS", 30, validate=Range(min=1))
# How far back the hourly comparison with the providers looks; `manage.py reconcile --since` looks as far as one likes.
PAYMENT_RECONCILIATION_HOURS = env.int("PAYMENT_RECONCILIATION_HOURS", 3, validate=Range(min=1))

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
    SANDBOX_URL = env.url("SANDBOX_URL")
    SANDBOX_API_KEY = env.str("SANDBOX_API_KEY")
    SANDBOX_WEBHOOK_SECRET = env.str("SANDBOX_WEBHOOK_SECRET")
if "stripe" in PAYMENT_PROVIDERS:
    STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", validate=Length(min=1))
    STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", validate=Length(min=1))
    STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", "")  # for the storefront; no secret
    STRIPE_API_BASE = env.url("STRIPE_API_BASE", "https://api.stripe.com")
    STRIPE_CAPTURE_METHOD = env.str(
        "STRIPE_CAPTURE_METHOD", "automatic", validate=OneOf(["automatic", "manual"])
    )
