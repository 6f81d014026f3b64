"""Channels: who follows what, within one namespace."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .engine.session import Session


class Membership:
    """The members of every channel, by their session id. A channel exists as long as somebody follows it."""

    __slots__ = ("_channels", "everybody")

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, Session]] = {}
        #: All who joined the namespace.
        self.everybody: dict[str, Session] = {}

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

    def select(
        self, channels: Collection[str], excluded: Collection[str] = (), sids: Collection[str] = ()
    ) -> list[Session]:
        """Return everyone in the channels or with one of the session ids, each once, but the excluded.

        With neither, that is everyone in the namespace.
        """
        members = self._members(channels, sids)
        if not excluded:
            return list(members.values())
        return [session for sid, session in members.items() if sid not in excluded]

    def _members(self, channels: Collection[str], sids: Collection[str]) -> dict[str, Session]:
        if not channels and not sids:
            return self.everybody
        if len(channels) == 1 and not sids:
            return self._channels.get(next(iter(channels)), {})
        members = {sid: self.everybody[sid] for sid in sids if sid in self.everybody}
        for channel in channels:
            members |= self._channels.get(channel, {})
        return members
