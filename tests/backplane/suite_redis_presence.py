"""Presence over Redis keeps the promises of all registers, and those between processes; see ``suite_redis.py``."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import redis

from tests.backplane.presence_contract import HALL, Guest, PresenceContract, Station, Told, eventually
from webpy_socketio.backplane import redis_presence
from webpy_socketio.backplane.redis import RedisBackplane
from webpy_socketio.backplane.streams import StreamsBackplane
from webpy_socketio.errors import AckTimeout
from webpy_socketio.events import Events
from webpy_socketio.presences import Place
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.workers import Workers

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
BASE = "socket.io-{presence}#"
SECONDS = 1.0


def make_backplane(**options: Any) -> RedisBackplane:
    """A process that has not started yet, and is quick to notice."""
    settings = load_settings({"redis_url": URL, "redis_timeout": SECONDS, **options})
    return RedisBackplane(settings, str(settings.redis_url), Events(), Workers())


@pytest.fixture
def connection() -> Iterator[Any]:
    with redis.Redis.from_url(URL) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _nothing_is_left(connection: Any) -> Iterator[None]:
    connection.flushall()
    yield
    connection.flushall()


def make_streams() -> StreamsBackplane:
    """The same over a stream."""
    settings = load_settings({"redis_url": URL, "redis_timeout": SECONDS, "redis_adapter": "streams"})
    return StreamsBackplane(settings, URL, Events(), Workers())


class TestStreamsPresence(PresenceContract):
    """The suite of the contract."""

    factory = staticmethod(make_streams)


class TestRedisPresence(PresenceContract):
    """The suite of the contract."""

    factory = staticmethod(make_backplane)


@pytest.fixture
def make() -> Iterator[Callable[..., Station]]:
    """Makes processes of one cluster, which hear each other when they are there."""
    stations: list[Station] = []

    def make(grace: float = 0.0, **options: Any) -> Station:
        station = Station(make_backplane(**options), grace)
        stations.append(station)
        station.here()
        return station

    yield make
    for station in stations:
        station.backplane.stop(1)


def told(*stations: Station) -> list[Told]:
    """What the handlers of all processes saw."""
    return [one for station in stations for one in station.seen]


def die(station: Station) -> None:
    """End a process as kill -9 does: it says nothing any more."""
    station.backplane.presence._kill()  # type: ignore[attr-defined]
    station.backplane.presence._kill = None  # type: ignore[attr-defined]
    station.attendance.on_change = station.attendance.on_arrival = lambda place, what: None


def test_tabs_of_one_user_in_two_processes_are_one(make: Callable[..., Station]) -> None:
    one, two = make(), make()
    tabs = [one.enter("anna", "a"), two.enter("anna", "b"), two.enter("anna", "c")]
    watcher = one.enter("watcher", "w")
    for station in (one, two):
        eventually(lambda station=station: station.here() == [("anna", 3), ("watcher", 1)])
    for tab in tabs:
        tab.leave()
    eventually(lambda: len(told(one, two)) == 3)
    assert sorted(told(one, two)) == [("join", HALL, "anna"), ("join", HALL, "watcher"), ("leave", HALL, "anna")]
    eventually(lambda: watcher.view == {"watcher"})


def test_since_is_that_of_the_first(make: Callable[..., Station]) -> None:
    one, two = make(), make()
    first = one.enter("anna", "a")
    [since] = [presence.since for presence in one.list()]
    gevent.sleep(0.02)
    two.enter("anna", "b")
    first.leave()
    eventually(lambda: two.here() == [("anna", 1)] and one.here() == [("anna", 1)])
    assert [presence.since for presence in two.list()] == [since]


def test_all_clients_know_the_same_in_the_end(make: Callable[..., Station]) -> None:
    stations = [make() for _ in range(3)]
    watchers = [station.enter(f"watcher {number}", f"w{number}") for number, station in enumerate(stations)]
    chance = random.Random(7)

    def crowd(number: int) -> None:
        guests: list[Guest] = []
        for step in range(150):
            if guests and chance.random() < 0.5:
                guests.pop(chance.randrange(len(guests))).leave()
            else:
                guests.append(stations[number].enter(chance.randrange(4), f"{number}-{step}"))
            gevent.sleep(chance.random() * 0.003)

    gevent.joinall([gevent.spawn(crowd, number) for number in range(3)], raise_error=True)
    late = stations[0].enter("late", "l")
    eventually(lambda: all(watcher.short[-1] == ("join", "late") for watcher in watchers))
    expected = {user for user, _ in stations[0].here()}
    eventually(lambda: [client.view for client in (*watchers, late)] == [expected] * 4)
    eventually(lambda: all(station.here() == stations[0].here() for station in stations))
    # Each join, and each leave, was told to the handlers of one process only.
    events = [event for event in watchers[0].short if event[0] != "here" and not str(event[1]).startswith("watcher")]
    eventually(lambda: len([1 for _, _, user in told(*stations) if "watcher" not in str(user)]) == len(events))


def test_a_dead_process_is_swept_once(make: Callable[..., Station], connection: Any) -> None:
    one, two, dying = make(), make(), make()
    watchers = [one.enter("watcher", "w1"), two.enter("watcher", "w2")]
    for number in range(250):
        dying.enter(number, f"s{number}")
    dying.enter("watcher", "w3")
    one.enter(0, "tab elsewhere")
    eventually(lambda: len(one.here()) == 251 and len(told(one, two, dying)) == 251)
    die(dying)
    eventually(lambda: one.here() == [("watcher", 2), (0, 1)])
    eventually(lambda: connection.zcard(f"{BASE}processes") == 2)
    leaves = [user for what, _, user in told(one, two) if what == "leave"]
    assert sorted(leaves) == list(range(1, 250))
    for watcher in watchers:
        eventually(lambda watcher=watcher: watcher.view == {0, "watcher"})
    assert len(connection.keys(f"{BASE}of#*")) == 2


def test_a_process_that_was_taken_for_dead(make: Callable[..., Station], connection: Any) -> None:
    one, frozen = make(), make()
    watcher = one.enter("watcher", "w")
    guest = frozen.enter("anna", "a")
    frozen.enter("bert", "b")
    eventually(lambda: watcher.view == {"watcher", "anna", "bert"})
    frozen.backplane.presence._next_beat += 1000  # type: ignore[attr-defined]
    eventually(lambda: watcher.view == {"watcher"})
    guest.leave()
    eventually(lambda: watcher.view == {"watcher", "bert"})
    assert one.here() == frozen.here() == [("bert", 1), ("watcher", 1)]
    assert [who for what, who in watcher.short if what == "leave"].count("anna") == 1


def test_redis_forgets_everything(make: Callable[..., Station], connection: Any) -> None:
    one, two = make(), make()
    watcher = one.enter("watcher", "w")
    one.enter("anna", "a1")
    both = two.enter("anna", "a2")
    bert = two.enter("bert", "b")
    eventually(lambda: watcher.view == {"watcher", "anna", "bert"})
    eventually(lambda: len(told(one, two)) == 3)
    eventually(lambda: all(station.backplane.presence._processes == 2 for station in (one, two)))  # type: ignore[attr-defined]
    # What is new by then is told when all processes have said who was there, and is held against that.
    connection.flushall()
    both.leave()
    bert.leave()
    two.enter("carl", "c")
    eventually(lambda: one.here() == two.here() == [("anna", 1), ("carl", 1), ("watcher", 1)])
    eventually(lambda: watcher.view == {"watcher", "anna", "carl"})
    eventually(lambda: len(told(one, two)) == 5)
    assert sorted(told(one, two))[-2:] == [("join", HALL, "watcher"), ("leave", HALL, "bert")]


def test_a_process_that_was_there_before_redis_is_not_the_first(
    make: Callable[..., Station], connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_presence, "GRACE", 1.0)
    one = make()
    one.enter("anna", "a1")
    eventually(lambda: len(told(one)) == 1)
    connection.flushall()
    new = Station(make_backplane(), wait=False)
    new.backplane.presence._was_away = True  # type: ignore[attr-defined]
    new.enter("anna", "a2")
    eventually(lambda: new.here() == one.here() == [("anna", 2)])
    new.enter("end", "e")
    eventually(lambda: ("join", HALL, "end") in new.seen)
    assert sorted(told(one, new)) == [("join", HALL, "anna"), ("join", HALL, "end")]
    new.backplane.stop(1)


def test_more_than_fits_into_one_step(make: Callable[..., Station]) -> None:
    one, two = make(), make()
    for number in range(350):
        one.enter(number, f"s{number}", f"hall-{number}")
    eventually(lambda: len(one.seen) == 350)
    for number in range(0, 350, 70):
        eventually(lambda number=number: two.here(f"hall-{number}") == [(number, 1)])


def test_a_process_that_stops_leaves_the_others_to_wait(make: Callable[..., Station], connection: Any) -> None:
    one, stopping = make(grace=0.5), make(grace=0.5)
    watcher = one.enter("watcher", "w")
    guests = [stopping.enter("anna", "a"), stopping.enter("bert", "b")]
    eventually(lambda: watcher.view == {"watcher", "anna", "bert"})
    for guest in guests:
        guest.leave()
    stopping.backplane.stop(2)
    assert one.here() == [("anna", 0), ("bert", 0), ("watcher", 1)]
    one.enter("anna", "a again")
    eventually(lambda: watcher.view == {"watcher", "anna"})
    assert [user for what, _, user in told(one, stopping) if what == "leave"] == ["bert"]
    assert ("leave", "anna") not in watcher.short
    eventually(lambda: connection.zcard(f"{BASE}processes") == 1)


def test_nothing_stays_behind(make: Callable[..., Station], connection: Any) -> None:
    station = make()
    station.enter("anna", "a").leave()
    station.enter(None, "b", "silent-1").leave()
    eventually(lambda: len(connection.keys("*")) == 2)
    station.backplane.stop(2)
    assert connection.keys("*") == [f"{BASE}epoch".encode()]


def test_nothing_is_asked_of_redis_where_nothing_was_declared(connection: Any) -> None:
    station = Station(make_backplane(), is_declared=False)
    station.enter("anna", "a")
    assert connection.keys("*") == []
    station.backplane.stop(1)


def test_clients_get_the_list_again_when_something_may_be_missed(make: Callable[..., Station], connection: Any) -> None:
    one, two = make(), make()
    watcher = one.enter("watcher", "w")
    eventually(lambda: watcher.view == {"watcher"})
    count = len(watcher.told)
    connection.client_kill_filter(_type="pubsub")
    two.enter("anna", "a")
    eventually(lambda: watcher.view == {"watcher", "anna"})
    eventually(lambda: "here" in [what for what, _ in watcher.short[count:]])


def test_without_redis_it_is_known_who_is_here(caplog: pytest.LogCaptureFixture) -> None:
    station = Station(make_backplane(redis_url="redis://127.0.0.1:1"), wait=False)
    guest = station.enter("anna", "a")
    for number in range(50):
        station.enter(number, f"s{number}").leave()
    with pytest.raises(AckTimeout, match="Redis is not reached") as caught:
        station.list()
    assert [(one.user, one.connections) for one in caught.value.answers] == [("anna", 1)]
    register: Any = station.backplane.presence
    assert list(register._changed) == [(Place("/", HALL), '"anna"')], "only what is true now is to be told"
    assert register._arrived == {}
    assert (guest.told, station.seen) == ([], [])
    eventually(lambda: "presence is not shared" in caplog.text)
    station.backplane.stop(0.2)


def test_what_a_user_of_redis_has_to_be_allowed(make: Callable[..., Station], connection: Any) -> None:
    one = make()
    commands = ["-@all", "+publish", "+psubscribe", "+subscribe", "+unsubscribe", "+pubsub|numsub"]
    more = ["+eval", "+time", "+get", "+set", "+exists", "+hget", "+hset", "+hdel", "+hkeys", "+hgetall"]
    sets = ["+zadd", "+zscore", "+zcard", "+zrem", "+zrangebyscore"]
    connection.execute_command(
        "ACL", "SETUSER", "app", "on", ">pw", "resetchannels", "&socket.io*", "&socket.io#/*",
        "~socket.io-{presence}#*", *commands, *more, *sets,
    )  # fmt: skip
    two = make(redis_url=URL.replace("//", "//app:pw@"))
    watcher = one.enter("watcher", "w")
    guest = two.enter("anna", "a")
    eventually(lambda: guest.view == watcher.view == {"watcher", "anna"})
    guest.leave()
    eventually(lambda: watcher.view == {"watcher"})


def test_other_keys_are_other_clusters(make: Callable[..., Station]) -> None:
    one, apart = make(), make(redis_key="other{}*")
    one.enter("anna", "a")
    apart.enter("bert", "b")
    eventually(lambda: one.here() == [("anna", 1)] and apart.here() == [("bert", 1)])
