"""SocketIOServer: gevent's WSGI server, able to let go of a connection that has become a WebSocket."""

from __future__ import annotations

import contextlib
import inspect
import signal
import socket
import warnings
from collections.abc import Iterable
from typing import Any

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from .doors import DOOR
from .engineio import EngineIO
from .errors import SettingsError
from .logs import logger, printable
from .node import Node
from .startup import check_patched, read_settings, start_node
from .transports.streams import KEY, Connection
from .wsgi import ROUTINE, Answer

#: gevent-socketio's names of options that still have a meaning.
RENAMED = {"heartbeat_interval": "ping_interval", "heartbeat_timeout": "ping_timeout"}
#: gevent-socketio's names of transports, as they are called today.
TRANSPORT_NAMES = {"xhr-polling": "polling", "jsonp-polling": "polling", "polling": "polling", "websocket": "websocket"}
MEANINGLESS = {
    "policy_server": "browsers have had no Flash since 2021, so nothing asks for a policy file",
    "policy_listener": "browsers have had no Flash since 2021, so nothing asks for a policy file",
}
SERVER_OPTIONS = frozenset(inspect.signature(WSGIServer.__init__).parameters) - {"self", "listener", "application"}
TLS_OPTIONS = frozenset(("keyfile", "certfile", "ca_certs", "cert_reqs", "ssl_version", "ssl_context", "ciphers"))


