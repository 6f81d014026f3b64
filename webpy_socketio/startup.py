"""Start-up: where settings are looked for, and how the parts of a server are put together."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import web

from .backplane.memory import MemoryBackplane
from .errors import SettingsError
from .events import EVENTS
from .hub import Hub
from .logs import log_to_stderr, logger
from .settings import Settings, load_settings
from .shortcuts import current, set_current
from .transports.clock import Clock
from .transports.workers import Workers
from .wsgi import Door

SETTINGS_MODULE = "settings"


def read_settings(keywords: Mapping[str, Any]) -> Settings:
    """Read all options: keywords, ``web.config``, the environment, the project's ``settings`` module, the defaults.

    Raises SettingsError.
    """
    return load_settings(keywords, web.config, os.environ, _project_settings())


def check_patched() -> None:
    """Raise SettingsError if ``web.ctx`` is not apart for each greenlet: one client would see what is another's."""
    if not any(base.__module__.startswith("gevent") for base in type(web.ctx).__mro__):
        raise SettingsError(
            "web.py was imported without gevent's patches, so all clients would share one web.ctx: "
            "let the main module begin with 'from gevent import monkey; monkey.patch_all()'"
        )


def open_door(settings: Settings) -> Door:
    """Make a hub with greenlets for its handlers and a running clock, and the door to it.

    The module-level functions speak for this hub from now on.
    """
    log_to_stderr()
    if current() is not None:
        logger.warning("another Socket.IO server in this process: send and broadcast speak for the new one only")
    hub = Hub(settings, EVENTS, Workers(), MemoryBackplane())
    clock = Clock(hub)
    clock.start()
    set_current(hub)
    return Door(hub, clock)


def close_door(door: Door) -> None:
    """Let go of what :func:`open_door` started; nobody is to come in any more."""
    door.clock.stop()
    if current() is door.hub:
        set_current(None)


def _project_settings() -> Mapping[str, Any]:
    try:
        return vars(importlib.import_module(SETTINGS_MODULE))
    except ModuleNotFoundError as error:
        if error.name != SETTINGS_MODULE:
            raise
        return {}
