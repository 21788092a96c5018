"""What RabbitMQ lets each service do, on the broker of the throwaway stack, as the services' own users."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random

import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection

from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types
from shared_lib.events import topology
from shop import rabbitmq, stack
from shop.layout import find_layout
from shop.report import Progress

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

SERVICES = tuple(SUBSCRIPTIONS)


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    found = stack.find(find_layout(), Progress())
    assert found is not None, "there are no settings: is the stack up?"
    return found.env


@pytest.fixture
def empty(env):
    """The virtual host with the rights of `events`, without any queue or exchange of ours; through its administrator."""
    url = f"amqp://runner:{env['RABBITMQ_PASSWORD']}@127.0.0.1:{env['RABBITMQ_PORT']}/{rabbitmq.RIGHTS}"
    with Connection(url) as connection:
        for service in SERVICES:
            for name in (topology.queue_name(service), topology.dead_queue_name(service)):
                connection.channel().queue_delete(name)
        for exchange in (topology.EVENTS, topology.DIRECT):
            connection.channel().exchange_delete(exchange.name)
        yield connection


@pytest.fixture
def connect(env):
    """`connect("svc-cart")`: a connection as that service."""
    with contextlib.ExitStack() as opened:

        @functools.cache
        def connection_of(service: str) -> Connection:
            url = rabbitmq.url(service, env, rabbitmq.RIGHTS)
            return opened.enter_context(Connection(url, connect_timeout=5))

        yield connection_of


def waiting(connection: Connection, service: str) -> int:
    return connection.channel().queue_declare(topology.queue_name(service), passive=True).message_count


def publish(connection: Connection, routing_key: str, exchange: str = topology.EVENTS.name) -> None:
    """Waits for the broker's word, so that a refusal is raised here."""
    channel = connection.channel()
    message = channel.prepare_message(b"{}")
    channel.basic_publish_confirm(message, exchange=exchange, routing_key=routing_key, confirm_timeout=5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_services_make_the_topology_in_any_order_and_each_event_reaches_its_consumers(empty, connect, seed):
    order = list(SERVICES)
    random.Random(seed).shuffle(order)
    for service in order:
        topology.declare(connect(service), service)
    for service in order:
        topology.declare(connect(service), service)
    for name, contract in CONTRACTS.items():
        publish(connect(contract.producer), name)
    for service in SERVICES:
        assert waiting(empty, service) == len(subscribed_types(service))


@pytest.mark.parametrize("producer", [service for service in SERVICES if produced_types(service)])
def test_a_producer_alone_makes_the_queues_of_consumers_that_never_ran(empty, connect, producer):
    topology.declare(connect(producer), producer)
    for name in sorted(produced_types(producer)):
        publish(connect(producer), name)
    for consumer in SERVICES:
        if shared := subscribed_types(consumer) & produced_types(producer):
            assert waiting(empty, consumer) == len(shared)


def test_a_service_publishes_its_own_events_only(empty, connect):
    for service in SERVICES:
        topology.declare(connect(service), service)
    for service, (name, contract) in itertools.product(SERVICES, CONTRACTS.items()):
        if contract.producer != service:
            with pytest.raises(AccessRefused):
                publish(connect(service), name)
    assert [waiting(empty, service) for service in SERVICES] == [0] * len(SERVICES)


def test_a_service_reads_and_empties_no_queue_but_its_own(empty, connect):
    for service in SERVICES:
        topology.declare(connect(service), service)
    for service, other in itertools.permutations(SERVICES, 2):
        for name in (topology.queue_name(other), topology.dead_queue_name(other)):
            for attempt in ("basic_get", "queue_purge", "basic_consume"):
                with pytest.raises(AccessRefused):
                    getattr(connect(service).channel(), attempt)(name)


def test_a_service_cannot_subscribe_to_what_is_not_in_its_row(empty, connect):
    topology.declare(connect("svc-cart"), "svc-cart")
    for routing_key in ("payment.succeeded.v1", "user.registered.v1", "#", "order.*"):
        with pytest.raises(AccessRefused):
            connect("svc-cart").channel().queue_bind("svc-cart.events", topology.EVENTS.name, routing_key)


def test_nobody_reaches_a_queue_around_the_exchanges_or_makes_one_of_its_own(empty, connect):
    for service in SERVICES:
        topology.declare(connect(service), service)
        with pytest.raises(AccessRefused):
            publish(connect(service), "svc-orders.events", exchange="")
        with pytest.raises(AccessRefused):
            connect(service).channel().queue_declare("a-queue-of-mine", durable=True)
        with pytest.raises(AccessRefused):
            connect(service).channel().exchange_declare("an-exchange-of-mine", "fanout")


def test_replays_reach_only_who_consumes_the_producer_s_events(empty, connect):
    for service in SERVICES:
        topology.declare(connect(service), service)
    publish(connect("svc-catalog"), "svc-cart.events", exchange=topology.DIRECT.name)
    assert waiting(empty, "svc-cart") == 1
    for service, queue in (("svc-catalog", "svc-payments.events"), ("svc-cart", "svc-orders.events")):
        with pytest.raises(AccessRefused):
            publish(connect(service), queue, exchange=topology.DIRECT.name)
