"""The collector: a server's numbers in the form of Prometheus' client library, which is an optional dependency.

What is so now is read from the live tables when it is asked for, in the server's own thread; what happened so far are
the counters. Nothing is counted on the way of a message.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .extras import import_for
from .hub import Hub
from .metrics import Counters
from .services import Services
from .shortcuts import current

PREFIX = "webpy_socketio_"


class Total(NamedTuple):
    """How one of the counters is shown."""

    name: str
    text: str
    #: What tells its parts apart, if it has any.
    label: str | None = None


#: All counters, by their names in Counters.
TOTALS = {
    "opened": Total("sessions_opened", "Sessions opened."),
    "ended": Total("sessions_ended", "Sessions ended.", "reason"),
    "refused": Total("requests_refused", "Requests refused, by Engine.IO's code of the error.", "code"),
    "limited": Total("limited", "What clients wanted beyond a limit, by the setting.", "limit"),
    "overflowed": Total("overflowed", "What clients did not read in time, by what became of it.", "policy"),
    "publishes": Total("publishes", "Requests to publish over HTTP, by what became of them.", "outcome"),
    "expired_acks": Total("acks_expired", "Acknowledgements that clients did not send in time."),
    "dropped_volatile": Total("volatile_dropped", "Volatile events dropped, as their receivers were not ready."),
    "recovered": Total("sockets_recovered", "Sockets whose client came back, and got what it had missed."),
    "not_recovered": Total("sockets_not_recovered", "Sockets whose client came back, but had to begin anew."),
    "times_held": Total("loop_held", "Times that something held the event loop longer than max_blocking."),
    "dropped_publishes": Total("publishes_dropped", "Messages for other processes that Redis did not confirm."),
    "redis_reconnects": Total("redis_reconnects", "Connections to Redis made anew."),
    "held_seconds": Total("loop_held_seconds", "Seconds for which it was held then."),
}


class Collector:
    """What a registry of Prometheus' client library asks for numbers.

    :param find: returns whose numbers they are; nothing if there is no server at the moment.
    """

    def __init__(self, find: Callable[[], tuple[Hub, Services | None] | None]) -> None:
        import_for("metrics", "prometheus_client", "metrics")
        core = importlib.import_module("prometheus_client.core")
        self._gauge, self._counter = core.GaugeMetricFamily, core.CounterMetricFamily
        self._find = find

    def describe(self) -> list[Any]:
        """Nothing: so a registry does not ask for the numbers before there is a server."""
        return []

    def collect(self) -> Iterable[Any]:
        """Return all numbers. May be called from any thread."""
        found = self._find()
        return [] if found is None else found[0].runner.call(lambda: list(self._families(*found)))

    def _families(self, hub: Hub, services: Services | None) -> Iterator[Any]:
        yield from self._of_sessions(hub)
        if services is not None:
            yield from self._of_sockets(services)
            yield from self._of_recovery(services)
        yield from self._totals(hub.counters)

    def _of_sessions(self, hub: Hub) -> Iterator[Any]:
        sessions: Counter[tuple[str, ...]] = Counter()
        packets = size = events = 0
        for session in hub.sessions:
            sessions[session.transport, session.dialect.clients] += 1
            packets += len(session.outbox)
            size += session.outbox.size
            events += session.peer.inbox.backlog
        yield self._gauges("sessions", "Connected clients.", ("transport", "clients"), sessions)
        yield self._one("outbox_packets", "Packets that wait for clients to take them.", packets)
        yield self._one("outbox_bytes", "Bytes of memory that these take.", size)
        yield self._one("inbox_events", "Events of clients that wait for a handler that runs.", events)
        yield self._one("draining", "1 while the server is stopping.", int(hub.draining))

    def _of_sockets(self, services: Services) -> Iterator[Any]:
        sockets: Counter[tuple[str, ...]] = Counter()
        channels: Counter[tuple[str, ...]] = Counter()
        acks = services.desk.pending
        for name, membership in services.delivery.memberships():
            label = (services.events.declared_name(name),)  # clients make up names that match a pattern
            sockets[label] += sum(member.connected for member in membership.everybody.values())
            channels[label] += membership.channel_count
            acks += sum(member.pending_acks for member in membership.everybody.values())
        yield self._gauges("sockets", "Clients in a namespace.", ("namespace",), sockets)
        yield self._gauges("channels", "Channels that somebody follows.", ("namespace",), channels)
        present = len(services.attendance)
        yield self._one("presences", "Users in channels with presence, by sockets of this process.", present)
        yield self._one("acks_pending", "Acknowledgements that clients still are to send.", acks)

    def _of_recovery(self, services: Services) -> Iterator[Any]:
        recovery = services.recovery
        if recovery is not None:
            yield self._one("sockets_awaited", "Sockets whose client may still come back.", recovery.awaited)
            yield self._one("history_bytes", "Bytes of messages that are kept for these.", recovery.history.size)

    def _totals(self, counters: Counters) -> Iterator[Any]:
        for attribute, (name, text, label) in TOTALS.items():
            value = getattr(counters, attribute)
            labels = () if label is None else (label,)
            family = self._counter(PREFIX + name, text, labels=labels)
            for key, count in value.items() if isinstance(value, Counter) else [(None, value)]:
                family.add_metric([] if key is None else [str(key)], count)
            yield family

    def _one(self, name: str, text: str, value: float) -> Any:
        return self._gauge(PREFIX + name, text, value=value)

    def _gauges(self, name: str, text: str, labels: tuple[str, ...], values: Counter[tuple[str, ...]]) -> Any:
        family = self._gauge(PREFIX + name, text, labels=labels)
        for key, value in values.items():
            family.add_metric(list(key), value)
        return family


def metrics_collector() -> Collector:
    """Return a collector of the running server's numbers, for a registry of your own; there need not be a server yet.

    Raises SettingsError if prometheus-client is not installed.
    """

    def find() -> tuple[Hub, Services | None] | None:
        node = current()
        return None if node is None else (node.hub, node.services)

    return Collector(find)
