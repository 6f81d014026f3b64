"""Which server is tested, where the two differ on purpose, and what a missing tool means."""

from __future__ import annotations

import os
import shutil
from typing import TypeVar

import pytest

from tests.serving import CLIENTS

ON_NODE = os.environ.get("CONFORMANCE_SERVER") == "node"

ours_only = pytest.mark.skipif(ON_NODE, reason="Socket.IO's own server does otherwise, on purpose or by mistake")

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
