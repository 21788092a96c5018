"""A bus in memory, for unit tests: routes as the real one does and can be told to fail."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from shared_lib.contracts.subscriptions import subscribers
from shared_lib.events.bus import BusUnavailable, Delivery, Flight, Outgoing, PublishResult


class MemoryBus:
    """Queues by service. `missing_queues` and `refuse_types` make events unroutable or refused; `down` breaks everything."""

    def __init__(self) -> None:
        self.queues: dict[str, deque[bytes]] = defaultdict(deque)
        self.dead: dict[str, list[bytes]] = defaultdict(list)
        self.missing_queues: set[str] = set()
        self.refuse_types: set[str] = set()
        self.down = False
        self.declared = 0

    def publisher(self) -> MemoryPublisher:
        return MemoryPublisher(self)

    def subscription(self, service: str) -> MemorySubscription:
        return MemorySubscription(self, service)

    def check(self) -> None:
        if self.down:
            raise BusUnavailable("the bus is down")


class MemoryPublisher:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        bus.check()

    def send(self, batch: Sequence[Outgoing]) -> Flight:
        self._bus.check()
        result = PublishResult()
        for outgoing in batch:
            wanted = subscribers(outgoing.type)
            reached = [service for service in wanted if service not in self._bus.missing_queues]
            if outgoing.type in self._bus.refuse_types:
                result.refused.append(outgoing.id)
                continue
            for service in reached:
                self._bus.queues[service].append(outgoing.body)
            (result.unroutable if wanted and not reached else result.confirmed).append(outgoing.id)
        return Flight(result=result)

    def confirm(self, flight: Flight) -> PublishResult:
        self._bus.check()
        return flight.result

    def tick(self) -> None:
        self._bus.check()

    def declare(self) -> None:
        self._bus.check()
        self._bus.declared += 1

    def close(self) -> None:
        pass


class MemorySubscription:
    """Hands out the messages of one service; what is not acknowledged goes back to the front of the queue on `close()`."""

    def __init__(self, bus: MemoryBus, service: str) -> None:
        self._bus = bus
        self._service = service
        self._unacked: dict[int, bytes] = {}
        self._tag = 0
        bus.check()

    def receive(self, *, most: int, wait: float = 0, window: float = 0) -> list[Delivery]:
        self._bus.check()
        deliveries: list[Delivery] = []
        queue = self._bus.queues[self._service]
        while queue and len(deliveries) < most:
            self._tag += 1
            self._unacked[self._tag] = queue.popleft()
            deliveries.append(Delivery(self._tag, self._unacked[self._tag], 0))
        return deliveries

    def ack(self, delivery: Delivery) -> None:
        self._bus.check()
        for tag in [tag for tag in self._unacked if tag <= delivery.tag]:
            del self._unacked[tag]

    def reject(self, delivery: Delivery, reason: str = "") -> None:
        self._bus.check()
        self._bus.dead[self._service].append(self._unacked.pop(delivery.tag))

    def waiting(self) -> int:
        return len(self._bus.queues[self._service])

    def waiting_dead(self) -> int:
        return len(self._bus.dead[self._service])

    def tick(self) -> None:
        self._bus.check()

    def close(self) -> None:
        for tag in sorted(self._unacked, reverse=True):
            self._bus.queues[self._service].appendleft(self._unacked.pop(tag))
