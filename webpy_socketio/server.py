"""SocketIOServer: gevent's WSGI server, able to let go of a connection that has become a WebSocket."""

from __future__ import annotations

import _socket
import inspect
import signal
import warnings
from collections.abc import Iterable
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

from .doors import DOOR
from .engineio import EngineIO
from .errors import SettingsError
from .farewell import Part, drain
from .front import Front
from .handler import SocketIOHandler
from .logs import logger
from .startup import check_patched, read_settings, start_node
from .wsgi import Door

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
    front_class = Front

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
        # A handler of somebody else's sees every request, as it would with gevent's own server.
        is_ours = self.handler_class is self.front_class.handler_class
        self._front = self.front_class(self, self._front_door()) if is_ours and not self.ssl_enabled else None

    def _front_door(self) -> Door:
        return self.application.door if isinstance(self.application, EngineIO) else self._running.door

    def do_read(self) -> Any:
        """Accept a connection."""
        if self._front is None:
            return super().do_read()
        try:
            descriptor, address = self.socket._accept()
        except BlockingIOError:
            return None
        listener = self.socket
        return _socket.socket(listener.family, listener.type, listener.proto, fileno=descriptor), address

    def do_handle(self, *args: Any) -> None:
        """Have a connection served, without a greenlet as long as that will do."""
        if self._front is None or len(args) > 2:
            super().do_handle(*args)
        else:
            self._front.welcome(*args)

    def handle(self, sock: Any, address: Any, early: bytes = b"") -> None:
        """Handle the requests of a connection in a greenlet of its own; some of it has been read already."""
        handler = self.handler_class(sock, address, self)
        if early:
            handler.put_back(early)
        handler.handle()

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
        seconds = self._running.node.hub.settings.stop_timeout if timeout is None else timeout
        self.close()
        drain(self._parts(), seconds)
        if self._front is not None:
            self._front.close()
        self._running.stop(seconds)
        super().stop(timeout=0.1)

    def _parts(self) -> list[Part]:
        """What has to come to an end before the server does."""
        parts: list[Part] = [self._running.node]
        if isinstance(self.application, EngineIO):
            parts.append(self.application)
        return parts

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
