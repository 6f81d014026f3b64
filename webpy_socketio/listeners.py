"""Listeners: where a server listens, and the sockets that are made for it or inherited."""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import stat
from collections.abc import MutableMapping

from .errors import SettingsError
from .settings import Settings

#: What the address of a Unix socket begins with.
UNIX = "unix:"
#: Whoever may enter the directory of a socket file may connect, as everybody on a machine may to a port of it.
SOCKET_FILE_MODE = 0o666
#: The first descriptor that systemd hands over (sd_listen_fds(3)).
FIRST_ACTIVATED = 3
BUSY = (0, errno.EAGAIN, errno.EINPROGRESS)
REMEDIES = {
    errno.EADDRINUSE: "somebody listens there; stop that program, or choose another place",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EAFNOSUPPORT: "this machine does not have that kind of addresses",
    errno.EACCES: "this user may not; a port below 1024 can be had from a systemd socket or a proxy",
    errno.ENOENT: "there is no such directory",
}


def choose_listener(settings: Settings, environ: MutableMapping[str, str]) -> int | str | tuple[str, int]:
    """Where a server listens that was not told: ``fd``, systemd's socket, ``unix``, or ``host`` and ``port``.

    Raises SettingsError if more than one place is meant.
    """
    if settings.fd is not None and settings.unix is not None:
        raise SettingsError("both fd and unix are set, but a server listens at one place: leave one out")
    if settings.fd is not None:
        return settings.fd
    activated = take_activated(environ)
    if activated is not None:
        return activated
    return (settings.host, settings.port) if settings.unix is None else UNIX + settings.unix


def take_activated(environ: MutableMapping[str, str]) -> int | None:
    """The descriptor that systemd hands to this process, if it does; then remove that from the environment.

    Programs that this one starts must not take it to be theirs (sd_listen_fds(3)). Raises SettingsError if there are
    several.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if count == "0":
        return None
    if count != "1":
        raise SettingsError(f"systemd hands over {count or 'no'} sockets, but a server listens at one: "
                            "write one ListenStream= in its .socket unit")  # fmt: skip
    return FIRST_ACTIVATED


def inherit(descriptor: int) -> _socket.socket:
    """The listening socket of a descriptor that this process was started with.

    Raises SettingsError if it is none; the descriptor stays as it is then.
    """
    try:
        listener = _socket.socket(fileno=descriptor)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the descriptor {descriptor} is no socket that this process was started with ({_cause(error)}); "
            f"to listen on a port, write ('', {descriptor})"
        ) from None
    try:
        check_listening(listener)
    except SettingsError:
        listener.detach()
        raise
    os.set_inheritable(descriptor, False)
    return listener


def check_listening(sock: _socket.socket) -> None:
    """Raise SettingsError for a socket at which nobody can connect."""
    if not sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN):
        raise SettingsError(
            f"the socket with descriptor {sock.fileno()} does not listen: whoever made it has to call its listen()"
        )


def explain(error: OSError) -> str:
    """Why it is not possible to listen at an address, and what to do about it."""
    return REMEDIES.get(error.errno or 0, _cause(error))


def name_unix(address: str | bytes) -> str:
    """A Unix socket's address for people; an abstract one begins with ``@`` (unix(7))."""
    return UNIX + (address if isinstance(address, str) else address.decode(errors="replace").replace("\0", "@", 1))


class SocketFile:
    """The file of a Unix socket at which this process listens."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._identity: tuple[int, int] | None = None

    def listen(self, backlog: int) -> _socket.socket:
        """Make the file and the socket; a file at which nobody listens any more is replaced.

        Raises SettingsError if the place is taken, and OSError for what else may fail.
        """
        self._clear()
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            listener.bind(self.path)
            os.chmod(self.path, SOCKET_FILE_MODE)  # nobody can connect yet
            self._identity = _identify(self.path)
            listener.listen(backlog)
        except OSError:
            listener.close()
            raise
        return listener

    def remove(self) -> None:
        """Remove the file, unless another process has put its own there meanwhile."""
        identity, self._identity = self._identity, None
        with contextlib.suppress(OSError):
            if identity is not None and _identify(self.path) == identity:
                os.unlink(self.path)

    def _clear(self) -> None:
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise SettingsError(f"{self.path} is there, and is no socket: remove it, or choose another path")
        probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            probe.setblocking(False)
            code = probe.connect_ex(self.path)
        finally:
            probe.close()
        if code in BUSY:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        if code != errno.ECONNREFUSED:
            raise SettingsError(f"{self.path} is in the way: {os.strerror(code)}")
        os.unlink(self.path)  # left behind by a process that was killed


def _identify(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _cause(error: Exception) -> str:
    code = getattr(error, "errno", None) or 0
    return os.strerror(code) if code > 0 else getattr(error, "strerror", None) or str(error)
