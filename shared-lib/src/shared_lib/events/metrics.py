"""What Prometheus sees of events."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from shared_lib.events.lag import DEAD_LETTERS, OLDEST_PENDING, OLDEST_WAITING, PENDING, WAITING

__all__ = [
    "BATCH_SECONDS",
    "CONSUMED",
    "DEAD_LETTERS",
    "DELAY_SECONDS",
    "LEADER",
    "OLDEST_PENDING",
    "OLDEST_WAITING",
    "PENDING",
    "PUBLISHED",
    "QUEUE_WAITING",
    "REFUSED",
    "UNCONSUMED",
    "UNDECODABLE",
    "UNDECODABLE_WAITING",
    "UNROUTABLE",
    "WAITING",
]

PUBLISHED = Counter("shop_outbox_published_total", "Events confirmed by RabbitMQ", ["type"])
UNCONSUMED = Counter("shop_outbox_unconsumed_total", "Events published that no service consumes", ["type"])
UNROUTABLE = Counter(
    "shop_outbox_unroutable_total", "Events returned although a service consumes them", ["type"]
)
REFUSED = Counter("shop_outbox_refused_total", "Events that RabbitMQ refused to take (nack)", ["type"])
LEADER = Gauge("shop_outbox_leader", "1 while this process is the one that publishes")

CONSUMED = Counter("shop_inbox_events_total", "Events by what became of them", ["type", "outcome"])
UNDECODABLE = Counter("shop_inbox_undecodable_total", "Messages sent to the broker's dead-letter queue")
UNDECODABLE_WAITING = Gauge(
    "shop_inbox_undecodable_waiting", "Messages in the broker's dead-letter queue that wait for a decision"
)
QUEUE_WAITING = Gauge("shop_inbox_queue_messages", "Events in the queue that no consumer has taken yet")
BATCH_SECONDS = Histogram("shop_inbox_batch_seconds", "Time of one batch, transaction included")
DELAY_SECONDS = Histogram(
    "shop_inbox_delay_seconds",
    "From the making of an event to the commit of its effect",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
