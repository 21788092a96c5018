"""What the service and the sandbox refuse to start with. Each start is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.exceptions import BadSettings
from sandbox.settings import Settings
from tests.sandbox_process import SERVICE_FOLDER

PRODUCTION = {
    "ENVIRONMENT": "prod",
    "SECRET_KEY": "s" * 60,
    "PUBLIC_BASE_URL": "https://shop.example",
    "STOREFRONT_URL": "https://www.shop.example",
}
STRIPE = {
    "PAYMENT_PROVIDERS": "stripe",
    "STRIPE_SECRET_KEY": "sk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
}
SANDBOX = {"SANDBOX_URL": "http://127.0.0.1:1", "SANDBOX_API_KEY": "k", "SANDBOX_WEBHOOK_SECRET": "s"}


def start(*command: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **SANDBOX,
        **{name: value for name, value in changes.items() if value is not None},
    }
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
    return subprocess.run(
        [sys.executable, *command],
        cwd=SERVICE_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def show(name: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    return start("-c", f"import config.settings as settings; print(settings.{name})", **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({**PRODUCTION, "PAYMENT_PROVIDERS": "sandbox"}, "The payment provider `sandbox` moves no money"),
        ({"PAYMENT_PROVIDERS": "paypal"}, "PAYMENT_PROVIDERS names paypal"),
        ({"SANDBOX_API_KEY": None}, '"SANDBOX_API_KEY" is not set'),
        ({**STRIPE, "STRIPE_SECRET_KEY": None}, '"STRIPE_SECRET_KEY" is not set'),
        ({**STRIPE, "STRIPE_WEBHOOK_SECRET": ""}, "STRIPE_WEBHOOK_SECRET"),
        ({**STRIPE, "STRIPE_CAPTURE_METHOD": "later"}, "STRIPE_CAPTURE_METHOD"),
        ({**STRIPE, "STRIPE_API_BASE": "stripe"}, "STRIPE_API_BASE"),
        ({"SANDBOX_URL": "localhost"}, '"SANDBOX_URL" must be an absolute URL'),
        ({"PAYMENT_PROVIDER_TIMEOUT_SECONDS": "0"}, "PAYMENT_PROVIDER_TIMEOUT_SECONDS"),
        ({"PAYMENT_RETURN_URLS": "storefront"}, "PAYMENT_RETURN_URLS"),
    ],
)
def test_the_service_does_not_start_with_a_setting_that_is_wrong(
    changes: dict[str, str | None], sentence: str
) -> None:
    ended = show("PAYMENT_PROVIDERS", **changes)
    assert ended.returncode != 0
    assert sentence in ended.stderr


def test_production_offers_no_provider_unless_told() -> None:
    ended = show("PAYMENT_PROVIDERS", **PRODUCTION)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


def test_production_offers_stripe_with_its_keys_alone() -> None:
    keys = {**STRIPE, "SANDBOX_API_KEY": None, "SANDBOX_URL": None, "SANDBOX_WEBHOOK_SECRET": None}
    ended = show("STRIPE_API_BASE", **{**PRODUCTION, **keys})
    assert (ended.returncode, ended.stdout) == (0, "https://api.stripe.com\n"), ended.stderr


def test_a_shop_without_stripe_does_not_load_its_sdk() -> None:
    script = (
        "import django, sys; django.setup(); from payments.providers import get_provider;"
        " get_provider('sandbox'); print('stripe' in sys.modules)"
    )
    ended = start("-c", script, DJANGO_SETTINGS_MODULE="config.settings")
    assert ended.stdout == "False\n", ended.stderr


def test_development_offers_the_sandbox_and_returns_to_the_storefront() -> None:
    assert show("PAYMENT_PROVIDERS").stdout == "['sandbox']\n"
    assert show("PAYMENT_RETURN_URLS", STOREFRONT_URL="http://shop.test").stdout == "['http://shop.test']\n"


GOOD = {
    "SANDBOX_DATABASE": "/nowhere/sandbox.sqlite3",
    "SANDBOX_API_KEY": "k",
    "SANDBOX_WEBHOOK_SECRET": "s",
    "SANDBOX_WEBHOOK_URL": "http://127.0.0.1:1/",
    "SANDBOX_PUBLIC_URL": "http://shop.test/dev/payments/",
    "PORT": "1",
}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ENVIRONMENT": "prod"}, "does not run when ENVIRONMENT is prod"),
        ({"SANDBOX_API_KEY": " "}, '"SANDBOX_API_KEY" is not set'),
        ({"SANDBOX_WEBHOOK_URL": "nowhere"}, '"SANDBOX_WEBHOOK_URL" is not an absolute http or https URL'),
        ({"PORT": "x"}, '"PORT" is not a number'),
        ({"PORT": ""}, '"PORT" is not a number'),
        ({"SANDBOX_FAULTS": "{"}, '"SANDBOX_FAULTS" is not a description of faults'),
        ({"SANDBOX_FAULTS": '{"double": 2}'}, '"SANDBOX_FAULTS" is not a description of faults'),
        ({"PORT": "70000"}, '"PORT" is not a number from 0 to 65535'),
        ({"SANDBOX_WEBHOOK_SECOND": "1"}, '"SANDBOX_WEBHOOK_SECOND" is not a setting'),
        ({"SANDBOX_SETTLE_SECONDS": "-1"}, '"SANDBOX_SETTLE_SECONDS" must not be negative'),
    ],
)
def test_the_sandbox_refuses_a_setting_that_is_wrong(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        Settings.from_environment({**GOOD, **changes})
    assert Settings.from_environment(GOOD).public_url == "http://shop.test/dev/payments"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ENVIRONMENT": "prod"}, "does not run when ENVIRONMENT is prod"),
        ({"SANDBOX_DATABASE": "/proc/nothing/here.sqlite3"}, "cannot use /proc/nothing/here.sqlite3"),
    ],
)
def test_the_sandbox_does_not_start_but_says_why_in_one_line(changes: dict[str, str], sentence: str) -> None:
    ended = start("-m", "sandbox", **{**GOOD, **changes})
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_while_a_secret_of_the_sandbox_is_replaced_both_count(tmp_path: Path) -> None:
    """Its file is read again when it has changed; one that is gone or empty changes nothing."""
    file = tmp_path / "secret"
    file.write_text("old\n")
    environ = {name: value for name, value in GOOD.items() if name != "SANDBOX_API_KEY"}
    settings = Settings.from_environment({**environ, "SANDBOX_API_KEY_FILE": str(file)})
    assert settings.api_keys.now() == ("old",)
    for text, accepted in (("old\nnew\n", ("old", "new")), ("", ("old", "new")), ("new\n", ("new",))):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(file)
        assert settings.api_keys.now() == accepted
    file.unlink()
    assert settings.api_keys.now() == ("new",)
    with pytest.raises(BadSettings, match=r'"SANDBOX_API_KEY_FILE" names .* which holds nothing readable'):
        Settings.from_environment({**environ, "SANDBOX_API_KEY_FILE": str(file)})


def test_a_webhook_of_the_sandbox_is_good_for_whoever_knows_one_of_its_secrets() -> None:
    from payments.providers.base import BadWebhook
    from payments.providers.sandbox import SandboxProvider
    from sandbox.webhooks import signature

    body = b'{"id": "evt_1", "type": "t", "created": 1, "data": {"object": {}}}'
    headers = {"Sandbox-Signature": signature(("old", "new"), int(time.time()), body)}
    for secret, good in (("old", True), ("new", True), ("other", False)):
        provider = SandboxProvider(
            url="http://a.test", api_key="k", webhook_secret=secret, timeout_seconds=1.0
        )
        if good:
            assert provider.verify_webhook(headers, body).event_id == "evt_1"
        else:
            with pytest.raises(BadWebhook, match="signature"):
                provider.verify_webhook(headers, body)
