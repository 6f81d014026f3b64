"""WebSockets without a greenlet: the connection calls in when there is something to read.

What is sent goes straight to the kernel; only when the kernel does not take it all, the session queues what follows.
"""

from __future__ import annotations

import gevent
from websockets.frames import CloseCode

from ..engine.session import Session, State, Step
from ..errors import PacketError
from ..hub import Hub
from ..logs import logger
from ..reasons import PAGE_CLOSED, PARSE_ERROR, TRANSPORT_CLOSE, TRANSPORT_ERROR
from ..wire.dialects import Dialect
from ..wire.messages import NOT_UTF8
from ..wire.packets import EnginePacket, EngineType
from ..wire.prepared import PROBE_ANSWER, Prepared
from .intake import Intake
from .streams import Stream

#: Bytes put into one send when several packets are waiting.
BATCH = 65_536
#: Every message of Engine.IO begins so, in text.
MESSAGE = EngineType.MESSAGE.prefix
PONG, PONG_PACKET = EngineType.PONG.prefix, EnginePacket(EngineType.PONG)


class WebSocket(Intake):
    """Carries one session over one WebSocket; at first as a candidate, if the session is on polling still."""

    __slots__ = ("_dialect", "_is_candidate", "_send_now", "_takes_messages")

    def __init__(self, stream: Stream, session: Session, hub: Hub) -> None:
        super().__init__(stream, session, hub)
        self._send_now = stream.send_now
        self._is_candidate = False
        self._dialect = session.dialect
        #: Whether a text message needs no codec to be read: its type is a character, and it is the rest.
        self._takes_messages = session.dialect.plain_text

    # Begin.

    def open(self, early: bytes) -> None:
        """Carry a new session from its first packet on.

        :param early: what the client sent before it could know that it was let in.
        """
        if not self._session.is_open:  # it ended while the answer was on its way
            self._finish()
            return
        self._attach()
        self.write(self._hub.handshake(self._session, can_upgrade=False))
        self._session.peer.begin()
        self._listen(early)

    def probe(self, dialect: Dialect, early: bytes) -> None:
        """Try to take over a session from polling, which speaks this dialect from then on."""
        self._is_candidate = True
        self._takes_messages = False
        self._dialect = dialect
        self._session.candidate = self._dismiss
        hub = self._hub
        hub.deadlines.add(hub.runner.now() + self._hub.settings.upgrade_timeout, self._give_up, None)
        self._listen(early)

    def _attach(self) -> None:
        self._session.write = self.write
        self._session.wake = self._wake
        self._stream.on_drained = self._flush

    # Read.

    def _message(self, session: Session, is_text: bool, data: bytes) -> None:
        try:
            if is_text:
                if data[:1] == MESSAGE and self._takes_messages:  # nearly all traffic
                    self._hub.receive_message(session, data[1:].decode())
                elif data == PONG and self._takes_messages:  # nearly all the rest
                    self._hub.receive(session, PONG_PACKET)
                else:
                    self._packet(session.dialect.codec.decode_text(data.decode()))
            else:
                self._packet(session.dialect.codec.decode_binary(data))
        except UnicodeDecodeError:
            self._reader.fail(CloseCode.INVALID_DATA, NOT_UTF8)
            self._flush_protocol()  # at once: what came with it is not to be taken any more
        except PacketError as error:
            logger.debug("%s: %s", session, error, extra=session.log_fields)
            self._refuse_packet()
        conversation = session.peer
        if conversation is not None and conversation.inbox.jobs and conversation.is_swamped(self._hub.settings):
            self._pause()

    def _packet(self, packet: EnginePacket) -> None:
        if self._is_candidate:
            self._try(packet)
        else:
            self._hub.receive(self._session, packet)

    def _refuse_packet(self) -> None:
        if self._is_candidate:
            self._give_up(None, 0)
        else:
            self._hub.end(self._session, PARSE_ERROR)

    def _flush_protocol(self) -> None:
        """Send what the WebSocket protocol itself has to say: pongs, and the answer to a close."""
        ending = False
        for data in self._reader.data_to_send():
            ending = ending or not data
            if not self._stream.is_blocked:  # a client that does not read gets no pong (RFC 6455, section 5.5.3)
                self._push(data)
        if ending:
            self._ended_by_protocol()

    def _ended_by_protocol(self) -> None:
        """The client closed the WebSocket, or broke its rules."""
        reader = self._reader
        if reader.too_big:
            fields = self._session.log_fields
            logger.info("%s sent a message above max_payload: %s", self._session, reader.error, extra=fields)
        self._shut()
        if not self._abandon():
            if reader.too_big:
                reason = self._hub.exceeded("max_payload")
            elif reader.error is not None or reader.close_code is None:
                reason = TRANSPORT_ERROR
            else:
                reason = PAGE_CLOSED if reader.close_code == CloseCode.GOING_AWAY else TRANSPORT_CLOSE
            self._hub.end(self._session, reason)

    # Upgrade.

    def _try(self, packet: EnginePacket) -> None:
        """Take a packet of a client that is upgrading."""
        session = self._session
        if (
            packet.type is EngineType.PING
            and packet.data == "probe"
            and session.is_open
            and not self._stream.is_blocked
        ):
            session.step(Step.PROBE)
            self._push(PROBE_ANSWER.frames(session.dialect))
            if session.wake is not None:
                session.wake()  # a GET that is held has to come back
        elif packet.type is EngineType.UPGRADE and session.is_open:
            release = session.wake
            self._is_candidate = False
            session.upgrade("websocket", self._hub.runner.now())
            session.dialect = self._dialect
            self._takes_messages = session.dialect.plain_text
            self._attach()
            if release is not None:
                release()
            self._flush()
        else:
            self._give_up(None, 0)

    def _give_up(self, _: object, now: float) -> None:
        """Stay on polling, if the upgrade has not happened."""
        if self._abandon():
            self._finish()

    def _abandon(self) -> bool:
        """Be no candidate any more; tells whether this was one."""
        was_candidate, self._is_candidate = self._is_candidate, False
        if was_candidate and self._session.candidate is not None:
            self._session.abandon()
        return was_candidate

    def _dismiss(self) -> None:
        """The session is over."""
        self._is_candidate = False
        self._finish()

    # Write.

    def write(self, prepared: Prepared) -> None:
        """Send a packet at once; nothing may be waiting before it."""
        dialect = self._dialect
        data = prepared.last_frames if prepared.last_dialect is dialect else prepared.frames(dialect)
        try:
            sent = self._send_now(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._broken()
            return
        if sent != len(data):
            self._session.write = None  # what follows queues up in the outbox
            self._stream.keep(data[sent:])

    def _push(self, data: bytes) -> bool:
        """Send bytes that are no packet; tells whether nothing has to wait."""
        try:
            taken = self._stream.send(data)
        except OSError:
            self._broken()
            return False
        if not taken and not self._is_candidate:
            self._session.write = None
        return taken

    def _flush(self) -> None:
        """Send what is waiting, as much as the kernel takes."""
        session = self._session
        if self._stream.is_blocked:
            session.write = None
            return
        while session.outbox:
            packets = session.outbox.take(BATCH)
            if not self._push(b"".join(packet.frames(session.dialect) for packet in packets)):
                return
        if session.is_open and not self._closing:
            session.write = self.write
        else:
            self._wake()

    # End.

    def _wake(self) -> None:
        """The session has changed, or queued something while the kernel was full."""
        session = self._session
        drained = not self._stream.is_blocked and not session.outbox
        if session.state is State.CLOSED or (session.state is State.CLOSING and drained):
            self._finish()
            self._hub.end(session, TRANSPORT_ERROR)  # the session has a reason of its own already

    def _finish(self) -> None:
        """Say goodbye with a close frame, if one can still be said, and let the client close the connection."""
        if self._closing:
            return
        if self._stream.is_blocked or not self._reader.is_open:
            self._shut()
            return
        self._closing = True
        reason = self._session.reason
        if reason is not None and reason.is_ours:
            self._reader.close(reason.code, reason.sentence)
        else:
            self._reader.close()
        for data in self._reader.data_to_send():
            self._push(data)
        self._linger()

    def _shut(self) -> None:
        """Send no more; what the client still sends is thrown away."""
        self._closing = True
        if self._stream.is_blocked:
            self._release()
            return
        try:
            self._stream.half_close()
        except OSError:
            self._release()
        else:
            self._linger()

    def _linger(self) -> None:
        """Wait for the client's own end: closing at once would cost it our close frame, if it was still sending."""
        self._stream.linger(self._hub.deadlines, self._hub.runner.now(), self._discard)

    def _discard(self) -> None:
        try:
            data = self._stream.receive()
            if data:
                self._reader.receive(data)
                if b"" in self._reader.data_to_send():
                    self._stream.half_close()  # it answered our close frame, and now waits for this
        except OSError:
            data = b""
        if data == b"":
            self._release()

    def _broken(self) -> None:
        """A send failed. The sender must not be drawn into the end of this connection, which may run handlers."""
        self._session.write = None
        gevent.get_hub().loop.run_callback(self._lost)

    def _lost(self) -> None:
        """The connection is gone."""
        self._closing = True
        self._release()
        if not self._abandon():
            self._hub.end(self._session, TRANSPORT_CLOSE)

    def _release(self) -> None:
        """Let go of the connection, and of what refers back to here."""
        self._stream.close()
        self._stream.on_drained = None
        if self._session.wake == self._wake:
            self._session.wake = None
