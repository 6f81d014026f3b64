"""Subscriptions: which channels are followed, and which messages were for the socket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.envelope import Selection
from webpy_socketio.history import History
from webpy_socketio.subscriptions import MOST_ENDED, Subscriptions
from webpy_socketio.wire.prepared import Prepared


def keep(history: History, now: float = 0) -> int:
    """One more message."""
    return history.keep(Selection(), Prepared(b'2["x"]'), now)


def test_an_ordered_set() -> None:
    channels = Subscriptions()
    for name in ("b", "a", "b", "c"):
        channels.add(name, 0)
    assert list(channels) == ["b", "a", "c"]
    assert "a" in channels
    assert channels.has_one_of(["x", "c"])
    assert not channels.has_one_of(["x"])
    assert channels.discard("a", None)
    assert not channels.discard("a", None)
    assert list(channels) == ["b", "c"]
    channels.clear()
    assert list(channels) == []


def test_one_that_is_not_granted_had_nothing() -> None:
    history, channels = History(10, 10_000), Subscriptions()
    channels.add("a", None)
    first = keep(history)
    assert "a" in channels
    assert not channels.had("a", first)
    channels.add("a", history.last_number)
    second = keep(history)
    assert (channels.had("a", first), channels.had("a", second)) == (False, True)


def test_one_that_is_not_granted_and_taken_back() -> None:
    history, channels = History(10, 10_000), Subscriptions()
    channels.add("a", None)
    number = keep(history)
    assert channels.discard("a", history)
    assert not channels.had("a", number)


def test_one_that_ended_had_what_came_before() -> None:
    history, channels = History(10, 10_000), Subscriptions()
    channels.add("a", history.last_number)
    before = keep(history)
    channels.discard("a", history)
    after = keep(history)
    assert (channels.had("a", before), channels.had("a", after), channels.had("b", before)) == (True, False, False)


def test_what_is_over_is_not_remembered_for_ever() -> None:
    history, channels = History(10, 10_000), Subscriptions()
    for moment in range(500):
        channels.add("a", history.last_number)
        keep(history, now=moment)
        channels.discard("a", history)
    assert channels._past is not None
    assert len(channels._past._order) == len(channels._past._spans["a"]) <= 12


def test_one_without_a_message_is_not_remembered_at_all() -> None:
    """Else a client that subscribes and unsubscribes could fill the memory while nobody says anything."""
    history, channels = History(10, 10_000), Subscriptions()
    keep(history)
    for _ in range(100):
        channels.add("a", history.last_number)
        channels.discard("a", history)
    assert channels._past is None


def test_too_many_that_ended_are_forgotten_and_that_is_known() -> None:
    history, channels = History(10, 10_000_000), Subscriptions()
    for number in range(MOST_ENDED + 1):
        channels.add(f"channel {number}", history.last_number)
    first = keep(history)
    for number in range(MOST_ENDED):
        channels.discard(f"channel {number}", history)
    assert (channels.forgotten_number, channels.had("channel 0", first)) == (0, True)
    second = keep(history)
    channels.discard(f"channel {MOST_ENDED}", history)
    assert (channels.forgotten_number, channels.had("channel 0", first)) == (first, False)
    assert channels.had(f"channel {MOST_ENDED}", second)


def test_ending_many_and_asking_for_them_takes_no_longer_each() -> None:
    """A client may do so as often as it likes."""
    history, channels = History(10, 100_000_000), Subscriptions()
    numbers = []
    for _ in range(MOST_ENDED):
        channels.add("a", history.last_number)
        numbers.append(keep(history))
        channels.discard("a", history)
        keep(history)
    assert all(channels.had("a", number) for number in numbers)
    assert not any(channels.had("a", number + 1) for number in numbers)


def test_a_subscription_that_is_not_granted_reaches_nobody() -> None:
    channels = Subscriptions()
    channels.add("a", None)
    assert not channels.has_one_of(["a", "b"])
    channels.add("a", 0)
    assert channels.has_one_of(["b", "a"])


@given(st.lists(st.tuples(st.sampled_from(["add", "propose", "discard", "send"]), st.sampled_from("ab")), max_size=40))
def test_like_a_diary(steps: list[tuple[str, str]]) -> None:
    history, channels = History(10, 1_000_000), Subscriptions()
    state: dict[str, bool] = {}  # whether each channel that is followed was granted
    heard: set[tuple[str, int]] = set()
    for step, name in steps:
        if step == "add":
            channels.add(name, history.last_number)
            state[name] = True
        elif step == "propose":
            channels.add(name, None)
            state.setdefault(name, False)
        elif step == "discard":
            assert channels.discard(name, history) == (name in state)
            state.pop(name, None)
        else:
            number = keep(history)
            heard |= {(channel, number) for channel, granted in state.items() if granted}
        assert list(channels) == list(state)
        numbers = range(history.last_number + 1)
        assert {(channel, n) for channel in "ab" for n in numbers if channels.had(channel, n)} == heard


def test_what_is_still_being_decided_is_not_granted() -> None:
    subscriptions = Subscriptions()
    subscriptions.add("granted", 0)
    subscriptions.add("asked for", None)
    assert (list(subscriptions), subscriptions.granted) == (["granted", "asked for"], ["granted"])
