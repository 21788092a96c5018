from marshmallow.validate import Range

from catalog.storage import media_settings
from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-catalog", apps=["catalog", "django.contrib.postgres"]))
globals().update(media_settings(env, public_base_url=globals()["PUBLIC_BASE_URL"]))

CATALOG_SHARED_MAX_AGE_SECONDS = env.int(
    "CATALOG_SHARED_MAX_AGE_SECONDS",
    10,
    validate=Range(min=0),
    help="`s-maxage` of public answers: how old the gateway's cache may be without a change",
)
RESERVATION_BACKSTOP_SECONDS = env.int(
    "RESERVATION_BACKSTOP_SECONDS",
    86400,
    validate=Range(min=60),
    help="after so long a reservation that svc-orders never ended is released",
)
STOCK_LOW_THRESHOLD = env.int(
    "STOCK_LOW_THRESHOLD", 5, validate=Range(min=0), help="at so few available units `stock.low` is published"
)
