"""The outbox: order and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.engine.outbox import Outbox
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
