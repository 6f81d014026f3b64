"""SocketIOWorker: gunicorn's gevent worker around SocketIOServer, ``gunicorn -k webpy_socketio.worker.SocketIOWorker``.

Gunicorn imports this in its master process, which is not patched and shall not be: nothing of ours is needed there, and
nothing of it may be there when a worker forks. What serves is imported in the worker.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from typing import Any

import gevent
from gevent.event import Event
from gevent.monkey import is_module_patched
from gunicorn.arbiter import Arbiter
from gunicorn.workers.ggevent import GeventWorker

SERVER_MODULE = "webpy_socketio.gunicorn_server"
#: Packages that came with this module, and may have been imported before gevent's patches.
IMPORTED_EARLY = ("web", "webpy_socketio")
#: Seconds between two signs of life for the master.
HEARTBEAT = 1.0
#: Seconds that a worker gets which shall end quickly.
QUICK = 1.0


class SocketIOWorker(GeventWorker):  # type: ignore[misc]
    """Serves the application with SocketIOServer, and ends all sessions before it ends itself."""

    _directory: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if SocketIOWorker._directory is None:  # this is the master
            SocketIOWorker._directory = _make_directory()
        #: Where the workers of one master find each other.
        self.directory = SocketIOWorker._directory
        self._server: Any = None
        self._leaving = Event()
        # The master kills what is still there after graceful_timeout.
        self._patience = max(QUICK, self.cfg.graceful_timeout - QUICK)

    def patch(self) -> None:
        """Patch the process, and have imported anew what came before that."""
        is_late = not is_module_patched("threading")
        super().patch()
        if is_late and not self.cfg.preload_app:
            for name in [name for name in sys.modules if name.partition(".")[0] in IMPORTED_EARLY]:
                del sys.modules[name]

    def load_wsgi(self) -> None:
        """Load the application and make its server. What the operator has to put right ends gunicorn."""
        super().load_wsgi()
        module = importlib.import_module(SERVER_MODULE)
        try:
            self._server = module.make_server(self)
        except module.SettingsError as error:
            self.log.error("%s", error)
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def run(self) -> None:
        """Serve until the master, or the number of requests, says that it is over."""
        self._server.start()
        try:
            while self.alive:
                self.notify()
                self._leaving.wait(HEARTBEAT)
        finally:
            beat = gevent.spawn(self._keep_beating)
            self._server.stop(self._patience)
            beat.kill()

    def leave(self) -> None:
        """Begin to end; may be called from a signal's handler."""
        self.alive = False
        self._leaving.set()

    def count_request(self) -> None:
        """Count a request of the application, of which a worker may have had enough (``max_requests``)."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.leave()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End in an orderly way (SIGTERM; after SIGHUP the master sends it too)."""
        self.leave()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End quickly (SIGQUIT, SIGINT): sessions have their ends, but pages are not waited for long."""
        self._patience = QUICK
        gevent.spawn(self.cfg.worker_int, self)
        self.leave()

    def _keep_beating(self) -> None:
        while True:
            self.notify()
            gevent.sleep(HEARTBEAT)


def _make_directory() -> str:
    """Make a private directory that is there as long as this process is."""
    directory, owner = tempfile.mkdtemp(prefix="socketio-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a worker, which inherits this
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
    return directory