class SocketIOHandler(WSGIHandler):  # type: ignore[misc]
    """Handles the requests of one connection, until it is handed to a WebSocket."""

    def __init__(self, sock: Any, address: Any, server: Any, rfile: Any = None) -> None:
        super().__init__(sock, address, server, rfile)
        self._connection: Connection | None = None
        self._corked: list[bytes] | None = None
        self.response_headers: list[tuple[bytes, bytes]] = []
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_environ(self) -> dict[str, Any]:
        """The environ of a request, with the connection in it for who can use it."""
        environ: dict[str, Any] = super().get_environ()
        self._connection = None
        if not self.server.ssl_enabled:
            self._connection = environ[KEY] = Connection(self.socket)
        return environ

    def handle(self) -> None:
        """Handle the requests of a connection; that the client went away is not worth a word."""
        with contextlib.suppress(OSError):
            super().handle()

    def handle_one_response(self) -> None:
        """Answer one request; then let go of the connection if the answer was to switch protocols."""
        super().handle_one_response()
        connection = self._connection
        if connection is None or connection.taker is None:
            return
        if self.code == 101 and self.headers_sent:
            connection.detach(self._unread)
            self.socket = None
        elif connection.on_failure is not None:
            connection.on_failure()  # something between us and the server changed the answer
        self.close_connection = True

    def write(self, data: bytes) -> None:
        """Send a part of the application's answer; if that was empty to its end, make the one that was put off."""
        connection = self._connection
        if data or self.headers_sent or connection is None or connection.later is None or self.code != 200:
            super().write(data)
            return
        later, connection.later = connection.later, None
        answer: Answer = later()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.response_headers]
        kept = [header for header in headers if header[0].lower() not in ("content-length", "content-type")]
        self.start_response(answer.status, kept + answer.headers)
        super().write(answer.body)

    def finalize_headers(self) -> None:
        """Complete the headers; a switch of protocols has no length (RFC 9110, section 8.6)."""
        super().finalize_headers()
        if self.code == 101:
            self.response_headers = [h for h in self.response_headers if h[0].lower() != b"content-length"]

    def format_request(self) -> str:
        """One line of the access log; what the client sent is escaped in it."""
        return printable(super().format_request())

    def log_request(self) -> None:
        """Write the access log, but not a line for each packet that comes or goes."""
        environ = getattr(self, "environ", None) or {}  # there is none of a request that could not be read
        if not (environ.get(ROUTINE) and self.code in (101, 200)):
            super().log_request()

    def _handle_client_error(self, ex: Exception) -> Any:
        """Answer a request that cannot be read; a client that went away meanwhile is not worth a word."""
        return None if isinstance(ex, OSError) else super()._handle_client_error(ex)

    def _unread(self) -> bytes:
        """What the client sent after its request, and was read from the socket together with it."""
        sock: Any = self.socket
        sock.settimeout(0.0)
        try:
            return bytes(self.rfile.peek())
        except OSError:
            return b""

    # Head and body in one send: in two, the second would wait for the client to acknowledge the first.

    def _write_with_headers(self, data: bytes) -> None:
        self._corked = []
        super()._write_with_headers(data)
        whole, self._corked = b"".join(self._corked), None
        self._sendall(whole)

    def _sendall(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked.append(bytes(data))
            return
        try:
            super()._sendall(data)
        except OSError:
            if self._connection is not None and self._connection.on_failure is not None:
                self._connection.on_failure()
            raise


class SocketIOServer(WSGIServer):  # type: ignore[misc]
    """Serves a WSGI application, and gives its connections away to WebSockets.

    :param listener: the address, like ``("", 8000)``; None means the settings ``host`` and ``port``.
    :param application: the WSGI application, which routes Socket.IO's path to ``socketio_urls``.
    :param resource: first part of the URL path under which Socket.IO answers; see also ``make_socketio_urls``.
    :param options: settings (durations in seconds, sizes in bytes), and the options of gevent's WSGIServer. The names
        of gevent-socketio are understood too; one without meaning today warns.

    Raises SettingsError for an option that does not exist.
    """

    handler_class = SocketIOHandler

    def __init__(
        self, listener: Any = None, application: Any = None, resource: str | None = None, **options: Any
    ) -> None:
        if resource is not None:
            options["resource"] = resource
        if not callable(application):
            raise SettingsError(f"{application!r} is no WSGI application; give the server app.wsgifunc()")
        check_patched()
        settings_given, server_options = _sort(options)
        settings = read_settings(settings_given)
        self._running = start_node(settings)
        super().__init__(
            (settings.host, settings.port) if listener is None else listener, application, **server_options
        )
        self.environ[DOOR] = self._running.door
        self._stopping = False

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Serve until :meth:`stop`, SIGTERM or SIGINT; a second signal ends the process at once."""
        self.start()
        logger.info("Socket.IO on %s", self._place())
        watchers = [gevent.signal_handler(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)]
        try:
            self._stop_event.wait()
            self.stop(stop_timeout)
        finally:
            for watcher in watchers:
                watcher.cancel()

    def stop(self, timeout: float | None = None) -> None:
        """Take no new connections, end all sessions, and wait for their handlers.

        :param timeout: seconds to wait; the setting ``stop_timeout`` if not given.
        """
        if self._stopping:
            return
        self._stopping = True
        node = self._running.node
        seconds = node.hub.settings.stop_timeout if timeout is None else timeout
        self.close()
        served: list[Node | EngineIO] = [node]
        if isinstance(self.application, EngineIO):
            served.append(self.application)
        for part in served:
            part.drain()
        with gevent.Timeout(seconds, False):
            while not all(part.is_quiet for part in served):
                gevent.sleep(0.01)
        if not all(part.is_quiet for part in served):
            logger.warning("stopped after %s seconds, though handlers were still running", seconds)
        self._running.stop(seconds)
        super().stop(timeout=0.1)

    def _place(self) -> str:
        """Where to reach this server, for people."""
        if not isinstance(self.address, tuple):
            return str(self.address)
        host, port = self.address[:2]
        if host in ("", "0.0.0.0", "::"):
            host = "localhost"
        scheme = "https" if self.ssl_enabled else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    def _on_signal(self) -> None:
        if self._stop_event.is_set():
            raise SystemExit(1)
        logger.info("stopping; press Ctrl-C or signal again to stop at once")
        self._stop_event.set()


def _sort(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide options into settings and those of gevent's server, translating what gevent-socketio called otherwise."""
    settings: dict[str, Any] = {}
    server: dict[str, Any] = {}
    for name, value in options.items():
        if name in MEANINGLESS:
            warnings.warn(f"{name} does nothing: {MEANINGLESS[name]}", stacklevel=3)
        elif name == "transports":
            settings[name] = _transports(value)
        elif name == "log_file":
            server["log"] = open(value, "a", buffering=1)  # noqa: SIM115  # it stays open as long as the process
        elif name in SERVER_OPTIONS or name in TLS_OPTIONS:
            server[name] = value
        else:
            settings[RENAMED.get(name, name)] = value
    return settings, server


def _transports(names: Any) -> Any:
    if not isinstance(names, Iterable):
        return names  # the settings have a word for that
    known: dict[str, None] = {}
    for name in names.split(",") if isinstance(names, str) else names:
        if name in TRANSPORT_NAMES:
            known[TRANSPORT_NAMES[name]] = None
        elif name in ("flashsocket", "htmlfile", "xhr-multipart"):
            warnings.warn(f"the transport {name} does nothing: no browser of today has it", stacklevel=4)
        else:
            raise SettingsError(f"unknown transport {name!r}; choose from polling, websocket")
    return tuple(known)
