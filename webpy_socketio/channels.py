"""Channels: who follows what, within one namespace."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Protocol

from .engine.session import Session


class Member(Protocol):
    """Whoever can follow channels."""

    #: The name of its private channel.
    sid: str
    #: What carries packets to it.
    link: Session
    #: The number of the last kept message that was for it; see History.
    last_number: int
    #: Whether it is there to receive, and not only waited for.
    connected: bool
    context: dict[str, Any]

    @property
    def channels(self) -> list[str]:
        """The channels that it follows."""

    def subscribe(self, channel: str) -> None:
        """Follow a channel."""

    def unsubscribe(self, channel: str) -> None:
        """Follow a channel no longer."""

    def disconnect(self) -> None:
        """Be put out of the namespace."""

    def note_outgoing(self, data: list[Any]) -> None:
        """Tell those who listen that an event is on its way to it."""


class Membership:
    """The members of every channel, by their session id. A channel exists as long as somebody follows it."""

    __slots__ = ("_channels", "everybody")

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, Member]] = {}
        #: All who joined the namespace.
        self.everybody: dict[str, Member] = {}

    def add(self, channel: str, sid: str) -> bool:
        """Let a member of the namespace follow a channel; False if it did already."""
        members = self._channels.setdefault(channel, {})
        if sid in members:
            return False
        members[sid] = self.everybody[sid]
        return True

    def discard(self, channel: str, sid: str) -> bool:
        """Let somebody follow a channel no longer; False if they did not."""
        members = self._channels.get(channel)
        if members is None or members.pop(sid, None) is None:
            return False
        if not members:
            del self._channels[channel]
        return True

    def drop(self, sid: str, channels: Iterable[str]) -> None:
        """Forget somebody, who followed these channels."""
        for channel in channels:
            self.discard(channel, sid)
        self.everybody.pop(sid, None)

    def select(self, channels: Collection[str], excluded: Collection[str] = ()) -> list[Member]:
        """Return everyone in the channels, each once, but not those in the excluded ones.

        A session id is the name of a private channel. With no channel, everyone in the namespace is meant.
        """
        members = self._members(channels)
        if not excluded:
            return list(members.values())
        out = self._sids(excluded)
        return [member for sid, member in members.items() if sid not in out]

    def _members(self, channels: Collection[str]) -> dict[str, Member]:
        if not channels:
            return self.everybody
        if len(channels) == 1:
            return self._channel(next(iter(channels)))
        members: dict[str, Member] = {}
        for channel in channels:
            members |= self._channel(channel)
        return members

    def _channel(self, name: str) -> dict[str, Member]:
        members = self._channels.get(name)
        if members is None:
            member = self.everybody.get(name)
            members = {} if member is None else {name: member}
        return members

    def _sids(self, names: Collection[str]) -> Collection[str]:
        """The session ids that some names stand for."""
        if self._channels.keys().isdisjoint(names):
            return names
        sids = set(names)
        for name in names:
            sids.update(self._channels.get(name, ()))
        return sids
