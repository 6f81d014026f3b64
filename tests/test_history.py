"""The history: what is kept, what is thrown away, and what is known of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.envelope import Selection
from webpy_socketio.history import OVERHEAD, History
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared

EVERYBODY = Selection()


def message(size: int = 20) -> Prepared:
    """An event whose size is counted as so many bytes."""
    return Prepared(b'2["message","' + b"x" * (size - 16) + b'"]')


def offset_of(prepared: Prepared) -> str:
    """What a client finds behind the arguments of an event."""
    return prepared.piece(V4).decode().rsplit('"', 2)[1]


def keep(history: History, count: int, now: float = 0) -> list[str]:
    """Keep some messages; return their offsets."""
    offsets = []
    for _ in range(count):
        prepared = message()
        history.keep(EVERYBODY, prepared, now)
        offsets.append(offset_of(prepared))
    return offsets


def test_empty() -> None:
    history = History(10, 1000)
    assert (history.last_number, history.lost_number, history.first_number, history.after(0)) == (0, 0, 1, [])


def test_an_event_carries_its_place() -> None:
    history = History(10, 10_000)
    offsets = keep(history, 3)
    assert len(set(offsets)) == 3
    assert [history.number_of(offset) for offset in offsets] == [1, 2, 3]
    assert [kept.number for kept in history.after(1)] == [2, 3]
    assert history.after(3) == history.after(9) == []


@pytest.mark.parametrize("offset", [None, 5, "", "1", "abcd1", ["x"], {"a": 1}, b"1"])
def test_an_offset_that_is_none_of_ours(offset: Any) -> None:
    history = History(10, 10_000)
    keep(history, 1)
    assert history.number_of(offset) == 0


@pytest.mark.parametrize("ending", ["", "x", "-1", "1.5", "\u0661", "9" * 16, " 1", "1\n"])
def test_an_offset_that_is_damaged(ending: str) -> None:
    history = History(10, 10_000)
    (offset,) = keep(history, 1)
    assert history.number_of(offset[:-1] + ending) == 0


def test_an_offset_of_another_process() -> None:
    one, other = History(10, 10_000), History(10, 10_000)
    (offset,) = keep(one, 1)
    assert other.number_of(offset) == 0


def test_old_messages_go_and_nobody_lost_them() -> None:
    history = History(10, 10_000)
    keep(history, 2, now=0)
    keep(history, 1, now=11)
    assert (history.first_number, history.lost_number) == (3, 0)
    assert [kept.number for kept in history.after(0)] == [3]


def test_messages_that_are_thrown_away_for_room_are_lost() -> None:
    history = History(10, 3 * (OVERHEAD + 20))
    keep(history, 5)
    assert (history.first_number, history.lost_number) == (3, 2)


def test_a_message_larger_than_all_there_is() -> None:
    history = History(10, OVERHEAD)
    keep(history, 1)
    assert (history.first_number, history.last_number, history.lost_number) == (2, 1, 1)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 6.0]), st.integers(20, 900)), max_size=40))
def test_like_a_list(steps: list[tuple[float, int]]) -> None:
    seconds, room, now = 10.0, 3_000, 0.0
    history = History(seconds, room)
    model: list[tuple[int, float, int]] = []
    lost = 0
    for number, (pause, size) in enumerate(steps, 1):
        now += pause
        assert history.keep(EVERYBODY, message(size), now) == number
        model.append((number, now, size))
        while model and (model[0][1] < now - seconds or sum(s + OVERHEAD for _, _, s in model) > room):
            gone = model.pop(0)
            lost = gone[0] if gone[1] >= now - seconds else lost
        numbers = [entry[0] for entry in model]
        assert history.lost_number == lost
        assert history.first_number == (numbers[0] if numbers else number + 1)
        for after in range(number + 2):
            assert [kept.number for kept in history.after(after)] == [n for n in numbers if n > after]
