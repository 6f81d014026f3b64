"""Settings for all tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.serving import ServerHere
from webpy_socketio import SocketIOServer, server

# Other work on the machine must not make a test fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of this process are real, which a server would not like."""
    monkeypatch.setattr(server, "check_patched", lambda: None)


@pytest.fixture
def serve_here(patched: None) -> Iterator[Callable[..., ServerHere]]:
    """Runs an application with SocketIOServer in a thread."""
    with contextlib.ExitStack() as stack:

        def start(app: Any, listener: Any = ("127.0.0.1", 0), **options: Any) -> ServerHere:
            options.setdefault("log", None)
            return stack.enter_context(ServerHere(lambda: SocketIOServer(listener, app, **options), "/"))

        yield start
