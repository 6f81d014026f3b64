"""The suite that every register of presences has to pass; ``test_memory.py`` and the suites over Redis run it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from tests.fakes import FakeMember, make_delivery
from webpy_socketio.attendance import Attendance
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.errors import AckTimeout
from webpy_socketio.events import Events
from webpy_socketio.presence_events import PresenceEvents
from webpy_socketio.presences import Place, Presence
from webpy_socketio.transports.workers import Workers

Told = tuple[str, str, Any]
HALL = "hall-1"


def eventually(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait until something is so, and let the greenlets of this process run meanwhile."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AckTimeout):
            if result := condition():
                return result
        assert time.monotonic() < until, "waited in vain"
        gevent.sleep(0.002)


class Station:
    """A process's worth of presence: ``hall-...`` is told to clients, ``silent-...`` is not."""

    def __init__(self, backplane: Backplane, grace: float = 0.0, is_declared: bool = True, wait: bool = True) -> None:
        self.events = Events()
        if is_declared:
            self.events.channel_presence("hall-", clients=True)
            self.events.channel_presence("silent-")
        self.seen: list[Told] = []
        for namespace in ("/", "/chat"):
            self.events.on_join(self._noting("join"), namespace=namespace)
            self.events.on_leave(self._noting("leave"), namespace=namespace)
        self.workers = Workers()
        self.deadlines = Deadlines()
        self.delivery = make_delivery(events=self.events)
        self.attendance = Attendance(self.events.presence_rules, grace, self.deadlines, self.workers)
        self.backplane = backplane
        backplane.start(self.delivery)
        events = PresenceEvents(self.events, self.workers, 1000)
        backplane.presence.start(self.delivery, self.attendance, events)
        eventually(lambda: backplane.is_ready or not wait)

    def enter(self, user: Any, sid: str, channel: str = HALL, namespace: str = "/") -> Guest:
        """A socket of a user."""
        return Guest(self, user, sid, channel, namespace)

    def here(self, channel: str = HALL, namespace: str = "/") -> list[tuple[Any, int]]:
        """Who is in a channel, with how many sockets."""
        return sorted(((one.user, one.connections) for one in self.list(channel, namespace)), key=str)

    def list(self, channel: str = HALL, namespace: str = "/") -> list[Presence]:
        """The same as it comes."""
        return self.backplane.presence.here(Place(namespace, channel))

    def pass_time(self, seconds: float = 0.0) -> None:
        """Do what is due within so many seconds."""
        self.deadlines.expire(self.workers.now() + seconds)

    def _noting(self, what: str) -> Callable[[str, Presence], None]:
        return lambda channel, one: self.seen.append((what, channel, one.user))


class Guest:
    """A socket in a channel."""

    def __init__(self, station: Station, user: Any, sid: str, channel: str, namespace: str) -> None:
        self.user = user
        self._station, self._sid, self._channel, self._namespace = station, sid, channel, namespace
        self.member = FakeMember(station.delivery, sid, channel, namespace=namespace)
        station.attendance.join(namespace, channel, user, sid)

    def leave(self) -> None:
        """End the subscription."""
        self._station.delivery.detach(self._namespace, self.member, [self._channel])
        self._station.attendance.leave(self._namespace, [self._channel], self.user, self._sid)

    @property
    def told(self) -> list[dict[str, Any]]:
        """What it was told."""
        return [json.loads(text[text.index("[") :])[1] for text in self.member.texts]

    @property
    def short(self) -> list[tuple[str, Any]]:
        """The same without times and channels."""
        return [
            ("here", [one["user"] for one in event["here"]])
            if "here" in event
            else next((what, event[what]["user"]) for what in ("join", "leave") if what in event)
            for event in self.told
        ]

    @property
    def view(self) -> set[Any]:
        """Who is there, as a client knows that keeps to what it is told; checks that joins and leaves alternate."""
        users: set[Any] = set()
        has_list = False
        for what, who in self.short:
            if what == "here":
                users, has_list = set(who), True
            elif what == "join":
                assert who not in users or not has_list
                users.add(who)
            else:
                assert who in users or not has_list
                users.discard(who)
        return users


