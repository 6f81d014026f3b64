"""A headless Chromium for the tests of the browser client, and the servers that they talk to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.serving import APPS, Server, serve, serve_node

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Start = Callable[..., AbstractContextManager[Server]]


def missing(what: str) -> None:
    """Skip for want of a tool on a developer's machine; in CI that would hide a hole."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running browser."""
    if not shutil.which(CHROMIUM):
        missing("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def start_node(**settings: object) -> AbstractContextManager[Server]:
    """Socket.IO's own server; settings become environment variables."""
    if not shutil.which("node"):
        missing("node")
    return serve_node(APPS / "node_server.js", **{name.upper(): value for name, value in settings.items()})


def start_python(**settings: object) -> AbstractContextManager[Server]:
    """Our server, with the same behaviours."""
    return serve("browser_server", **settings)


STARTS: dict[str, Start] = {"node": start_node, "python": start_python}
AVAILABLE = [name for name in STARTS if name == "node" or (APPS / "browser_server.py").exists()]


@pytest.fixture(scope="session", params=AVAILABLE)
def start(request: pytest.FixtureRequest) -> Start:
    """Starts one more server: each test runs against every kind there is."""
    return STARTS[request.param]


@pytest.fixture(scope="session")
def server(start: Start) -> Iterator[Server]:
    """A server with the default settings, shared by the tests."""
    with start() as running:
        yield running
