"""Settings of shared-lib's own tests: those of a service, with a domain that only counts."""

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-catalog", apps=["effects", "sample"]))
ROOT_URLCONF = "sample.root_urls"
JOBS_APP = "tests.jobs_app"
EVENT_HANDLERS = env.str("SHOP_TEST_EVENT_HANDLERS", "effects.event_handlers.EVENT_HANDLERS")
