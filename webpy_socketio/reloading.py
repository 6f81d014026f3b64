"""Serving for development: one process keeps the listening socket, another serves and is replaced on every change."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import SettingsError
from .logs import log_to_stderr, logger
from .processes import patched_command
from .settings import Settings
from .startup import read_settings

#: Milliseconds between two looks at whether the serving process still runs.
GLANCE = 300
#: Seconds that the serving process gets beyond its own ``stop_timeout``.
PATIENCE = 5.0


def serve_reloading(name: str, settings: Mapping[str, str], access_log: bool) -> int:
    """Serve an application, and start it anew whenever a ``.py`` file in or below the current directory changes.

    Ends on SIGTERM or SIGINT with the serving process, at once on a second; returns the exit status.
    Raises SettingsError if the address cannot be had, or watchfiles is not installed.
    """
    watchfiles = _import_watchfiles()
    known = read_settings(settings)
    log_to_stderr(known.log_format)
    stop = threading.Event()
    with _listen(known) as listener:
        descriptor = str(listener.fileno())
        kept = {"fd": descriptor} | {key: value for key, value in settings.items() if key not in ("host", "port")}
        options = [part for key, value in kept.items() for part in ("--set", f"{key}={value}")]
        arguments = ["serve", name, *options, *(["--access-log"] if access_log else [])]
        child = _Child(patched_command(arguments), listener.fileno(), known.stop_timeout + PATIENCE)

        def on_signal(*_: Any) -> None:
            if stop.is_set():
                child.kill()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        _keep_serving(child, watchfiles, stop)
    return 0


def _keep_serving(child: _Child, watchfiles: Any, stop: threading.Event) -> None:
    child.start()
    try:
        for changes in watchfiles.watch(
            Path.cwd(),
            watch_filter=watchfiles.PythonFilter(),
            stop_event=stop,
            rust_timeout=GLANCE,
            yield_on_timeout=True,
        ):
            if changes:
                logger.info("%s changed: starting anew", _names({path for _, path in changes}))
                child.stop()
                child.start()
            else:
                child.tell_of_end()
    finally:
        child.stop()


class _Child:
    """The serving process, one after the other."""

    def __init__(self, command: list[str], descriptor: int, patience: float) -> None:
        self._command = command
        self._descriptor = descriptor
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._is_told = False

    def start(self) -> None:
        """Start it."""
        self._is_told = False
        self._process = subprocess.Popen(
            self._command,
            pass_fds=(self._descriptor,),
            # A file that is changed twice within a second would be taken for what was compiled of it first.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            # The terminal's Ctrl-C is for this process alone, which passes it on: twice would mean "at once".
            start_new_session=True,
        )

    def stop(self) -> None:
        """Let it end in an orderly way, and return when it has."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self.kill()
            process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    def tell_of_end(self) -> None:
        """Say so once if it ended by itself."""
        if self._process is not None and self._process.poll() is not None and not self._is_told:
            self._is_told = True
            logger.info("the server ended with status %s; waiting for a change", self._process.returncode)


def _import_watchfiles() -> Any:
    try:
        return importlib.import_module("watchfiles")
    except ModuleNotFoundError:
        raise SettingsError('--reload needs watchfiles: pip install "webpy-socketio[reload]"') from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None


def _names(paths: set[str]) -> str:
    return ", ".join(sorted(os.path.relpath(path) for path in paths))