class PresenceContract:
    """What holds for any process, alone or not."""

    #: Makes the backplane of one process.
    factory: Callable[[], Backplane]

    @pytest.fixture
    def make(self) -> Iterator[Callable[..., Station]]:
        """Makes a process."""
        stations = []

        def make(**options: Any) -> Station:
            stations.append(Station(type(self).factory(), **options))
            return stations[-1]

        yield make
        for station in stations:
            station.backplane.presence.stop(1.0)
            station.backplane.stop(1.0)

    @pytest.fixture
    def station(self, make: Callable[..., Station]) -> Station:
        return make()

    def test_the_first_and_the_last_socket_of_a_user(self, station: Station) -> None:
        one = station.enter("anna", "a")
        two = station.enter("anna", "b")
        eventually(lambda: station.here() == [("anna", 2)])
        one.leave()
        eventually(lambda: station.here() == [("anna", 1)])
        two.leave()
        eventually(lambda: station.here() == [])
        station.enter(7, "c")
        eventually(lambda: len(station.seen) == 3)
        assert station.seen == [("join", HALL, "anna"), ("leave", HALL, "anna"), ("join", HALL, 7)]

    def test_what_is_done_can_be_seen_at_once(self, station: Station) -> None:
        eventually(lambda: station.here() == [])
        guest = station.enter("anna", "a", "silent-1")
        assert station.here("silent-1") == [("anna", 1)]
        guest.leave()
        assert station.here("silent-1") == []

    def test_who_has_been_there_longest_is_first(self, station: Station) -> None:
        for number in range(12):
            station.enter(number, f"s{number}")
            gevent.sleep(0.002)
        station.enter(0, "again")
        presences = station.list()
        assert [one.user for one in presences] == list(range(12))
        assert abs(presences[0].since - time.time()) < 60
        assert [one.connections for one in presences] == [2] + [1] * 11

    def test_sockets_without_a_user(self, station: Station) -> None:
        one = station.enter(None, "a", "silent-1")
        station.enter(None, "b", "silent-1")
        one.leave()
        station.enter("anna", "c", "silent-1")
        eventually(lambda: ("join", "silent-1", "anna") in station.seen)
        assert station.here("silent-1") == [("anna", 1), (None, 1)]

    def test_places_are_apart(self, station: Station) -> None:
        for number, (channel, namespace) in enumerate([(HALL, "/"), ("hall-2", "/"), (HALL, "/chat")]):
            station.enter(number, f"s{number}", channel, namespace)
        eventually(lambda: len(station.seen) == 3)
        assert station.here() == [(0, 1)]
        assert station.here("hall-2") == [(1, 1)]
        assert station.here(HALL, "/chat") == [(2, 1)]

    @pytest.mark.parametrize("user", ["", "a\nb", '"', "€ 😀", "\ud800", "s-_x", -1, 2**63 - 1, 0])
    @pytest.mark.parametrize("channel", ["hall-\n€", "hall- ", "hall-}{"])
    def test_any_user_in_any_channel(self, station: Station, user: Any, channel: str) -> None:
        guest = station.enter(user, "a", channel)
        eventually(lambda: station.seen == [("join", channel, user)])
        assert [(one.user, one.connections) for one in station.list(channel)] == [(user, 1)]
        guest.leave()
        eventually(lambda: station.seen[1:] == [("leave", channel, user)])

    def test_a_subscriber_is_sent_the_list_before_what_is_newer(self, station: Station) -> None:
        anna = station.enter("anna", "a")
        eventually(lambda: anna.short == [("here", []), ("join", "anna")] or anna.short[-1:] == [("here", ["anna"])])
        bert = station.enter("bert", "b")
        eventually(lambda: anna.short[-1] == ("join", "bert") and bert.view == {"anna", "bert"})
        assert anna.told[-1]["channel"] == HALL
        assert abs(anna.told[-1]["join"]["since"] - time.time()) < 60
        anna.leave()
        eventually(lambda: bert.short[-1] == ("leave", "anna"))

    def test_a_silent_channel_is_told_to_handlers_only(self, station: Station) -> None:
        guest = station.enter("anna", "a", "silent-1")
        eventually(lambda: station.seen == [("join", "silent-1", "anna")])
        assert guest.told == []

    def test_one_who_is_back_in_time(self, make: Callable[..., Station]) -> None:
        station = make(grace=5.0)
        station.enter("anna", "a").leave()
        eventually(lambda: station.here() == [("anna", 0)])
        station.pass_time(4)
        guest = station.enter("anna", "b")
        station.pass_time(6)
        eventually(lambda: station.here() == [("anna", 1)])
        guest.leave()
        station.pass_time(6)
        eventually(lambda: len(station.seen) == 2)
        assert station.seen == [("join", HALL, "anna"), ("leave", HALL, "anna")]
        assert station.here() == []

    def test_joins_and_leaves_alternate(self, station: Station) -> None:
        for number in range(300):
            station.enter(number % 3, f"s{number}").leave()
            if number % 10 == 0:
                gevent.sleep(0.001)
        witness = station.enter("witness", "w")
        eventually(lambda: ("join", HALL, "witness") in station.seen)
        for user in range(3):
            kinds = [what for what, _, who in station.seen if who == user]
            assert kinds == ["join", "leave"] * (len(kinds) // 2)
        assert station.here() == [("witness", 1)]
        eventually(lambda: witness.view == {"witness"})

    def test_nothing_is_kept_where_nothing_was_declared(self, make: Callable[..., Station]) -> None:
        station = make(is_declared=False)
        station.enter("anna", "a")
        gevent.sleep(0.01)
        assert station.seen == []
        assert len(station.attendance) == 0
