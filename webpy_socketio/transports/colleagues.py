"""Colleagues: the worker processes of one server, which hand each other the connections of each other's sessions.

They listen at one address, so a request comes to any of them, but its session lives in one. Each has a label, a
character that its session ids carry, and a Unix socket of that name in a directory that they share. A connection goes
there with everything that was read of it; nobody but its new owner has it then.
"""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Callable
from typing import Any

import gevent
from gevent.socket import socket as gevent_socket

from ..errors import SettingsError
from ..identifiers import LABELS, MARK
from ..logs import logger

#: Takes a connection over: its socket, its client's address, what was read of it.
Taker = Callable[[_socket.socket, Any, bytes], object]

#: Seconds for a hand-over; both sides are on one machine.
PATIENCE = 5.0
#: Bytes of the client's address, and of what was read of the connection, at the most.
LONGEST_ADDRESS, MOST_READ = 1024, 2_000_000


class Colleagues:
    """One worker among its colleagues.

    :param directory: the one that they share; whoever may enter it could take connections, so it must be private.
    :param prefix: what the paths of Socket.IO begin with.
    :param take: takes over the connections that others hand to this one.

    Raises SettingsError if the directory is not there, or has no place for one more.
    """

    def __init__(self, directory: str, prefix: bytes, take: Taker) -> None:
        self._directory = directory
        self._take = take
        self.label, self._lock = _claim(directory)
        self._pattern = re.compile(
            rb"[A-Z]+ " + re.escape(prefix) + rb"[^ ?]*\?(?:[^ ]*&)?sid=" + re.escape(MARK.encode()) + rb"([\w-])"
        )
        self._listener = _listen(self._path(self.label))
        self._acceptor = gevent.spawn(self._accept)

    def owner_of(self, head: bytes) -> str | None:
        """The label of the worker whose session a request is for; None if that is this one, or there is none."""
        found = self._pattern.match(head)
        label = None if found is None else found[1].decode()
        return None if label == self.label else label

    def hand_over(self, label: str, sock: Any, address: Any, early: bytes) -> bool:
        """Give a connection to a colleague; tells whether it took it. Then it is not ours any more. May wait."""
        with contextlib.closing(gevent_socket(socket.AF_UNIX, socket.SOCK_STREAM)) as way:
            way.settimeout(PATIENCE)
            try:
                way.connect(self._path(label))
                socket.send_fds(way, [json.dumps(address).encode() + b"\n"], [sock.fileno()])
                way.sendall(early)
            except OSError as error:  # it is not there any more: neither is the session
                logger.debug("worker %r takes no connection: %s", label, error)
                return False
        os.close(sock.detach())
        return True

    def close(self) -> None:
        """Take no connection any more."""
        self._acceptor.kill(block=False)
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path(self.label))
        os.close(self._lock)

    def _path(self, label: str) -> str:
        return os.path.join(self._directory, label)

    def _accept(self) -> None:
        while True:
            try:
                way, _ = self._listener.accept()
            except OSError as error:
                logger.warning("connections of other workers cannot be taken: %s", error)
                gevent.sleep(1)
            else:
                gevent.spawn(self._receive, way)

    def _receive(self, way: Any) -> None:
        descriptors: list[int] = []
        try:
            with contextlib.closing(way):
                way.settimeout(PATIENCE)
                data, descriptors, _, _ = socket.recv_fds(way, LONGEST_ADDRESS, 1, socket.MSG_CMSG_CLOEXEC)
                while piece := way.recv(65_536) if len(data) < MOST_READ else b"":
                    data += piece
            address, _, early = data.partition(b"\n")
            client = json.loads(address)
        except (OSError, ValueError) as error:
            logger.warning("a connection of another worker did not arrive: %s", error)
            for descriptor in descriptors:
                os.close(descriptor)
            return
        raw = _socket.socket(fileno=descriptors[0])
        self._take(raw, tuple(client) if isinstance(client, list) else client, early)


def _claim(directory: str) -> tuple[str, int]:
    """Return a label that no living process has, and the lock that keeps it."""
    for label in LABELS:
        try:
            lock = os.open(os.path.join(directory, f"{label}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"worker_dir = {directory!r}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return label, lock
    raise SettingsError(f"worker_dir = {directory!r}: there are {len(LABELS)} workers already, which is the most")


def _listen(path: str) -> Any:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of one who had the label before
    listener = gevent_socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        raise SettingsError(f"worker_dir: cannot listen at {path!r}: {error}") from None
    listener.listen(256)
    return listener
