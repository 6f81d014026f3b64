"""Acknowledgements that are waited for."""

from __future__ import annotations

from typing import Any

import pytest

from webpy_socketio.acks import PendingAcks


def ignore(args: list[Any] | None) -> None:
    """Listen to an acknowledgement, and do nothing."""


def other(args: list[Any] | None) -> None:
    """Listen to another acknowledgement."""


def test_ids_count_from_zero() -> None:
    acks = PendingAcks()
    assert [acks.add(ignore) for _ in range(3)] == [0, 1, 2]


def test_resolved_once() -> None:
    acks = PendingAcks()
    first, second = acks.add(ignore), acks.add(other)
    assert acks.resolve(second) is other
    assert acks.resolve(second) is None
    assert acks.resolve(first) is ignore


@pytest.mark.parametrize("ack_id", [None, 1, -1, 10**15])
def test_nobody_waits_for_it(ack_id: int | None) -> None:
    acks = PendingAcks()
    acks.add(ignore)
    assert acks.resolve(ack_id) is None
    assert acks.resolve(0) is ignore


def test_ids_are_not_used_again() -> None:
    acks = PendingAcks()
    acks.resolve(acks.add(ignore))
    acks.abandon()
    assert acks.add(ignore) == 1


def test_abandoned() -> None:
    acks = PendingAcks()
    first = acks.add(ignore)
    acks.add(other)
    assert acks.abandon() == [ignore, other]
    assert acks.abandon() == []
    assert acks.resolve(first) is None
