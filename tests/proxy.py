"""A TCP proxy that loses connections on command, as a network does and no application can."""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

HOST = "127.0.0.1"
CHUNK = 65536
PATIENCE = 10
#: SO_LINGER with no time to linger: close() sends RST and forgets what was not sent yet.
ABORT = struct.pack("ii", 1, 0)

Command = Callable[[], Any]


class Side:
    """One of a connection's two sockets, and what is still to be written to it."""

    peer: Side

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.socket = connection
        self.pending = b""
        self.ended = False  # nothing more to read
        self.shut = False  # nothing more to write

    @property
    def wants(self) -> int:
        """The events to wait for; reading only as fast as the other side is written to."""
        reads = not self.ended and not self.peer.pending
        writes = bool(self.pending) or (self.peer.ended and not self.shut)
        return reads * EVENT_READ | writes * EVENT_WRITE

    def read(self) -> None:
        """Take what has arrived."""
        self.peer.pending = self.socket.recv(CHUNK)
        self.ended = not self.peer.pending

    def write(self) -> None:
        """Pass on what fits, and the end after all of it."""
        if self.pending:
            self.pending = self.pending[self.socket.send(self.pending) :]
        if self.peer.ended and not self.pending:
            self.socket.shutdown(socket.SHUT_WR)
            self.shut = True

    def close(self, reset: bool) -> None:
        """End it at once: with RST, or with FIN as a process does that ends."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        else:
            with contextlib.suppress(OSError):
                # Bytes not read would turn the FIN into a RST.
                self.socket.shutdown(socket.SHUT_WR)
                while self.socket.recv(CHUNK):
                    pass
        self.socket.close()


class CuttingProxy:
    """Forwards ``port`` to ``target_port`` on this host, until told otherwise.

    Each command has taken effect when it returns. While the target does not listen, connections are reset.
    To keep a client away after a cut, refuse first: browsers silently repeat a request whose connection was cut,
    so that behind hold() a page that polls would not notice anything.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://{HOST}:{self.port}"
        self._sides: list[Side] = []
        self._held = self._refusing = False
        self._running = True
        # One thread owns the sockets; the others hand it their commands, so nothing needs a lock.
        self._commands: queue.SimpleQueue[tuple[Command, Future[Any]]] = queue.SimpleQueue()
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, EVENT_READ)
        self._selector.register(self._woken, EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> CuttingProxy:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ask(self._stop)
        self._thread.join(PATIENCE)

    def cut(self, reset: bool = True) -> int:
        """End all open connections, by RST or else by FIN, and return how many there were; also while holding."""
        return int(self._ask(lambda: self._cut(reset)))

    def hold(self) -> None:
        """Forward nothing any more, not even an end: to both sides, connections look alive; new ones are accepted."""
        self._ask(lambda: self._switch(held=True, refusing=self._refusing))

    def refuse(self) -> None:
        """Reset new connections, as if the target did not listen; those that there are live on."""
        self._ask(lambda: self._switch(held=self._held, refusing=True))

    def release(self) -> None:
        """Forward everything again, beginning with what was held back."""
        self._ask(lambda: self._switch(held=False, refusing=False))

    def _ask(self, command: Command) -> Any:
        answer: Future[Any] = Future()
        self._commands.put((command, answer))
        self._waker.send(b"!")
        return answer.result(PATIENCE)

    def _switch(self, *, held: bool, refusing: bool) -> None:
        self._held = held
        self._refusing = refusing

    def _cut(self, reset: bool) -> int:
        count = len(self._sides) // 2
        for side in self._sides[::2]:
            self._end(side, reset)
        return count

    def _stop(self) -> None:
        self._running = False
        self._cut(reset=False)

    def _serve(self) -> None:
        while self._running:
            for key, events in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._obey()
                elif key.data in self._sides and not self._held:  # else an earlier event has changed that
                    self._forward(key.data, events)
            self._watch()
        for closing in (self._selector, self._listener, self._waker, self._woken):
            closing.close()

    def _obey(self) -> None:
        self._woken.recv(1)
        command, answer = self._commands.get()
        self._accept()  # a connection of before the command comes under it
        answer.set_result(command())

    def _accept(self) -> None:
        """Take what waits; the kernel has told its clients already that they are connected."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._connect(Side(self._listener.accept()[0]))

    def _connect(self, client: Side) -> None:
        if self._refusing:
            return client.close(reset=True)
        try:
            client.peer = Side(socket.create_connection((HOST, self.target_port), PATIENCE))
        except OSError:
            return client.close(reset=True)
        client.peer.peer = client
        self._sides += [client, client.peer]

    def _forward(self, side: Side, events: int) -> None:
        try:
            if events & EVENT_READ:
                side.read()
            if events & EVENT_WRITE:
                side.write()
        except BlockingIOError:
            pass
        except OSError:  # reset by one side: so is the other
            self._end(side, reset=True)
        else:
            if side.shut and side.peer.shut:
                self._end(side, reset=False)

    def _end(self, side: Side, reset: bool) -> None:
        for each in (side, side.peer):
            self._sides.remove(each)
            if each.socket in self._selector.get_map():
                self._selector.unregister(each.socket)
            each.close(reset)

    def _watch(self) -> None:
        """Wait for just the events that can be dealt with; the selector would report others without end."""
        known = self._selector.get_map()
        for side in self._sides:
            wanted = 0 if self._held else side.wants
            current = known[side.socket].events if side.socket in known else 0
            if wanted and not current:
                self._selector.register(side.socket, wanted, side)
            elif current and not wanted:
                self._selector.unregister(side.socket)
            elif current != wanted:
                self._selector.modify(side.socket, wanted, side)
