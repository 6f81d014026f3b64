"""Which of the packets that wait are dropped, and in which order."""

from __future__ import annotations

from webpy_socketio.engine.droppables import Droppables
from webpy_socketio.overflow import DROP_NEWEST, DROP_OLDEST, LATEST, WAIT, Overflow

OLD, NEW = Overflow(DROP_OLDEST, 5), Overflow(DROP_NEWEST, 5)


def latest(identity: str) -> Overflow:
    return Overflow(LATEST, 5, identity)


def test_each_policy_has_its_end() -> None:
    droppables = Droppables()
    for place, overflow in ((3, NEW), (4, OLD), (7, latest("a")), (8, NEW), (9, Overflow(WAIT, 5))):
        droppables.add(place, overflow)
    assert (droppables.oldest, droppables.newest) == (4, 8)
    droppables.discard(4, OLD)
    droppables.discard(8, NEW)
    assert (droppables.oldest, droppables.newest) == (7, 3)
    droppables.discard(7, latest("a"))
    droppables.discard(3, NEW)
    assert (droppables.oldest, droppables.newest) == (None, None)


def test_the_oldest_is_found_after_a_long_time_without_any() -> None:
    droppables = Droppables()
    droppables.add(1, OLD)
    droppables.discard(1, OLD)
    droppables.add(10**15, OLD)  # to count up to there would take for ever
    assert droppables.oldest == 10**15


def test_places_by_identity() -> None:
    droppables = Droppables()
    droppables.add(1, latest("a"))
    assert (droppables.place_of("a"), droppables.place_of("b")) == (1, None)
    droppables.discard(1, latest("a"))
    assert droppables.place_of("a") is None
