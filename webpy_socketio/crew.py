"""The crew: the worker processes of a server, which its first process starts, replaces and ends.

Each worker is the program run anew, from the top of its main module: nothing is shared with the first process but the
listening socket, and no greenlet, thread or connection has to survive a fork. An environment variable tells a worker
that it is one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import NamedTuple

import gevent
from gevent.event import Event

from .errors import SettingsError
from .logs import logger

VARIABLE = "WEBPY_SOCKETIO_WORKER"
#: Seconds. Who ends sooner has not served, and is started again after a pause that doubles each time.
SHORTEST_LIFE = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
#: So many short lives, one after the other, of a crew that has never served, end it.
MOST_FAILURES = 3
#: Seconds that a worker gets beyond what it needs to stop.
PATIENCE = 2.0
READ = 1


class Place(NamedTuple):
    """What a worker gets from the first process."""

    #: Descriptor of the listening socket.
    listener: int
    #: Where the workers find each other.
    directory: str
    #: Descriptor of a pipe that nobody writes to. It ends with the first process, however that ends.
    lifeline: int

    def on_abandoned(self, stop: Callable[[], object]) -> None:
        """Call a function when the first process is gone."""
        watcher = gevent.get_hub().loop.io(self.lifeline, READ)

        def look() -> None:
            watcher.stop()
            stop()

        watcher.start(look)


def take_place(environ: MutableMapping[str, str]) -> Place | None:
    """Return the place of this process in a crew, if it is a worker; programs that it starts are none."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    listener, lifeline, directory = text.split(":", 2)
    return Place(int(listener), directory, int(lifeline))


class Crew:
    """The workers of one server.

    :param size: how many they are.
    :param listener: descriptor of the socket that all listen at.
    :param patience: seconds that a worker needs to stop.
    """

    def __init__(self, size: int, listener: int, patience: float) -> None:
        self._size = size
        self._listener = listener
        self._patience = patience + PATIENCE
        self._command = _own_command()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._failures = 0
        self._has_served = self._is_hopeless = False
        self._stopping = Event()

    def run(self) -> None:
        """Keep so many workers until SIGTERM or SIGINT. Raises SystemExit if none can serve."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        watchers = [gevent.signal_handler(number, self._on_signal) for number in numbers]
        try:
            with _common() as common:
                keepers = [gevent.spawn(self._keep_one, *common) for _ in range(self._size)]
                self._stopping.wait()
                self._tell(signal.SIGTERM)
                gevent.joinall(keepers, self._patience)
                self._tell(signal.SIGKILL)
                gevent.joinall(keepers)
        finally:
            for watcher in watchers:
                watcher.cancel()
        if self._is_hopeless:
            raise SystemExit(1)

    def _keep_one(self, directory: str, lifeline: int) -> None:
        """Start a worker, and another one whenever it ends."""
        environ = os.environ | {VARIABLE: f"{self._listener}:{lifeline}:{directory}"}
        while not self._stopping.is_set():
            # In a session of its own, so that Ctrl-C reaches it through this process, and once.
            process = subprocess.Popen(
                self._command, env=environ, pass_fds=(self._listener, lifeline), start_new_session=True
            )
            self._processes.add(process)
            try:
                process.wait(SHORTEST_LIFE)
            except subprocess.TimeoutExpired:
                self._has_served, self._failures = True, 0
            status = process.wait()
            self._processes.discard(process)
            if not self._stopping.is_set():
                self._note_end(process.pid, status)

    def _note_end(self, pid: int, status: int) -> None:
        logger.warning("worker %d ended with status %s; another takes its place", pid, status)
        self._failures += status > 0  # else it was killed
        if self._failures >= MOST_FAILURES and not self._has_served:
            logger.error("the workers end as soon as they are started: what they say above has to be put right")
            self._is_hopeless = True
            self._stopping.set()
        elif self._failures:
            self._stopping.wait(min(SHORTEST_PAUSE * 2**self._failures, LONGEST_PAUSE))

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._tell(signal.SIGKILL)
            raise SystemExit(1)
        logger.info("stopping; press Ctrl-C or signal again to stop at once")
        self._stopping.set()

    def _tell(self, number: int) -> None:
        for process in self._processes:
            process.send_signal(number)


@contextmanager
def _common() -> Iterator[tuple[str, int]]:
    """What the workers of a crew share: their directory, and the end of a pipe that tells when nobody needs them."""
    directory = tempfile.mkdtemp(prefix="socketio-")
    lifeline, ours = os.pipe()
    try:
        yield directory, lifeline
    finally:
        os.close(lifeline)
        os.close(ours)
        shutil.rmtree(directory, ignore_errors=True)


def _own_command() -> list[str]:
    """The command that runs this program once more. Raises SettingsError if it was typed in."""
    if len(sys.orig_argv) < 2 or sys.orig_argv[1] in ("-c", "-i", "-"):
        raise SettingsError("workers are the program run several times, so it has to be a file or a module")
    return [sys.executable, *sys.orig_argv[1:]]
