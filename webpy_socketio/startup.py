"""Start-up: where settings are looked for, and how the parts of a server are put together."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import web

from .backplane.contract import Backplane
from .backplane.memory import MemoryBackplane
from .descriptors import make_room
from .door import Door, Others
from .errors import SettingsError
from .events import EVENTS
from .extras import import_for
from .gate import Gate
from .hub import Converse, Hub
from .logs import log_to_stderr, logger
from .node import Node
from .options import PUBSUB, STREAMS
from .patches import are_sockets_patched, warn_of_early
from .plain_door import PlainDoor
from .publishing import Publishing
from .reports import Reports
from .runner import Runner
from .settings import Settings, load_settings
from .shortcuts import current, set_current
from .sse_door import SseDoor
from .transports.clock import Clock
from .transports.watch import Watch
from .transports.workers import Workers

SETTINGS_MODULE = "settings"
#: Modules of backplanes, and what they call them, by the setting ``redis_adapter``.
BACKPLANES = {PUBSUB: ("redis", "RedisBackplane"), STREAMS: ("streams", "StreamsBackplane")}


def read_settings(keywords: Mapping[str, Any]) -> Settings:
    """Read all options: keywords, ``web.config``, the environment, the project's ``settings`` module, the defaults.

    Raises SettingsError.
    """
    return load_settings(keywords, web.config, os.environ, _project_settings())


def is_patched() -> bool:
    """Whether gevent's patches were in place when web.py was imported, so that each greenlet has its ``web.ctx``."""
    return any(base.__module__.startswith("gevent") for base in type(web.ctx).__mro__)


def check_patched() -> None:
    """Raise SettingsError if ``web.ctx`` is not apart for each greenlet: one client would see what is another's."""
    if not is_patched():
        raise SettingsError(
            "web.py was imported without gevent's patches, so all clients would share one web.ctx: "
            "let the main module begin with 'from gevent import monkey; monkey.patch_all()'"
        )


class Running(NamedTuple):
    """A node that serves: with greenlets for its handlers, a running clock, and the door to it."""

    node: Node
    door: Door
    #: Nobody watches the loop if the settings say so.
    watch: Watch | None = None

    def stop(self, deadline: float) -> None:
        """Let go of everything, within so many seconds; nobody is to come in any more."""
        self.node.stop(deadline)
        self.door.clock.stop()
        if self.watch is not None:
            self.watch.stop()
        if current() is self.node:
            set_current(None)


def start_node(settings: Settings) -> Running:
    """Make a node and let it run. The module-level functions speak for it from now on."""
    log_to_stderr(settings.log_format)
    warn_of_early()
    make_room(settings.max_connections)
    if current() is not None:
        logger.warning("another Socket.IO server in this process: send and broadcast speak for the new one only")
    workers = Workers(lambda: web.ctx.__dict__)  # which its scope empties
    node = Node(settings, EVENTS, workers, make_backplane(settings, workers))
    door = open_door(node.hub, node.converse, node)
    set_current(node)
    watch = Watch(workers, node.hub.counters, settings.max_blocking) if settings.max_blocking else None
    if watch is not None:
        watch.start()
    return Running(node, door, watch)


def make_backplane(settings: Settings, runner: Runner) -> Backplane:
    """Return what reaches the other processes, if there are any.

    Raises SettingsError for a ``redis_url`` that cannot be, or if what it needs is not there.
    """
    if settings.redis_url is None:
        return MemoryBackplane()
    if not are_sockets_patched():
        raise SettingsError(
            "redis_url needs gevent's patches, or waiting for Redis would hold everybody up: "
            "let the main module begin with 'from gevent import monkey; monkey.patch_all()'"
        )
    module, name = BACKPLANES[settings.redis_adapter]
    make = getattr(import_for("redis", f"webpy_socketio.backplane.{module}", "redis_url"), name)
    backplane: Backplane = make(settings, settings.redis_url, EVENTS, runner)
    return backplane


def open_door(hub: Hub, converse: Converse, node: Node | None = None) -> Door:
    """Start a hub's clock, and return the door to it. Raises SettingsError, see Reports.

    :param converse: makes the conversations of its sessions.
    :param node: the one that it belongs to; None if it is an engine alone.
    """
    reports = Reports(hub, None if node is None else node.services)
    clock, gate = Clock(hub), Gate(hub)
    clock.start()
    others = None
    if node is not None:
        plain = PlainDoor(gate, node.converse_plainly)
        sse = SseDoor(gate, node.converse_by_sse, node.services.places)
        others = Others(plain, sse, Publishing(gate, node.services))
    return Door(gate, converse, clock, reports, others)


def _project_settings() -> Mapping[str, Any]:
    try:
        return vars(importlib.import_module(SETTINGS_MODULE))
    except ModuleNotFoundError as error:
        if error.name != SETTINGS_MODULE:
            raise
        return {}
