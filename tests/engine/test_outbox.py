"""The outbox: order and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.engine.outbox import Outbox
from webpy_socketio.overflow import DROP_NEWEST, DROP_OLDEST, LATEST, Overflow
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared


def packet(size: int) -> Prepared:
    """A packet that takes so many bytes."""
    prepared = Prepared(b"x" * (size - 1))
    assert prepared.size == size
    return prepared


def filled(*sizes: int, max_packets: int = 100, max_bytes: int = 1000) -> tuple[Outbox, list[Prepared]]:
    """An outbox with packets of these sizes, and the packets."""
    outbox = Outbox(max_packets, max_bytes)
    packets = [packet(size) for size in sizes]
    assert all(outbox.append(item) for item in packets)
    return outbox, packets


def test_order() -> None:
    outbox, packets = filled(1, 2, 3)
    assert (len(outbox), outbox.size) == (3, 6)
    assert outbox.take() == packets
    assert (len(outbox), outbox.size) == (0, 0)
    assert not outbox


def test_nothing_to_take() -> None:
    outbox = Outbox(1, 1)
    assert outbox.take() == []
    assert outbox.take(10) == []


def test_bound_of_packets() -> None:
    outbox, packets = filled(1, 1, max_packets=2)
    assert not outbox.append(packet(1))
    assert (len(outbox), outbox.size) == (2, 2)
    assert outbox.take() == packets
    assert outbox.append(packet(1))


def test_bound_of_bytes() -> None:
    outbox, _ = filled(6, max_bytes=10)
    assert not outbox.append(packet(5))
    assert outbox.append(packet(4))
    assert outbox.size == 10
    assert not outbox.append(packet(1))


def test_large_packet_is_taken_alone() -> None:
    outbox, packets = filled(500, max_bytes=10)
    assert not outbox.append(packet(1))
    assert outbox.take() == packets


def test_large_packet_behind_another_is_not() -> None:
    outbox, _ = filled(1, max_bytes=10)
    assert not outbox.append(packet(500))
    assert outbox.size == 1


@pytest.mark.parametrize(
    ("sizes", "max_bytes", "count"),
    [
        ([3, 3, 3], 9, 3),
        ([3, 3, 3], 100, 3),
        ([3, 3, 3], 8, 2),
        ([3, 3, 3], 6, 2),
        ([3, 3, 3], 5, 1),
        ([3, 3, 3], 1, 1),
        ([3, 3, 3], 0, 1),
        ([500, 1], 10, 1),
        ([1, 500], 10, 1),
    ],
)
def test_take_some(sizes: list[int], max_bytes: int, count: int) -> None:
    outbox, packets = filled(*sizes)
    assert outbox.take(max_bytes) == packets[:count]
    assert (len(outbox), outbox.size) == (len(sizes) - count, sum(sizes[count:]))
    assert outbox.take() == packets[count:]


def test_frames_that_others_got_count_too() -> None:
    """They are kept for the next who asks for them, beside the text."""
    outbox, _ = filled(5, max_bytes=30)
    sent = packet(10)
    assert len(sent.frames(V4)) == 12
    assert outbox.append(sent)
    assert outbox.size == 27
    assert not outbox.append(packet(4))
    outbox.take(5)
    assert outbox.size == 22


def test_what_is_taken_is_what_was_counted() -> None:
    outbox, packets = filled(10, 10)
    packets[0].frames(V4)
    assert outbox.take(10) == packets[:1]
    assert outbox.size == 10


def test_taken_list_is_not_changed_by_later_packets() -> None:
    outbox, packets = filled(1)
    taken = outbox.take()
    outbox.append(packet(2))
    assert taken == packets


def test_clear() -> None:
    outbox, _ = filled(1, 2)
    outbox.clear()
    assert (len(outbox), outbox.size, outbox.take()) == (0, 0, [])


operations = st.lists(st.integers(1, 20).map(lambda n: ("append", n)) | st.integers(0, 40).map(lambda n: ("take", n)))


@given(operations)
def test_nothing_is_lost_doubled_or_reordered(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox(5, 50)
    accepted: list[Prepared] = []
    taken: list[Prepared] = []
    for step, number in steps:
        if step == "append":
            item = packet(number)
            if outbox.append(item):
                accepted.append(item)
        else:
            taken += outbox.take(number)
        assert len(outbox) <= 5
        assert outbox.size <= 50
        assert outbox.size == sum(item.size for item in accepted[len(taken) :])
    assert taken + outbox.take() == accepted


def test_room() -> None:
    outbox, _ = filled(100, 200, max_packets=4, max_bytes=1000)
    assert outbox.has_room(2, 700)
    assert not outbox.has_room(3, 1)
    assert not outbox.has_room(1, 701)


# Dropping


def droppable(size: int, policy: str, identity: str | None = None) -> Prepared:
    """A packet that takes so many bytes and may be dropped."""
    prepared = packet(size)
    prepared.overflow = Overflow(policy, 5, identity)
    return prepared


def test_what_may_be_dropped_is_found_between_what_may_not() -> None:
    outbox, packets = filled(1, 2)
    waiting = [droppable(3, DROP_NEWEST), droppable(4, DROP_OLDEST), packet(5), droppable(6, DROP_OLDEST)]
    waiting.append(droppable(7, DROP_NEWEST))
    assert all(outbox.append(item) for item in waiting)
    assert outbox.drop_oldest() is waiting[1].overflow
    assert outbox.drop_newest() is waiting[4].overflow
    assert (len(outbox), outbox.size) == (5, 17)
    assert outbox.take() == [*packets, waiting[0], waiting[2], waiting[3]]
    assert (outbox.drop_oldest(), outbox.drop_newest()) == (None, None)


def test_what_was_taken_is_not_dropped() -> None:
    outbox, _ = filled()
    first, second = droppable(5, DROP_OLDEST), droppable(5, DROP_OLDEST)
    outbox.append(first)
    outbox.append(second)
    assert outbox.take(5) == [first]
    assert outbox.drop_oldest() is second.overflow
    assert outbox.drop_oldest() is None


def test_a_newer_packet_takes_the_place_of_an_older() -> None:
    outbox, [before] = filled(1)
    old, other, new = droppable(10, LATEST, "a"), droppable(10, LATEST, "b"), droppable(30, LATEST, "a")
    assert not outbox.supersede(old)
    outbox.append(old)
    outbox.append(other)
    assert outbox.supersede(new)
    assert (len(outbox), outbox.size) == (3, 41)
    assert outbox.take() == [before, new, other]
    assert not outbox.supersede(new)


def test_one_with_an_offset_goes_to_the_end() -> None:
    """A client that got it tells its offset, and is taken to have everything up to there."""
    outbox, _ = filled()
    old, other, new = droppable(10, LATEST, "a"), droppable(10, LATEST, "b"), droppable(30, LATEST, "a")
    for number, item in enumerate((old, other, new)):
        item.stamp(str(number))
    outbox.append(old)
    outbox.append(other)
    assert outbox.supersede(new)
    assert outbox.size == 40
    assert outbox.take() == [other, new]


def test_what_was_taken_is_not_superseded() -> None:
    outbox, _ = filled()
    first, second = droppable(5, LATEST, "a"), droppable(5, LATEST, "b")
    outbox.append(first)
    outbox.append(second)
    outbox.take(5)
    assert not outbox.supersede(droppable(5, LATEST, "a"))
    assert outbox.supersede(droppable(5, LATEST, "b"))


def test_room_is_told_of_once() -> None:
    outbox, _ = filled(6, 4, max_bytes=10)
    outbox.append_beyond(packet(3))
    assert (outbox.is_over, outbox.size) == (True, 13)
    told: list[str] = []
    outbox.when_room(lambda: told.append("a"))
    outbox.append_beyond(packet(9))
    outbox.take(6)
    assert told == []
    outbox.take(4)
    assert outbox.is_over
    outbox.take(3)
    assert (outbox.is_over, told) == (False, ["a"])
    outbox.take()
    assert told == ["a"]


def test_who_waits_for_room_is_told_of_drops_and_of_the_end() -> None:
    told: list[str] = []
    outbox, _ = filled(max_bytes=10)
    outbox.append(droppable(10, DROP_OLDEST))
    outbox.append_beyond(packet(3))
    outbox.when_room(lambda: told.append("drop"))
    outbox.drop_oldest()
    outbox.append_beyond(packet(10))
    outbox.when_room(lambda: told.append("end"))
    outbox.clear()
    assert told == ["drop", "end"]


def test_one_packet_alone_is_not_too_much() -> None:
    outbox, _ = filled(500, max_bytes=10)
    assert not outbox.is_over


droppings = st.lists(
    st.tuples(st.sampled_from([None, DROP_OLDEST, DROP_NEWEST]), st.integers(1, 20))
    | st.sampled_from(["oldest", "newest"])
    | st.integers(0, 40)
)


@given(droppings)
def test_drops_are_those_of_a_plain_list(steps: list[tuple[str | None, int] | str | int]) -> None:
    outbox = Outbox(100, 10_000)
    model: list[Prepared] = []

    def drop(policy: str, index: int) -> None:
        candidates = [item for item in model if item.overflow is not None and item.overflow.policy == policy]
        dropped = outbox.drop_oldest() if policy == DROP_OLDEST else outbox.drop_newest()
        assert (dropped is None) == (not candidates)
        if candidates:
            model.remove(candidates[index])

    for step in steps:
        if step == "oldest":
            drop(DROP_OLDEST, 0)
        elif step == "newest":
            drop(DROP_NEWEST, -1)
        elif isinstance(step, int):
            taken = outbox.take(step)
            assert taken == model[: len(taken)]
            del model[: len(taken)]
        else:
            policy, size = step
            item = packet(size) if policy is None else droppable(size, policy)
            outbox.append(item)
            model.append(item)
        assert (len(outbox), outbox.size) == (len(model), sum(item.size for item in model))
    assert outbox.take() == model
