"""The session: its table of states, what it makes of packets, its outbox and its heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webpy_socketio.engine.session import NEXT, Session, State, Step
from webpy_socketio.errors import TransportMisused
from webpy_socketio.overflow import DROP_NEWEST, DROP_OLDEST, LATEST, WAIT, Overflow
from webpy_socketio.reasons import FORCED_CLOSE, PING_TIMEOUT, SLOW, TRANSPORT_CLOSE, TRANSPORT_ERROR
from webpy_socketio.settings import Settings, load_settings
from webpy_socketio.wire.dialects import V3, V4
from webpy_socketio.wire.packets import EnginePacket, EngineType
from webpy_socketio.wire.prepared import PING, Prepared

OPENING, OPEN, PROBING, CLOSING, CLOSED = State
SETTINGS = load_settings({"ping_interval": 25, "ping_timeout": 20, "max_outbox_packets": 3, "max_outbox_bytes": 100})

LEGAL = {
    (OPENING, Step.OPEN): OPEN,
    (OPENING, Step.END): CLOSED,
    (OPEN, Step.PROBE): PROBING,
    (OPEN, Step.UPGRADE): OPEN,
    (OPEN, Step.ABANDON): OPEN,
    (OPEN, Step.CLOSE): CLOSING,
    (OPEN, Step.END): CLOSED,
    (PROBING, Step.PROBE): PROBING,
    (PROBING, Step.UPGRADE): OPEN,
    (PROBING, Step.ABANDON): OPEN,
    (PROBING, Step.CLOSE): CLOSING,
    (PROBING, Step.END): CLOSED,
    (CLOSING, Step.ABANDON): CLOSING,
    (CLOSING, Step.CLOSE): CLOSING,
    (CLOSING, Step.END): CLOSED,
    (CLOSED, Step.ABANDON): CLOSED,
    (CLOSED, Step.CLOSE): CLOSED,
    (CLOSED, Step.END): CLOSED,
}
ILLEGAL = [(state, step) for state in State for step in Step if (state, step) not in LEGAL]


class Carrier:
    """A transport that takes what it is given, if it is given anything."""

    def __init__(self, session: Session, *, takes: bool) -> None:
        self.written: list[Prepared] = []
        self.woken: list[State] = []
        self._session = session
        session.wake = self._wake
        if takes:
            session.write = self.written.append

    def _wake(self) -> None:
        self.woken.append(self._session.state)


def make(state: State = OPEN, settings: Settings = SETTINGS) -> Session:
    """A session that started at the time 0, in a state."""
    session = Session("sid", V4, "polling", settings, 0)
    session.state = state
    return session


# The table


@pytest.mark.parametrize(("state", "step"), LEGAL)
def test_legal_step(state: State, step: Step) -> None:
    session = make(state)
    session.step(step)
    assert session.state is LEGAL[state, step]


@pytest.mark.parametrize(("state", "step"), ILLEGAL)
def test_illegal_step(state: State, step: Step) -> None:
    session = make(state)
    with pytest.raises(RuntimeError, match=f"{state.value} cannot {step.value}"):
        session.step(step)
    assert session.state is state


def test_table_is_exactly_the_legal_steps() -> None:
    assert {(state, step): after for state, row in NEXT.items() for step, after in row.items()} == LEGAL


def test_starts_opening() -> None:
    session = Session("sid", V4, "websocket", SETTINGS, 0)
    assert (session.state, session.is_open, session.reason) == (OPENING, False, None)
    assert (session.sid, session.dialect, session.transport) == ("sid", V4, "websocket")


@pytest.mark.parametrize("state", State)
def test_is_open(state: State) -> None:
    assert make(state).is_open == (state in (OPEN, PROBING))


# Packets from the client


@pytest.mark.parametrize("state", [OPEN, PROBING])
@pytest.mark.parametrize("data", ["hello", "", b"\x01", b""])
def test_message(state: State, data: str | bytes) -> None:
    assert make(state).receive(EnginePacket(EngineType.MESSAGE, data), 1) == data


@pytest.mark.parametrize("state", [OPENING, CLOSING, CLOSED])
@pytest.mark.parametrize("data", ["hello", b"\x01"])
def test_message_outside_of_the_open_states(state: State, data: str | bytes) -> None:
    assert make(state).receive(EnginePacket(EngineType.MESSAGE, data), 1) is None


@pytest.mark.parametrize("data", ["", "probe", "x"])
def test_ping_goes_the_wrong_way(data: str) -> None:
    session = make()
    with pytest.raises(TransportMisused):
        session.receive(EnginePacket(EngineType.PING, data), 1)
    assert session.state is OPEN


@pytest.mark.parametrize("data", ["", "x"])
def test_close(data: str) -> None:
    session = make()
    assert session.receive(EnginePacket(EngineType.CLOSE, data), 1) is TRANSPORT_CLOSE


@pytest.mark.parametrize("kind", [EngineType.OPEN, EngineType.UPGRADE, EngineType.NOOP])
def test_packet_that_means_nothing(kind: EngineType) -> None:
    session = make()
    assert session.receive(EnginePacket(kind, "x"), 20) is None
    assert session.state is OPEN
    assert session.heartbeat.deadline == 25


def test_pong_restarts_the_interval() -> None:
    session = make()
    assert session.receive(EnginePacket(EngineType.PONG), 10) is None
    assert session.heartbeat.deadline == 35


def test_message_extends_the_timeout_once() -> None:
    session = make()
    assert session.tick(25)
    session.receive(EnginePacket(EngineType.MESSAGE, "x"), 40)
    assert session.heartbeat.deadline == 60
    session.receive(EnginePacket(EngineType.MESSAGE, "y"), 50)
    assert session.heartbeat.deadline == 60


# Sending


def test_carrier_that_takes_gets_it_at_once() -> None:
    session = make()
    carrier = Carrier(session, takes=True)
    packets = [Prepared(b"a"), Prepared(b"b")]
    assert all(session.send(packet) for packet in packets)
    assert carrier.written == packets
    assert len(session.outbox) == 0
    assert carrier.woken == []


def test_carrier_that_does_not_is_woken() -> None:
    session = make()
    carrier = Carrier(session, takes=False)
    packets = [Prepared(b"a"), Prepared(b"b")]
    assert all(session.send(packet) for packet in packets)
    assert carrier.woken == [OPEN, OPEN]
    assert session.outbox.take() == packets


def test_nobody_carries_it() -> None:
    session = make(PROBING)
    packet = Prepared(b"a")
    assert session.send(packet)
    assert session.outbox.take() == [packet]


@pytest.mark.parametrize("state", [OPENING, CLOSING, CLOSED])
def test_nothing_is_sent_outside_of_the_open_states(state: State) -> None:
    session = make(state)
    carrier = Carrier(session, takes=False)
    assert not session.send(Prepared(b"a"))
    assert len(session.outbox) == 0
    assert carrier.woken == []
    assert session.reason is None


@pytest.mark.parametrize("finish", [lambda session: session.close(FORCED_CLOSE), lambda session: session.end(SLOW)])
def test_carrier_gets_nothing_after_the_end(finish: Callable[[Session], None]) -> None:
    session = make()
    carrier = Carrier(session, takes=True)
    finish(session)
    assert not session.send(Prepared(b"a"))
    assert carrier.written == []


@pytest.mark.parametrize("packets", [[b"", b"", b"", b""], [b"x" * 50, b"x" * 60], [b"x" * 500, b""]])
def test_client_that_does_not_read_is_slow(packets: list[bytes]) -> None:
    session = make()
    carrier = Carrier(session, takes=False)
    *fitting, last = map(Prepared, packets)
    assert all(session.send(packet) for packet in fitting)
    assert not session.send(last)
    assert (session.state, session.reason) == (CLOSED, SLOW)
    assert str(session.reason) == "slow"
    assert (len(session.outbox), session.outbox.size) == (0, 0)
    assert carrier.woken[-1] is CLOSED
    assert not session.send(last)


def test_slow_while_probing() -> None:
    session = make(PROBING)
    for _ in range(4):
        session.send(Prepared(b""))
    assert (session.state, session.reason) == (CLOSED, SLOW)


# What does not fit, and need not be sent


class Notes:
    """A session whose outbox takes three packets, or 100 bytes, and what it told of those that it did not take."""

    def __init__(self) -> None:
        self.session = make()
        self.told: list[str] = []
        self.session.on_overflow = lambda session, policy: self.told.append(policy)

    def send(self, name: str, policy: str | None = None, identity: str | None = None) -> bool:
        """Send a packet with a policy."""
        prepared = Prepared(name.encode())
        prepared.overflow = None if policy is None else Overflow(policy, 5, identity)
        return self.session.send(prepared)

    @property
    def waiting(self) -> list[str]:
        """The packets that wait."""
        return [prepared.text.decode() for prepared in self.session.outbox.take()]  # type: ignore[union-attr]


def test_the_oldest_are_dropped() -> None:
    notes = Notes()
    assert all(notes.send(name, DROP_OLDEST) for name in "abcde")
    assert (notes.waiting, notes.told) == (["c", "d", "e"], [DROP_OLDEST] * 2)


def test_as_many_are_dropped_as_a_large_one_takes() -> None:
    notes = Notes()
    assert all(notes.send(name, DROP_OLDEST) for name in ("a" * 30, "b" * 30, "c" * 30, "d" * 60))
    assert (notes.waiting, notes.told) == (["c" * 30, "d" * 60], [DROP_OLDEST] * 2)


def test_the_newest_are_dropped() -> None:
    notes = Notes()
    assert all(notes.send(name, DROP_NEWEST) for name in "abcde")
    assert (notes.waiting, notes.told) == (["a", "b", "c"], [DROP_NEWEST] * 2)


def test_the_latest_counts_even_before_the_outbox_is_full() -> None:
    notes = Notes()
    for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a")):
        assert notes.send(name, LATEST, key)
    assert (notes.waiting, notes.told) == (["a2", "b1"], [LATEST])


def test_the_oldest_goes_where_more_keys_are_than_fit() -> None:
    notes = Notes()
    assert all(notes.send(name, LATEST, name) for name in "abcd")
    assert (notes.waiting, notes.told) == (["b", "c", "d"], [LATEST])


def test_a_latest_that_is_larger_makes_room_for_itself() -> None:
    notes = Notes()
    for name, key in (("a", "a"), ("b" * 60, "b"), ("c", "c"), ("c" * 60, "c")):
        assert notes.send(name, LATEST, key)
    assert (notes.waiting, notes.told) == (["c" * 60], [LATEST] * 3)


def test_nothing_is_dropped_for_a_newer_one_that_may_not_be() -> None:
    notes = Notes()
    assert all(notes.send(name) for name in "abc")
    assert notes.send("d", DROP_OLDEST)
    assert notes.send("e", LATEST, "e")
    assert (notes.waiting, notes.told) == (["a", "b", "c"], [DROP_OLDEST, LATEST])


def test_what_was_kept_instead_of_the_newest_stays() -> None:
    notes = Notes()
    assert all(notes.send(name, DROP_NEWEST) for name in "abc")
    assert notes.send("d", DROP_OLDEST)
    assert (notes.waiting, notes.told) == (["a", "b", "c"], [DROP_OLDEST])


def test_what_may_be_dropped_gives_way_to_what_may_not() -> None:
    notes = Notes()
    for name, policy in (("a", DROP_NEWEST), ("b", DROP_NEWEST), ("c", DROP_OLDEST)):
        assert notes.send(name, policy)
    assert notes.send("answer")
    notes.session.tick(25)
    assert notes.waiting == ["a", "answer", ""]
    assert notes.told == [DROP_OLDEST, DROP_NEWEST]
    assert notes.session.is_open


def test_with_nothing_to_drop_the_client_is_slow() -> None:
    notes = Notes()
    assert all(notes.send(name) for name in "abc")
    assert not notes.send("d")
    assert (notes.session.reason, notes.told) == (SLOW, ["disconnect"])


def test_what_its_sender_waits_with_keeps_its_place() -> None:
    notes = Notes()
    assert all(notes.send(name, WAIT) for name in "abcd")
    assert notes.session.outbox.is_over
    assert (notes.waiting, notes.told) == (["a", "b", "c", "d"], [WAIT])


# The heartbeat


def test_tick_pings() -> None:
    session = make()
    carrier = Carrier(session, takes=True)
    assert session.tick(24.9)
    assert carrier.written == []
    assert session.tick(25)
    assert carrier.written == [PING]
    assert session.tick(30)
    assert carrier.written == [PING]


def test_ping_waits_for_a_poll_while_the_timeout_runs() -> None:
    session = make()
    assert session.tick(25)
    assert session.outbox.take() == [PING]
    assert session.heartbeat.deadline == 45


def test_silent_client() -> None:
    session = make()
    assert session.tick(25)
    assert session.tick(44.9)
    assert not session.tick(45)


def test_answering_client() -> None:
    session = make()
    carrier = Carrier(session, takes=True)
    now = 0.0
    for beats in range(1, 4):
        now += 25
        assert session.tick(now)
        assert carrier.written == [PING] * beats
        now += 1
        session.receive(EnginePacket(EngineType.PONG), now)


def test_client_that_we_do_not_read_from_is_not_dead() -> None:
    session = make()
    session.tick(25)
    session.paused = True
    assert session.tick(45)
    assert session.heartbeat.deadline == 65
    session.paused = False
    assert session.tick(64)
    assert not session.tick(65)


def test_ping_that_finds_the_outbox_full() -> None:
    session = make()
    for _ in range(3):
        session.send(Prepared(b""))
    session.tick(25)
    assert (session.state, session.reason) == (CLOSED, SLOW)


# The upgrade


@pytest.mark.parametrize("state", [OPEN, PROBING])
def test_upgrade(state: State) -> None:
    session = make(state)
    session.candidate = object()
    session.send(Prepared(b"kept"))
    session.upgrade("websocket", 10)
    assert (session.state, session.transport, session.candidate) == (OPEN, "websocket", None)
    assert len(session.outbox) == 1
    assert session.heartbeat.deadline == 25


def test_upgrade_with_a_ping_unanswered() -> None:
    session = make(PROBING)
    session.tick(25)
    session.upgrade("websocket", 44)
    assert session.heartbeat.deadline == 64


@pytest.mark.parametrize("state", [OPENING, CLOSING, CLOSED])
def test_upgrade_of_a_session_that_is_over(state: State) -> None:
    session = make(state)
    with pytest.raises(RuntimeError):
        session.upgrade("websocket", 10)
    assert session.transport == "polling"


@pytest.mark.parametrize(("state", "after"), [(OPEN, OPEN), (PROBING, OPEN), (CLOSING, CLOSING), (CLOSED, CLOSED)])
def test_abandon(state: State, after: State) -> None:
    session = make(state)
    session.candidate = object()
    session.abandon()
    assert (session.state, session.transport, session.candidate) == (after, "polling", None)


# The end


@pytest.mark.parametrize("state", [OPEN, PROBING])
def test_close_keeps_what_is_queued(state: State) -> None:
    session = make(state)
    packet = Prepared(b"a")
    session.send(packet)
    carrier = Carrier(session, takes=False)
    session.close(FORCED_CLOSE)
    assert (session.state, session.reason) == (CLOSING, FORCED_CLOSE)
    assert carrier.woken == [CLOSING]
    assert session.outbox.take() == [packet]


@pytest.mark.parametrize("state", [OPENING, CLOSING, CLOSED])
def test_close_of_what_is_not_open(state: State) -> None:
    session = make(state)
    carrier = Carrier(session, takes=False)
    session.close(FORCED_CLOSE)
    assert (session.state, session.reason, carrier.woken) == (state, None, [])


@pytest.mark.parametrize("state", [OPENING, OPEN, PROBING, CLOSING])
def test_end_throws_away_what_is_queued(state: State) -> None:
    session = make()
    session.send(Prepared(b"a"))
    session.state = state
    carrier = Carrier(session, takes=True)
    session.end(PING_TIMEOUT)
    assert (session.state, session.reason) == (CLOSED, PING_TIMEOUT)
    assert session.write is None
    assert len(session.outbox) == 0
    assert carrier.woken == [CLOSED]


def test_end_happens_once() -> None:
    session = make()
    carrier = Carrier(session, takes=False)
    session.end(PING_TIMEOUT)
    session.end(TRANSPORT_ERROR)
    session.close(FORCED_CLOSE)
    assert session.reason is PING_TIMEOUT
    assert carrier.woken == [CLOSED]


def test_first_reason_stays() -> None:
    session = make()
    session.close(FORCED_CLOSE)
    session.end(TRANSPORT_ERROR)
    assert (session.state, session.reason) == (CLOSED, FORCED_CLOSE)


def test_log_shows_too_little_of_the_id_to_take_it_over() -> None:
    sid = "abcdefghijklmnopqrst"
    shown = str(Session(sid, V4, "polling", SETTINGS, 0))
    assert shown.startswith("session abc")
    assert sid[:10] not in shown


def test_no_attributes_by_accident() -> None:
    session: Any = make()
    with pytest.raises(AttributeError):
        session.transprot = "websocket"


def test_who_is_not_read_from_is_pinged_all_the_same() -> None:
    """Else the client would give up the server, after the interval and the timeout."""
    session = make()
    session.paused = True
    times = [now for now in range(200) if session.tick(now) and session.outbox.take()]
    assert times == list(range(25, 200, 20))


def test_who_has_to_ping_is_not_pinged() -> None:
    session = Session("sid", V3, "websocket", SETTINGS, 0)
    session.step(Step.OPEN)
    session.paused = True
    assert all(session.tick(now) for now in range(200))
    assert len(session.outbox) == 0
