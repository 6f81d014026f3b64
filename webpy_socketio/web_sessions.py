"""Web sessions: which connections belong to which, so that logging out ends them."""

from __future__ import annotations

from typing import Protocol

from .identifiers import private_channel

#: The key, in the environ of a handshake as handlers see it, of the id of the web session that it belongs to.
WEB_SESSION = "webpy_socketio.web_session_id"


class Holder(Protocol):
    """Whoever can belong to a web session: a connection from its handshake on, and each of its sockets."""

    def log_out(self) -> None:
        """End the whole connection."""


class WebSessions:
    """Who belongs to which web session in this process, by the private channel of each."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[Holder, None]] = {}

    def add(self, web_session_id: str | None, holder: Holder) -> None:
        """Let somebody belong to a web session, if there is one."""
        if web_session_id is not None:
            self._holders.setdefault(private_channel(web_session_id), {})[holder] = None

    def discard(self, web_session_id: str | None, holder: Holder) -> None:
        """Let somebody belong to it no longer; nothing happens if they did not."""
        if web_session_id is None:
            return
        channel = private_channel(web_session_id)
        holders = self._holders.get(channel, {})
        holders.pop(holder, None)
        if not holders:
            self._holders.pop(channel, None)

    def log_out(self, channel: str) -> bool:
        """End all connections of the web session with this private channel; tells whether there are any."""
        holders = list(self._holders.get(channel, ()))
        for holder in holders:
            holder.log_out()
        return bool(holders)
