from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from payments import providers
from tests import sandbox_process, stripe_dialect
from tests.sandbox_process import Receiver, SandboxProcess
from tests.stripe_dialect import StripeDialect


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Transactional tests empty every table by TRUNCATE, which the ledger refuses: not in the test database."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_ledgerentry DISABLE TRIGGER ledger_entry_no_truncate")
        cursor.execute(
            "ALTER TABLE payments_ledgertransaction DISABLE TRIGGER ledger_transaction_no_truncate"
        )


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[SandboxProcess]:
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox"), receiver)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def dialect(_sandbox: SandboxProcess) -> Iterator[StripeDialect]:
    dialect = StripeDialect(_sandbox)
    yield dialect
    dialect.close()


@pytest.fixture(scope="session")
def _providers(_sandbox: SandboxProcess, dialect: StripeDialect) -> Iterator[dict[str, Any]]:
    """The service's own clients of the sandbox that this session started: its own, and the one for Stripe."""
    values = {
        "PAYMENT_PROVIDERS": ["sandbox", "stripe"],
        "STRIPE_SECRET_KEY": stripe_dialect.SECRET_KEY,
        "STRIPE_WEBHOOK_SECRET": stripe_dialect.WEBHOOK_SECRET,
        "STRIPE_PUBLISHABLE_KEY": "",
        "STRIPE_API_BASE": dialect.url,
        "STRIPE_CAPTURE_METHOD": "automatic",
        "SANDBOX_URL": _sandbox.url,
        "SANDBOX_API_KEY": sandbox_process.API_KEY,
        "SANDBOX_WEBHOOK_SECRET": sandbox_process.WEBHOOK_SECRET,
        "PAYMENT_PROVIDER_TIMEOUT_SECONDS": 3.0,
        "PAYMENT_RETURN_URLS": ["http://storefront.test", "https://shop.example:8443/checkout"],
    }
    with override_settings(**values):
        providers.get_provider.cache_clear()
        made: dict[str, Any] = {name: providers.get_provider(name) for name in ("sandbox", "stripe")}
        with override_settings(PAYMENT_PROVIDERS=["sandbox"]):
            yield made
        for provider in made.values():
            provider.close()
        providers.get_provider.cache_clear()


@pytest.fixture
def offered(request: pytest.FixtureRequest) -> str:
    """The provider that a test of `both_providers` runs over this time; the sandbox for every other test."""
    return str(getattr(request, "param", "sandbox"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_providers"):
        metafunc.fixturenames.append("offered")
        metafunc.parametrize("offered", ["sandbox", "stripe"], indirect=True)


@pytest.fixture
def sandbox(_sandbox: SandboxProcess, _providers: Any) -> SandboxProcess:
    """The running sandbox provider, for tests that look at it; every test of the service uses it."""
    return _sandbox


@pytest.fixture(autouse=True)
def _real_provider(request: pytest.FixtureRequest, settings: Any) -> None:
    """Nothing of the service is tested against anything else than the sandbox of this session."""
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("_providers")
        settings.PAYMENT_PROVIDERS = [request.getfixturevalue("offered")]


class HookedProvider:
    """The real provider, with code of the test run just before or after one of its calls.

    `hooked.before["confirm_intent"] = function`; a hook runs once.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.before: dict[str, Callable[[], Any]] = {}
        self.after: dict[str, Callable[[], Any]] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._provider, name)
        if not callable(real):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if hook := self.before.pop(name, None):
                hook()
            result = real(*args, **kwargs)
            if hook := self.after.pop(name, None):
                hook()
            return result

        return call


@pytest.fixture
def provider(_providers: dict[str, Any], offered: str, monkeypatch: pytest.MonkeyPatch) -> HookedProvider:
    hooked = HookedProvider(_providers[offered])
    monkeypatch.setattr(providers, "get_provider", lambda name: hooked)
    return hooked


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """The hints that were sent to the worker; there is none in these tests."""
    sent: list[tuple[str, tuple[Any, ...]]] = []
    monkeypatch.setattr(
        "shared_lib.jobs.hints._publish", lambda task, args, kwargs: sent.append((task.name, args))
    )
    return sent
