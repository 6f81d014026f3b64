"""The heartbeat's arithmetic, with explicit times: pings every 25 seconds, 20 seconds to answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.engine.heartbeat import Beat, ClientHeartbeat, ServerHeartbeat
from webpy_socketio.errors import TransportMisused
from webpy_socketio.wire.packets import EngineType
from webpy_socketio.wire.prepared import PONG

PING, DEAD = Beat.PING, Beat.DEAD


def make(now: float = 0) -> ServerHeartbeat:
    """A heartbeat that starts at a time."""
    return ServerHeartbeat(25, 20, now)


def pinged(at: float = 25) -> ServerHeartbeat:
    """A heartbeat whose ping is out."""
    heart = make(at - 25)
    assert heart.due(at) is PING
    return heart


def test_first_ping() -> None:
    heart = make(100)
    assert heart.deadline == 125
    assert heart.due(124.9) is None
    assert heart.due(125) is PING


def test_ping_is_asked_for_once() -> None:
    heart = pinged()
    assert heart.deadline == 45
    assert [heart.due(25), heart.due(30), heart.due(44.9)] == [None] * 3


def test_silent_client_is_dead_after_interval_and_timeout() -> None:
    heart = pinged()
    assert heart.due(45) is DEAD
    assert heart.due(50) is DEAD


def test_pong_restarts_the_interval() -> None:
    heart = pinged()
    heart.hear(EngineType.PONG, 26)
    assert heart.deadline == 51
    assert heart.due(50.9) is None
    assert heart.due(51) is PING
    assert heart.deadline == 71


def test_pong_nobody_asked_for_restarts_the_interval_too() -> None:
    heart = make()
    heart.hear(EngineType.PONG, 10)
    assert heart.deadline == 35
    assert heart.due(25) is None
    assert heart.due(35) is PING


def test_pings_are_counted_from_the_pong_that_came_last() -> None:
    heart = pinged()
    heart.hear(EngineType.PONG, 26)
    heart.hear(EngineType.PONG, 40)
    assert heart.deadline == 65


@pytest.mark.parametrize(("late", "deadline"), [(0, 45), (0.5, 45), (9, 45), (10, 55), (100, 145)])
def test_late_timer(late: float, deadline: float) -> None:
    heart = make()
    assert heart.due(25 + late) is PING
    assert heart.deadline == deadline
    assert heart.deadline > 25 + late + 20 / 2


def test_message_extends_the_timeout_once_per_ping() -> None:
    heart = pinged()
    heart.sign_of_life(40)
    assert heart.deadline == 60
    heart.sign_of_life(55)
    assert heart.deadline == 60
    assert heart.due(60) is DEAD


def test_message_extends_the_timeout_of_each_ping() -> None:
    heart = pinged()
    heart.sign_of_life(40)
    heart.hear(EngineType.PONG, 50)
    assert heart.due(75) is PING
    heart.sign_of_life(90)
    assert heart.deadline == 110


def test_message_changes_nothing_between_pings() -> None:
    heart = make()
    heart.sign_of_life(10)
    assert heart.deadline == 25
    assert heart.due(25) is PING
    heart.hear(EngineType.PONG, 26)
    heart.sign_of_life(40)
    assert heart.deadline == 51


def test_message_between_pings_does_not_use_up_the_extension() -> None:
    heart = make()
    heart.sign_of_life(10)
    assert heart.due(25) is PING
    heart.sign_of_life(40)
    assert heart.deadline == 60


def test_upgrade_grants_an_unanswered_ping_its_whole_timeout() -> None:
    heart = pinged()
    heart.switched(44)
    assert heart.deadline == 64
    assert heart.due(64) is DEAD


def test_upgrade_leaves_the_interval_running() -> None:
    heart = make()
    heart.switched(20)
    assert heart.deadline == 25
    assert heart.due(25) is PING


def test_postponed() -> None:
    heart = pinged()
    heart.postpone(45)
    assert heart.deadline == 65
    assert heart.due(64) is None
    assert heart.due(65) is DEAD


def test_postponed_and_answered() -> None:
    heart = pinged()
    heart.postpone(45)
    heart.hear(EngineType.PONG, 46)
    assert heart.deadline == 71
    assert heart.due(71) is PING


@given(st.lists(st.tuples(st.sampled_from(["pong", "sign_of_life", "switched", "due"]), st.floats(0, 30))))
def test_never_two_pings_without_a_pong(steps: list[tuple[str, float]]) -> None:
    heart, now, awaiting = make(), 0.0, False
    for step, seconds in steps:
        now += seconds
        beat = heart.hear(EngineType.PONG, now) if step == "pong" else getattr(heart, step)(now)
        if step == "pong":
            awaiting = False
        elif beat is not None:
            assert beat is (DEAD if awaiting else PING)
            awaiting = True
            if beat is DEAD:
                return
        assert heart.deadline <= now + 25


@given(st.lists(st.floats(0.001, 44), max_size=50))
def test_silence_kills_whatever_else_comes(gaps: list[float]) -> None:
    heart, now = pinged(25), 25.0
    for seconds in gaps:
        now += seconds
        if heart.due(now) is DEAD:
            break
        heart.sign_of_life(now)
    assert heart.deadline <= 25 + 20 + 20


def test_a_client_of_revision_4_must_not_ping() -> None:
    with pytest.raises(TransportMisused):
        ServerHeartbeat(25, 20, 0).hear(EngineType.PING, 1)


def test_client_pings() -> None:
    heartbeat = ClientHeartbeat(25, 20, 0)
    assert heartbeat.due(44.9) is None
    assert heartbeat.hear(EngineType.PING, 40) is PONG
    heartbeat.sign_of_life(60)
    assert (heartbeat.due(84.9), heartbeat.due(85)) == (None, Beat.DEAD)


def test_client_has_its_time_anew_after_a_switch_and_a_pause() -> None:
    heartbeat = ClientHeartbeat(25, 20, 0)
    heartbeat.switched(30)
    assert heartbeat.look_again(31) == heartbeat.deadline == 75
    heartbeat.postpone(70)
    assert heartbeat.deadline == 115


def test_a_client_of_revision_3_must_not_pong() -> None:
    with pytest.raises(TransportMisused):
        ClientHeartbeat(25, 20, 0).hear(EngineType.PONG, 1)
