"""Long-polling: packets leave in the answers to GETs and arrive in the bodies of POSTs.

At most one GET of a session is held, and at most one POST is read, at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import gevent

from ..engine.session import Session, State
from ..errors import LimitExceeded, PacketError
from ..hub import Hub
from ..logs import logger
from ..reasons import PARSE_ERROR, TRANSPORT_CLOSE, TRANSPORT_ERROR
from ..wire.prepared import CLOSE, NOOP, Prepared, encode_payload
from .streams import Connection

#: Packets of a POST that are taken in one turn of the loop, which takes a few milliseconds at the most.
TURN = 500
OK, BAD = "200 OK", "400 Bad Request"
# While a client upgrades, its last packet on the WebSocket may be on the way when its last GET is handled.
UPGRADE_GRACE = 0.015


class PollResult(NamedTuple):
    """The answer to a GET or POST."""

    status: str
    body: bytes = b""
    is_binary: bool = False


class Polling:
    """Carries one session over HTTP requests."""

    __slots__ = ("_hub", "_posting", "_session", "_uploading")

    def __init__(self, session: Session, hub: Hub) -> None:
        self._session = session
        self._hub = hub
        self._posting = False
        self._uploading: Connection | None = None

    def get(self, connection: Connection | None) -> PollResult:
        """Answer a GET with what is queued, or hold it until there is something. May wait."""
        session = self._session
        if session.is_awaited:
            logger.debug("%s: a second GET came while one was held", session, extra=session.log_fields)
            self._hub.end(session, TRANSPORT_ERROR)
            return PollResult(BAD)
        if connection is not None:
            connection.on_failure = self._lost
        if session.state is State.CLOSING and not session.outbox:
            self._hub.end(session, TRANSPORT_ERROR)
            return self._packets(NOOP, CLOSE)
        if session.state is State.OPEN and session.transport == "polling" and not session.outbox:
            self._park(connection)
        if session.state is State.PROBING and not session.outbox:
            gevent.sleep(UPGRADE_GRACE)
            if session.transport != "polling":
                return PollResult(BAD)  # it was sent after that packet, and only overtook it
        return self._answer()

    def post(self, body: bytes, is_binary: bool) -> PollResult:
        """Take the packets in the body of a POST. May wait until the client's handlers have caught up."""
        session, hub, most = self._session, self._hub, self._hub.settings.max_poll_packets
        if session.state is State.CLOSING:
            return PollResult(OK, b"ok")
        if session.state is State.CLOSED:
            return PollResult(BAD)  # it ended while the body was on its way
        try:
            for number, packet in enumerate(session.dialect.codec.decode_payload(body, is_binary), 1):
                if number > most > 0:
                    raise LimitExceeded("max_poll_packets", f"a POST has at most {most:,} packets")
                hub.receive(session, packet)
                self._pace(number)
                if not session.is_open:
                    break
        except PacketError as error:
            logger.debug("%s: %s", session, error, extra=session.log_fields)
            hub.end(session, PARSE_ERROR)
            return PollResult(BAD)
        except LimitExceeded as error:
            hub.refuse(session, error)
            return PollResult(BAD, str(error).encode())
        return PollResult(OK, b"ok")

    def begin_post(self, connection: Connection | None) -> bool:
        """Note that a body is being read; if there is one already the session ends, and False is returned."""
        if self._posting:
            fields = self._session.log_fields
            logger.debug("%s: a second POST came while one was read", self._session, extra=fields)
            if self._uploading is not None:
                self._uploading.abort()
            self._hub.end(self._session, TRANSPORT_ERROR)
            return False
        self._posting = True
        self._uploading = connection
        return True

    def end_post(self) -> None:
        """Note that the body has been dealt with."""
        self._posting = False
        self._uploading = None

    def fail_post(self) -> None:
        """The body did not arrive as promised."""
        self._hub.end(self._session, TRANSPORT_CLOSE)

    def _park(self, connection: Connection | None) -> None:
        """Wait until something is queued, the state changes or the client hangs up."""
        session = self._session
        waiter = self._hub.runner.waiter()
        wake = session.wake = waiter.set
        session.is_awaited = True
        stop = connection.watch_end(self._lost) if connection is not None else None
        try:
            waiter.wait()
        finally:
            session.is_awaited = False
            if stop is not None:
                stop()
            if session.wake is wake:
                self._hub.unattended(session)

    def _answer(self) -> PollResult:
        session = self._session
        if session.state is State.CLOSED:
            self._hub.end(session, TRANSPORT_ERROR)  # if it ended by itself, because it was full
            return self._packets(NOOP if session.reason is TRANSPORT_CLOSE else CLOSE)
        if session.transport != "polling":
            return self._packets(NOOP)
        if session.outbox:
            return self._packets(*session.outbox.take())
        if session.state is State.CLOSING:
            self._hub.end(session, TRANSPORT_ERROR)
            return self._packets(CLOSE)
        return self._packets(NOOP)

    def _packets(self, *packets: Prepared) -> PollResult:
        return PollResult(OK, *encode_payload(packets, self._session.dialect))

    def _lost(self) -> None:
        if self._session.transport == "polling":  # else a WebSocket has taken over meanwhile
            self._hub.end(self._session, TRANSPORT_ERROR)

    def _pace(self, number: int) -> None:
        """Wait, after a packet, as long as the next may not be taken; it waits in the body, where it is smallest."""
        session, hub = self._session, self._hub
        session.credit -= 1
        if session.is_open and session.peer.is_swamped(hub.settings):
            self._pause(None)
        elif number % TURN == 0:
            gevent.sleep(0)
        while session.credit < 1 and session.is_open:
            seconds = session.earn(hub.settings, hub.runner.now())
            if seconds:
                hub.counters.limited["message_rate"] += 1
                self._pause(seconds)

    def _pause(self, seconds: float | None) -> None:
        """Wait for some seconds, or until the client's handlers have caught up."""
        session = self._session
        waiter = self._hub.runner.waiter()
        session.paused = True
        if seconds is None:
            session.peer.when_idle(waiter.set)
        waiter.wait(seconds)
        session.heed(self._hub.runner.now())
