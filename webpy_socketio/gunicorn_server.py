"""The server within SocketIOWorker: SocketIOServer as gunicorn's users expect a server to log, to count and to end."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, NamedTuple

from gevent.pool import Pool
from gunicorn.http.wsgi import base_environ
from gunicorn.sock import ssl_context

from .doors import NO_BUS, SEVERAL_PROCESSES
from .errors import SettingsError
from .farewell import Part
from .front import Front
from .handler import SocketIOHandler
from .server import SocketIOServer
from .startup import is_patched
from .transports.http import Request
from .transports.service import Response
from .transports.streams import Connection

#: The environ's key of the moment when a request had been read.
STARTED = "webpy_socketio.started"

Worker = Any  # gunicorn has no types


def make_server(worker: Worker) -> GunicornServer:
    """Make the server of a worker.

    Raises SettingsError for what cannot be served.
    """
    if len(worker.sockets) != 1:
        places = ", ".join(str(sock.getsockname()) for sock in worker.sockets)
        raise SettingsError(
            f"SocketIOWorker listens at one address, and gunicorn has several to bind: {places}. "
            "Leave one, and let a proxy answer at the others"
        )
    server = GunicornServer(worker)
    if worker.cfg.workers > 1 and worker.age == 1:
        if worker.cfg.is_ssl:  # what is encrypted cannot be handed over
            worker.log.warning("%s", SEVERAL_PROCESSES)
        if server.door.settings.redis_url is None:
            worker.log.warning("%s", NO_BUS)
    return server


class Answered(NamedTuple):
    """What gunicorn's access log wants to know of a response."""

    status: str
    headers: list[tuple[str, str]]
    sent: int


class Pages:
    """The requests that are being answered outside of the front. They end by themselves, or are waited for in vain."""

    def __init__(self) -> None:
        self.running = 0

    def drain(self, longest: float) -> None:
        """Nothing ends before it is answered."""

    def end_all(self) -> None:
        """Nor after that: gunicorn has an end for what does not end."""

    @property
    def is_quiet(self) -> bool:
        """Whether no request is being answered."""
        return not self.running


class GunicornHandler(SocketIOHandler):
    """Handles the requests of one connection that is not, or not only, for Socket.IO."""

    def get_environ(self) -> dict[str, Any]:
        """The environ of a request, with what gunicorn adds."""
        environ = super().get_environ()
        environ["RAW_URI"] = self.path
        return environ

    def handle_one_response(self) -> None:
        """Answer one request, which the end of the server waits for."""
        pages = self.server.pages
        pages.running += 1
        try:
            super().handle_one_response()
        finally:
            pages.running -= 1

    def run_application(self) -> None:
        """Let the application answer."""
        self.server.worker.count_request()
        super().run_application()

    def write_log(self) -> None:
        """Write a line into gunicorn's access log; one that could not be read as a request goes to its other log."""
        environ = getattr(self, "environ", None)
        if not environ:
            super().write_log()
            return
        status = self.status.decode("latin-1") if isinstance(self.status, bytes) else str(self.status)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.response_headers]
        answered = Answered(status, headers, self.response_length)
        took = timedelta(seconds=self.time_finish - self.time_start)
        self.server.worker.log.access(answered, self.headers.items(), environ, took)


class GunicornFront(Front):
    """Serves the requests for Socket.IO."""

    handler_class = GunicornHandler

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        """The environ of a request, with what gunicorn adds."""
        environ = super().make_environ(request, address)
        environ["RAW_URI"] = request.path.decode("latin-1") + ("?" if request.query else "") + request.query
        environ[STARTED] = time.monotonic()
        return environ

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        """Let the application answer."""
        self._server.worker.count_request()
        return super().run_application(environ, connection)

    def write_log(self, request: Request, environ: dict[str, Any], status: str, size: int) -> None:
        """Write a line into gunicorn's access log."""
        took = timedelta(seconds=time.monotonic() - environ[STARTED])
        headers = [(name.removeprefix("HTTP_").replace("_", "-"), value) for name, value in request.headers.items()]
        self._server.worker.log.access(Answered(status, [], size), headers, environ, took)


class GunicornServer(SocketIOServer):
    """SocketIOServer within a worker."""

    handler_class = GunicornHandler
    front_class = GunicornFront

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.pages = Pages()
        check_preloaded(worker)
        is_ssl = worker.cfg.is_ssl
        options = {"ssl_context": ssl_context(worker.cfg)} if is_ssl else {"worker_dir": worker.directory}
        super().__init__(
            worker.sockets[0],
            worker.wsgi,
            spawn=Pool(worker.worker_connections),
            log=worker.log,
            error_log=worker.log,
            environ=base_environ(worker.cfg),
            **options,
        )

    def _parts(self) -> list[Part]:
        return [*super()._parts(), self.pages]


def check_preloaded(worker: Worker) -> None:
    """Raise SettingsError if the master has loaded the application without gevent's patches."""
    if worker.cfg.preload_app and not is_patched():
        raise SettingsError(
            "with --preload the master loads the application, and web.py with it, so gevent's patches must come "
            "before that: let gunicorn.conf.py begin with 'from gevent import monkey; monkey.patch_all()'"
        )
