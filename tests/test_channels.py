"""Who follows which channel."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeMember
from webpy_socketio.channels import Membership


def populate(**channels: str) -> Membership:
    """A membership of ``a`` to ``d``; each channel is given with its followers."""
    membership = Membership()
    for sid in "abcd":
        membership.join(FakeMember(None, sid), ())
    for channel, sids in channels.items():
        for sid in sids:
            assert membership.add(channel, sid)
    return membership


def selected(
    membership: Membership,
    channels: Collection[str] = (),
    excluded: Collection[str] = (),
) -> str:
    """The ids of who is selected."""
    members = membership.members(channels, excluded)
    assert [member.link for member in members] == membership.select(channels, excluded)
    return "".join(member.sid for member in members)


@pytest.mark.parametrize(
    ("channels", "excluded", "receivers"),
    [
        ((), (), "abcd"),
        ((), ("b",), "acd"),
        ((), ("a", "b", "c", "d"), ""),
        ((), ("x",), "cd"),
        ((), ("x", "d"), "c"),
        (("x",), (), "ab"),
        (("x",), ("a",), "b"),
        (("x",), ("c",), "ab"),
        (("x",), ("y",), "a"),
        (("x", "y"), (), "abc"),
        (("y", "x"), (), "bca"),
        (("x", "y"), ("b",), "ac"),
        (("x", "y"), ("y",), "a"),
        (("x", "x"), (), "ab"),
        (("empty",), (), ""),
        (("x", "empty"), (), "ab"),
        (("d",), (), "d"),
        (("d",), ("d",), ""),
        (("d", "x"), (), "dab"),
        (("x", "a"), (), "ab"),
        (("a", "b"), (), "ab"),
        (("z",), (), ""),
    ],
)
def test_select(channels: tuple[str, ...], excluded: tuple[str, ...], receivers: str) -> None:
    assert selected(populate(x="ab", y="bc"), channels, excluded) == receivers


def test_add_twice() -> None:
    membership = populate(x="a")
    assert not membership.add("x", "a")
    assert selected(membership, ("x",)) == "a"


def test_discard() -> None:
    membership = populate(x="ab")
    assert membership.discard("x", "a")
    assert not membership.discard("x", "a")
    assert not membership.discard("x", "c")
    assert not membership.discard("nowhere", "a")
    assert selected(membership, ("x",)) == "b"


def test_drop() -> None:
    membership = populate(x="ab", y="a")
    membership.drop("a", ["x", "y", "never"])
    assert selected(membership) == "bcd"
    assert selected(membership, ("x", "y")) == "b"
    assert selected(membership, ("a",)) == ""
    membership.drop("a", ["x"])
    assert selected(membership) == "bcd"


def test_receivers_may_leave_while_they_are_sent_to() -> None:
    membership = populate(x="abcd")
    for receiver in membership.members(("x",), ()):
        membership.drop(receiver.sid, ["x"])
    for receiver in membership.members((), ()):
        membership.drop(receiver.sid, [])
    assert selected(membership) == ""


def test_selection_does_not_change_who_follows() -> None:
    membership = populate(x="a", y="b")
    assert selected(membership, ("x", "y")) == "ab"
    assert selected(membership, ("x",)) == "a"
    assert selected(membership, ("y",)) == "b"


def test_channels_of_nobody_leave_nothing_behind() -> None:
    membership = populate(x="ab", y="a")
    membership.discard("x", "a")
    membership.drop("b", ["x"])
    membership.discard("y", "a")
    membership.select(("x", "y", "z"), ())
    assert membership._channels == {}


sids = st.sampled_from("abcd")
names = st.sampled_from(["x", "y", "z"])
steps = st.lists(st.tuples(st.sampled_from(["add", "discard"]), names, sids))


@given(steps, st.lists(names, min_size=1), st.lists(sids))
def test_like_a_set_of_pairs(steps: list[tuple[str, str, str]], channels: list[str], excluded: list[str]) -> None:
    membership = populate()
    pairs: set[tuple[str, str]] = set()
    for step, channel, sid in steps:
        changed = getattr(membership, step)(channel, sid)
        assert changed == (((channel, sid) in pairs) == (step == "discard"))
        (pairs.add if step == "add" else pairs.discard)((channel, sid))
    wanted = {sid for channel, sid in pairs if channel in channels} - set(excluded)
    assert sorted(selected(membership, channels, excluded)) == sorted(wanted)
