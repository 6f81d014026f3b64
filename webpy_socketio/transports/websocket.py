"""WebSockets without a greenlet: one watcher per connection calls in when there is something to read.

What is sent goes straight to the kernel; only what the kernel does not take at once is kept, and only then is there a
second watcher, for writing.
"""

from __future__ import annotations

import _socket
from typing import Any

import gevent
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Opcode
from websockets.protocol import SERVER, Protocol
from websockets.protocol import State as WebSocketState

from ..engine.session import Session, State, Step
from ..errors import PacketError
from ..hub import Hub
from ..logs import logger, quiet
from ..reasons import PARSE_ERROR, TRANSPORT_CLOSE, TRANSPORT_ERROR
from ..wire.packets import EnginePacket, EngineType
from ..wire.prepared import PROBE_ANSWER, Prepared
from .streams import READ, WRITE

READ_SIZE = 65_536
#: Bytes put into one send when several packets are waiting.
BATCH = 65_536
#: Seconds that a client has to close its side of the connection after we closed ours.
LINGER = 5.0


class WebSocket:
    """Carries one session over one WebSocket; at first as a candidate, if the session is on polling still."""

    __slots__ = ("_closing", "_hub", "_left", "_protocol", "_reader", "_send", "_session", "_socket", "_text", "_writer")

    def __init__(self, sock: _socket.socket, session: Session, hub: Hub) -> None:
        self._socket: _socket.socket | None = sock
        self._send = sock.send
        self._session = session
        self._hub = hub
        limit = hub.settings.max_payload
        self._protocol = Protocol(SERVER, max_size=limit, logger=quiet)
        self._reader = gevent.get_hub().loop.io(sock.fileno(), READ)
        self._writer: Any = None
        self._left = b""  # of a frame that the kernel took a part of
        self._text: list[bytes] = []  # fragments of a message
        self._closing = False

    # Begin.

    def open(self, early: bytes) -> None:
        """Carry a new session from its first packet on.

        :param early: what the client sent before it could know that it was let in.
        """
        self._attach()
        self.write(self._hub.handshake(self._session, can_upgrade=False))
        self._listen(early)

    def probe(self, early: bytes) -> None:
        """Try to take over a session from polling."""
        hub = self._hub
        hub.services.deadlines.add(hub.services.runner.now() + hub.settings.upgrade_timeout, self._give_up, None)
        self._listen(early)

    def _attach(self) -> None:
        self._session.write = self.write
        self._session.wake = self._wake

    def _listen(self, early: bytes) -> None:
        self._reader.start(self._readable)
        if early:
            self._feed(early)

    # Read.

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)  # type: ignore[union-attr]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lost()
            return
        if data:
            self._feed(data)
        else:
            self._lost()

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if self._closing:
                break
            opcode = frame.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
                self._frame(frame)
        if protocol.writes:
            self._flush_protocol()

    def _frame(self, frame: Any) -> None:
        """Put the fragments of a message together and hand it on."""
        text = self._text
        if not frame.fin or text:
            if not text:
                text.append(b"t" if frame.opcode is Opcode.TEXT else b"b")
            text.append(bytes(frame.data))
            if frame.fin:
                kind, data = text[0], b"".join(text[1:])
                text.clear()
                self._message(kind == b"t", data)
        else:
            self._message(frame.opcode is Opcode.TEXT, frame.data)

    def _message(self, is_text: bool, data: Any) -> None:
        session = self._session
        codec = session.dialect.codec
        try:
            packet = codec.decode_text(str(data, "utf-8")) if is_text else codec.decode_binary(bytes(data))
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "not UTF-8")
            self._flush_protocol()
        except PacketError as error:
            logger.debug("session %s: %s", session.sid, error)
            self._refuse_packet()
        else:
            if session.candidate is self:
                self._try(packet)
            else:
                self._hub.receive(session, packet)
                if session.peer is not None and session.peer.is_swamped:
                    self._pause()

    def _refuse_packet(self) -> None:
        if self._session.candidate is self:
            self._session.abandon()
            self._finish()
        else:
            self._hub.end(self._session, PARSE_ERROR)

    def _flush_protocol(self) -> None:
        """Send what the WebSocket protocol itself has to say: pongs, and the answer to a close."""
        ending = False
        for data in self._protocol.data_to_send():
            if data:
                self._push(data)
            else:
                ending = True
        if ending and not self._closing:
            self._ended_by_protocol()

    def _ended_by_protocol(self) -> None:
        """The client closed the WebSocket, or broke its rules."""
        error = self._protocol.parser_exc
        broken = error is not None or self._protocol.close_rcvd is None
        if isinstance(error, PayloadTooBig):
            logger.info("session %s sent a message above max_payload (%s)", self._session.sid, error)
        self._shut()
        if self._session.candidate is self:
            self._session.abandon()
        else:
            self._hub.end(self._session, TRANSPORT_ERROR if broken else TRANSPORT_CLOSE)

    # Upgrade.

    def _try(self, packet: EnginePacket) -> None:
        """Take a packet of a client that is upgrading."""
        session = self._session
        if packet.type is EngineType.PING and packet.data == "probe" and session.is_open:
            session.step(Step.PROBE)
            self._push(PROBE_ANSWER.frames(session.dialect))
            if session.wake is not None:
                session.wake()  # a GET that is held has to come back
        elif packet.type is EngineType.UPGRADE and session.is_open:
            release = session.wake
            session.upgrade("websocket", self._hub.services.runner.now())
            self._attach()
            if release is not None:
                release()
            self._flush()
        else:
            session.abandon()
            self._finish()

    def _give_up(self, _: object, now: float) -> None:
        if self._session.candidate is self:
            self._session.abandon()
            self._finish()

    # Write.

    def write(self, prepared: Prepared) -> None:
        """Send a packet at once; nothing may be waiting before it."""
        data = prepared.frames(self._session.dialect)
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._broken()
            return
        if sent != len(data):
            self._keep(data[sent:])

    def _push(self, data: bytes) -> None:
        """Send bytes that are no packet, after what is left of the frame before them."""
        if self._left:
            self._left += data
            return
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._broken()
            return
        if sent != len(data):
            self._keep(data[sent:])

    def _keep(self, rest: bytes) -> None:
        """The kernel is full: whatever is sent from now on queues up behind ``rest``."""
        self._left = rest
        if self._session.candidate is not self:
            self._session.write = None
        if self._writer is None and self._socket is not None:
            self._writer = gevent.get_hub().loop.io(self._socket.fileno(), WRITE)
            self._writer.start(self._flush)

    def _flush(self) -> None:
        """Send what is waiting, as much as the kernel takes."""
        session = self._session
        while self._left or session.outbox:
            data = self._left or b"".join(p.frames(session.dialect) for p in session.outbox.take(BATCH))
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._broken()
                return
            if sent != len(data):
                self._keep(data[sent:])
                return
            self._left = b""
        self._stop_writing()
        if session.candidate is self or self._closing:
            return
        if session.is_open:
            session.write = self.write
        else:
            self._wake()

    # End.

    def _wake(self) -> None:
        """The session has changed, or queued something while the kernel was full."""
        session = self._session
        if session.state is State.CLOSED:
            self._finish()
            self._hub.end(session, TRANSPORT_ERROR)  # if it ended by itself, because it was full
        elif session.state is State.CLOSING and not self._left and not session.outbox and not self._closing:
            self._finish()
            self._hub.end(session, TRANSPORT_ERROR)

    def _finish(self) -> None:
        """Say goodbye with a close frame, if one can still be said, and let the client close the connection."""
        if self._closing:
            return
        if self._left or self._protocol.state is not WebSocketState.OPEN:
            self._shut()
            return
        self._closing = True
        self._protocol.send_close()
        for data in self._protocol.data_to_send():
            self._push(data)
        self._linger()

    def _shut(self) -> None:
        """Send no more; what the client still sends is thrown away."""
        self._closing = True
        if self._left:
            self._release()
            return
        try:
            self._socket.shutdown(_socket.SHUT_WR)  # type: ignore[union-attr]
        except OSError:
            self._release()
            return
        self._linger()

    def _linger(self) -> None:
        """Closing at once would cost the client the close frame, if something it sent is still unread."""
        if self._socket is not None:
            self._reader.start(self._discard)
            services = self._hub.services
            services.deadlines.add(services.runner.now() + LINGER, self._close_late, None)

    def _discard(self) -> None:
        try:
            if self._socket.recv(READ_SIZE):  # type: ignore[union-attr]
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._release()

    def _close_late(self, _: object, now: float) -> None:
        self._release()

    def _broken(self) -> None:
        """A send failed. The sender must not be drawn into the end of this connection, which may run handlers."""
        if self._session.candidate is not self:
            self._session.write = None
        gevent.get_hub().loop.run_callback(self._lost)

    def _lost(self) -> None:
        """The connection is gone."""
        self._release()
        self._closing = True
        if self._session.candidate is self:
            self._session.abandon()
        else:
            self._hub.end(self._session, TRANSPORT_CLOSE)

    def _release(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._reader.stop()
            self._reader.close()
            self._stop_writing()
            self._socket.close()
            self._socket = None

    def _stop_writing(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
            self._writer = None

    # Pause.

    def _pause(self) -> None:
        """Read no more until the client's handlers have caught up."""
        session = self._session
        session.paused = True
        self._reader.stop()
        session.peer.on_idle = self._resume

    def _resume(self) -> None:
        session = self._session
        session.paused = False
        if session.peer is not None:
            session.peer.on_idle = None
        if self._socket is not None and not self._closing:
            self._reader.start(self._readable)
