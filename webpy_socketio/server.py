"""SocketIOServer: gevent's WSGI server, able to let go of a connection that has become a WebSocket."""

from __future__ import annotations

import _socket
import contextlib
import os
import signal
from dataclasses import replace
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer
from gevent.socket import socket as gevent_socket

from .crew import Crew, take_place
from .doors import DOOR
from .engineio import EngineIO
from .errors import SettingsError
from .farewell import Part, drain
from .forwarded import FORWARDED
from .front import Front
from .handler import SocketIOHandler
from .listeners import UNIX, SocketFile, check_listening, choose_listener, explain, inherit, name_unix
from .logs import logger
from .server_options import check_proxies, check_workers, encryption, sort_options
from .startup import check_patched, read_settings, start_node
from .transports.colleagues import Colleagues
from .transports.probe import NAME as PROBE
from .transports.proxy_headers import ProxyHeaders


class SocketIOServer(WSGIServer):  # type: ignore[misc]
    """Serves a WSGI application, and gives its connections away to WebSockets.

    :param listener: where to listen: an address like ``("", 8000)`` or ``"unix:/run/app.sock"``, a listening socket,
        or the descriptor of one. None means the setting ``fd``, systemd's socket, ``unix``, or ``host`` and ``port``.
    :param application: the WSGI application, which routes Socket.IO's path to ``socketio_urls``.
    :param resource: first part of the URL path under which Socket.IO answers; see also ``make_socketio_urls``.
    :param options: settings (durations in seconds, sizes in bytes), and the options of gevent's WSGIServer. The names
        of gevent-socketio are understood too; one without meaning today warns.

    Raises SettingsError for an option that does not exist, and for what cannot be listened at.
    """

    handler_class = SocketIOHandler
    front_class = Front
    socket: Any
    _file: SocketFile | None = None

    def __init__(
        self, listener: Any = None, application: Any = None, resource: str | None = None, **options: Any
    ) -> None:
        if resource is not None:
            options["resource"] = resource
        if not callable(application):
            raise SettingsError(f"{application!r} is no WSGI application; give the server app.wsgifunc()")
        check_patched()
        settings_given, server_options = sort_options(options)
        settings = read_settings(settings_given)
        check_proxies(settings)
        check_workers(settings)
        #: Set in a worker of several.
        self._place = take_place(os.environ) if settings.workers > 1 else None
        if self._place is not None:
            listener = self._place.listener
            settings = replace(settings, workers=1, worker_dir=self._place.directory)
        elif listener is None:
            listener = choose_listener(settings, os.environ)
        self._settings = settings
        #: The other workers, once this one serves.
        self.colleagues: Colleagues | None = None
        server_options |= encryption(settings, server_options.pop("ssl_context", None))
        super().__init__(listener, application, **server_options)
        self._running = start_node(settings)
        self._forwarded = self._running.door.forwarded
        self.environ[DOOR] = self._running.door
        #: What answers the requests for sessions.
        self.door = self.application.door if isinstance(self.application, EngineIO) else self._running.door
        #: Where a request is answered in pieces.
        self.probe_path = f"/{self.door.settings.resource}/{PROBE}"
        if self._forwarded is not None:
            self.environ[FORWARDED] = self._forwarded
        self._proxy_headers = (
            ProxyHeaders(self._running.node.hub, self._serve_proxied) if settings.proxy_protocol else None
        )
        self._stopping = False
        # A handler of somebody else's sees every request, as it would with gevent's own server.
        is_ours = self.handler_class is self.front_class.handler_class
        self._front = self.front_class(self, self.door) if is_ours else None

    def set_listener(self, listener: Any) -> None:
        """Note where to listen. Raises SettingsError for what is no place to listen at."""
        if isinstance(listener, str) and listener.startswith(UNIX):
            self._file = SocketFile(listener[len(UNIX) :])
            self.family, self.address = _socket.AF_UNIX, self._file.path
            return
        if isinstance(listener, int):
            self.socket = inherit(listener)
            self.family, self.address = self.socket.family, self.socket.getsockname()
            return
        try:
            super().set_listener(listener)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"cannot listen at {listener!r}: {error}; write ('', 8000), for example") from None
        if not self.closed:
            check_listening(self.socket)

    def init_socket(self) -> None:
        """Listen. Raises SettingsError, with the cause, if that is not possible."""
        try:
            if self._file is not None and self.closed:
                self.socket = self._file.listen(self.backlog)
            super().init_socket()
        except OSError as error:
            raise SettingsError(f"cannot listen at {self._where()}: {explain(error)}") from None
        self.socket.setblocking(False)
        if self._front is not None:
            self._handle = self.handle  # what comes from the front is encrypted already

    def start(self) -> None:
        """Begin to serve, in this process. Raises SettingsError where there are to be several."""
        if self._settings.workers > 1:
            raise SettingsError("several workers are started by serve_forever()")
        if self._settings.worker_dir is not None:
            prefix = f"/{self.door.settings.resource}/".encode()
            self.colleagues = Colleagues(self._settings.worker_dir, prefix, self._take_over)
            self.door.hub.label = self.colleagues.label
        super().start()

    def close(self) -> None:
        """Listen no more."""
        if self._file is not None:
            self._file.remove()
        super().close()

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
        """Have a connection served; of a proxy's, the PROXY header is read first."""
        if self._proxy_headers is not None and len(args) == 2 and self._is_proxy(args[1]):
            self._proxy_headers.expect(*args)
        else:
            self._serve(*args)

    def _is_proxy(self, address: Any) -> bool:
        return self._forwarded is not None and self._forwarded.is_trusted(address)

    def _serve_proxied(self, sock: Any, address: Any) -> None:
        """Have a connection served whose PROXY header has been read."""
        if self.closed:
            sock.close()
        elif self._front is None and self.full():  # the option spawn limits it: wait for a place, but not in the loop
            gevent.spawn(self._serve, sock, address)
        else:
            self._serve(sock, address)

    def _serve(self, *args: Any) -> None:
        """Have a connection served, without a greenlet as long as that will do."""
        if self._front is None or len(args) > 2:
            super().do_handle(*args)
        else:
            self._front.welcome(*args)

    def owner_of(self, head: bytes) -> str | None:
        """The label of the other worker that has the session which a request is for, if one has."""
        return None if self.colleagues is None else self.colleagues.owner_of(head)

    def _take_over(self, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Serve a connection that came to another worker, which has read something of it."""
        if self._front is not None:
            self._front.welcome(raw, address, early)
        else:
            sock = gevent_socket(raw.family, raw.type, raw.proto, fileno=raw.detach())
            gevent.spawn(self.handle, sock, address, early)

    def handle(self, sock: Any, address: Any, early: bytes = b"") -> None:
        """Handle the requests of a connection in a greenlet of its own; some of it has been read already."""
        handler = self.handler_class(sock, address, self)
        if early:
            handler.put_back(early)
        handler.handle()

    def wrap_socket_and_handle(self, sock: Any, address: Any) -> None:
        """Encrypt a connection for a handler that is not ours; the front does it for ours."""
        seconds = self._running.node.hub.settings.header_timeout
        try:
            with gevent.Timeout(seconds, TimeoutError("it took too long")):
                encrypted = self.wrap_socket(sock, **self.ssl_args)
        except OSError as error:
            logger.debug("no TLS with %s: %s", address, error)
            return
        with contextlib.closing(encrypted):
            self.handle(encrypted, address)

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Serve until :meth:`stop`, SIGTERM or SIGINT; a second signal ends the process at once.

        With several ``workers``, this process only looks after them.
        """
        if self._settings.workers > 1:
            self._look_after_workers(stop_timeout)
            return
        self.start()
        logger.info("Socket.IO on %s", self._where())
        if self._place is not None:
            self._place.on_abandoned(self._stop_event.set)
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
        seconds = self._settings.stop_timeout if timeout is None else timeout
        self.close()
        drain(self._parts(), seconds)
        if self._proxy_headers is not None:
            self._proxy_headers.close()
        if self._front is not None:
            self._front.close()
        if self.colleagues is not None:
            self.colleagues.close()
        self._running.stop(seconds)
        super().stop(timeout=0.1)

    def _look_after_workers(self, stop_timeout: float | None) -> None:
        self._running.stop(0)  # nobody comes to this process
        self.init_socket()
        seconds = self._settings.stop_timeout if stop_timeout is None else stop_timeout
        os.set_inheritable(self.socket.fileno(), True)
        logger.info("%d workers for %s", self._settings.workers, self._where())
        try:
            Crew(self._settings.workers, self.socket.fileno(), seconds).run()
        finally:
            self.close()

    def _parts(self) -> list[Part]:
        """What has to come to an end before the server does."""
        parts: list[Part] = [self._running.node]
        if isinstance(self.application, EngineIO):
            parts.append(self.application)
        return parts

    def _where(self) -> str:
        """Where to reach this server, for people."""
        if not isinstance(self.address, tuple):
            return name_unix(self.address)
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
