"""Which server is tested, where the two differ on purpose, and what a missing tool means."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest

from tests.serving import APPS, CLIENTS, Server, serve, serve_node

ON_NODE = os.environ.get("CONFORMANCE_SERVER") == "node"
TIMES = {"ping_interval", "ping_timeout", "upgrade_timeout", "connect_timeout"}
NODE_NAMES = {
    "ping_interval": "pingInterval",
    "ping_timeout": "pingTimeout",
    "upgrade_timeout": "upgradeTimeout",
    "connect_timeout": "connectTimeout",
    "max_payload": "maxHttpBufferSize",
    "transports": "transports",
    "allow_upgrades": "allowUpgrades",
    "cookie": "cookie",
    "cors_origins": "cors",
    "clients": "allowEIO3",
}
#: Where the applications answer, if not at Socket.IO's own path.
PATHS = {"engine": "/engine.io/"}

ours_only = pytest.mark.skipif(ON_NODE, reason="Socket.IO's own server does otherwise, on purpose or by mistake")

StartServer = Callable[..., Server]
Value = TypeVar("Value")


def differs(ours: Value, *, node: Value) -> Value:
    """What the server under test does in a case where ours differs from Node's on purpose."""
    return node if ON_NODE else ours


def require_node() -> None:
    """Skip the test if Node or the packages of tests/clients are missing; where they must be there, fail."""
    if not shutil.which("node"):
        miss("node is not installed")
    if not (CLIENTS / "node_modules").is_dir():
        miss("tests/clients/node_modules is missing: run npm ci in tests/clients")


def miss(what: str) -> None:
    """Skip for a missing tool, or fail when CI=true says that nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def start_server(stack: ExitStack, settings: dict[str, Any], app: str = "conformance") -> Server:
    """Start an application under test, on our server or on Node's."""
    if not ON_NODE:
        server = stack.enter_context(serve(app, **settings))
    else:
        require_node()
        translated = json.dumps(node_settings(settings))
        server = stack.enter_context(serve_node(APPS / f"node_{app}.js", SETTINGS=translated))
    server.path = PATHS.get(app, server.path)
    return server


def node_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings in the words of Socket.IO's own server."""
    translated: dict[str, Any] = {}
    for name, value in settings.items():
        if name in TIMES:
            value = round(value * 1000)
        elif name == "transports":
            value = value.split(",")
        elif name == "cors_origins":
            value = {"origin": value if value == "*" else value.split(",")}
        elif name == "clients":
            value = "1-2" in value
        translated[NODE_NAMES[name]] = value
    return translated
