"""Serving an application by its name, until a signal comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .applications import load_application
from .server import SocketIOServer


def serve(name: str, settings: Mapping[str, Any], access_log: bool) -> None:
    """Serve an application until SIGTERM or SIGINT; see :meth:`SocketIOServer.serve_forever`.

    :param name: ``MODULE:APP``
    :param settings: those that come before all others.
    :param access_log: whether each request for a page is written to standard error.

    Raises SettingsError if the application cannot be loaded, a setting cannot be, or the address cannot be had.
    """
    application = load_application(name)
    options: dict[str, Any] = {} if access_log else {"log": None}
    SocketIOServer(None, application, **settings, **options).serve_forever()
