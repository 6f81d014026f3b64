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
    #: The WSGI environ of its client's handshake.
    request: dict[str, Any]

    @property
    def channels(self) -> list[str]:
        """The channels that it follows."""

    @property
    def pending_acks(self) -> int:
        """How many acknowledgements it alone still is to send."""

    def subscribe(self, channel: str) -> None:
        """Follow a channel."""

    def unsubscribe(self, channel: str) -> None:
        """Follow a channel no longer."""

    def disconnect(self) -> None:
        """Be put out of the namespace."""

    def note_outgoing(self, data: list[Any]) -> None:
        """Tell those who listen that an event is on its way to it."""


class Membership:
    """Who follows which channel, by session id. A channel exists as long as somebody follows it.

    The tables hold what carries packets to a member, not the member: a broadcast looks at nothing else.
    """

    __slots__ = ("_channels", "_links", "everybody")

    def __init__(self) -> None:
        #: All who joined the namespace.
        self.everybody: dict[str, Member] = {}
        self._links: dict[str, Session] = {}
        self._channels: dict[str, dict[str, Session]] = {}

    @property
    def channel_count(self) -> int:
        """How many channels there are."""
        return len(self._channels)

    @property
    def channels(self) -> list[str]:
        """The channels that there are."""
        return list(self._channels)

    def has(self, channel: str) -> bool:
        """Whether there is a channel of this name, or a member whose private channel it is."""
        return channel in self._channels or channel in self._links

    def join(self, member: Member, channels: Iterable[str]) -> None:
        """Let somebody into the namespace, who follows these channels; or note that its packets go another way now."""
        self.everybody[member.sid] = member
        self._links[member.sid] = member.link
        for channel in channels:
            self._channels.setdefault(channel, {})[member.sid] = member.link

    def add(self, channel: str, sid: str) -> bool:
        """Let a member of the namespace follow a channel; False if it did already."""
        followers = self._channels.setdefault(channel, {})
        if sid in followers:
            return False
        followers[sid] = self._links[sid]
        return True

    def discard(self, channel: str, sid: str) -> bool:
        """Let somebody follow a channel no longer; False if they did not."""
        followers = self._channels.get(channel)
        if followers is None or followers.pop(sid, None) is None:
            return False
        if not followers:
            del self._channels[channel]
        return True

    def drop(self, sid: str, channels: Iterable[str]) -> None:
        """Forget somebody, who followed these channels."""
        for channel in channels:
            self.discard(channel, sid)
        self._links.pop(sid, None)
        self.everybody.pop(sid, None)

    def select(self, channels: Collection[str], excluded: Collection[str] = ()) -> list[Session]:
        """Return what carries packets to everyone in the channels, each once, but not to those in the excluded ones.

        A session id is the name of a private channel. With no channel, everyone in the namespace is meant.
        """
        selected = self._selected(channels)
        if not excluded:
            return list(selected.values())
        out = self._sids(excluded)
        return [link for sid, link in selected.items() if sid not in out]

    def members(self, channels: Collection[str], excluded: Collection[str] = ()) -> list[Member]:
        """Return those themselves."""
        out = self._sids(excluded)
        return [self.everybody[sid] for sid in self._selected(channels) if sid not in out]

    def _selected(self, channels: Collection[str]) -> dict[str, Session]:
        if not channels:
            return self._links
        if len(channels) == 1:
            return self._channel(next(iter(channels)))
        selected: dict[str, Session] = {}
        for channel in channels:
            selected |= self._channel(channel)
        return selected

    def _channel(self, name: str) -> dict[str, Session]:
        followers = self._channels.get(name)
        if followers is None:
            link = self._links.get(name)
            followers = {} if link is None else {name: link}
        return followers

    def _sids(self, names: Collection[str]) -> Collection[str]:
        """The session ids that some names stand for."""
        if self._channels.keys().isdisjoint(names):
            return names
        sids = set(names)
        for name in names:
            sids.update(self._channels.get(name, ()))
        return sids
