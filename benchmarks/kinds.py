"""The compared servers: how each is started, what it is made of, and what it cannot do."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from processes import Missing, ServerKind

BENCHMARKS = Path(__file__).resolve().parent
SERVERS = BENCHMARKS / "servers"
ROOT = BENCHMARKS.parent
NODE_MODULES = ROOT / "tests" / "clients" / "node_modules"
PLUGIN_PACKAGES = ("gevent", "web.py", "websockets", "orjson")
LEAVE_OUT = "or leave it out with --servers"


def plugin_kind(name: str = "plugin", root: Path = ROOT) -> ServerKind:
    """The plugin from a checkout, this one unless told otherwise, on the Python that runs the benchmarks."""
    if not (root / "webpy_socketio").is_dir():
        raise Missing(f"no webpy_socketio in {root}")
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    return ServerKind(
        name,
        [sys.executable, str(SERVERS / "plugin_server.py")],
        {"PYTHONPATH": path},
        lambda seconds: {"SOCKETIO_PING_INTERVAL": f"{seconds:g}"},
        {f"webpy-socketio ({name})": _revision(root), **_versions(*PLUGIN_PACKAGES)},
        on_redis=lambda url: {"SOCKETIO_REDIS_URL": url},
    )


def node_kind() -> ServerKind:
    """Socket.IO's own server; raises Missing when Node or the package is not there."""
    modules = Path(os.environ.get("NODE_PATH") or NODE_MODULES)
    node = _program("node", "Node.js")
    package = modules / "socket.io" / "package.json"
    if not package.is_file():
        where = NODE_MODULES.parent.relative_to(ROOT)
        raise Missing(f"no socket.io in {modules}: run `npm ci` in {where}, {LEAVE_OUT}")
    versions = {"node": _output(node, "--version"), "socket.io": json.loads(package.read_text())["version"]}
    return ServerKind(
        "node",
        [node, str(SERVERS / "node_server.js")],
        {"NODE_PATH": str(modules)},
        lambda seconds: {"PING_INTERVAL": f"{seconds * 1000:.0f}"},
        versions,
        on_redis=lambda url: {"REDIS_URL": url},
    )


def _python_kind(name: str, program: str, *packages: str) -> ServerKind:
    """A peer from requirements.txt."""
    versions = _versions(*packages)
    if lacking := [package for package, version in versions.items() if not version]:
        requirements = (BENCHMARKS / "requirements.txt").relative_to(ROOT)
        raise Missing(f"{name} needs {', '.join(lacking)}: run `pip install -r {requirements}`, {LEAVE_OUT}")
    return ServerKind(
        name,
        [sys.executable, str(SERVERS / program)],
        {},
        lambda seconds: {"PING_INTERVAL": f"{seconds:g}"},
        versions,
        cannot=frozenset({"bus"}),
        client_hangs_up="simple-websocket" in packages,  # under gevent's server it leaves the connection open
    )


def lower_bound_kind() -> ServerKind:
    """The C program, compiled for this run."""
    compiler = _program(os.environ.get("CC", "cc"), "a C compiler, for example gcc")
    directory = Path(tempfile.mkdtemp(prefix="lower-bound-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    program = directory / "lower_bound"
    subprocess.run([compiler, "-O2", "-Wall", "-o", str(program), str(SERVERS / "lower_bound.c")], check=True)
    return ServerKind(
        "lower-bound",
        [str(program)],
        {},
        lambda seconds: {"PING_INTERVAL": f"{seconds * 1000:.0f}"},
        {"cc": _output(compiler, "--version").splitlines()[0]},
        cannot=frozenset({"polling", "upgrade", "bus"}),
    )


KINDS: Mapping[str, Callable[[], ServerKind]] = {
    "plugin": plugin_kind,
    "node": node_kind,
    "python-socketio-gevent": functools.partial(
        _python_kind,
        "python-socketio-gevent",
        "python_socketio_gevent.py",
        *("python-socketio", "python-engineio", "simple-websocket", "gevent"),
    ),
    "python-socketio-uvicorn": functools.partial(
        _python_kind,
        "python-socketio-uvicorn",
        "python_socketio_uvicorn.py",
        *("python-socketio", "python-engineio", "uvicorn", "uvloop", "httptools", "websockets"),
    ),
    "flask-socketio": functools.partial(
        _python_kind,
        "flask-socketio",
        "flask_socketio_server.py",
        *("Flask-SocketIO", "Flask", "python-socketio", "python-engineio", "simple-websocket", "gevent"),
    ),
    "lower-bound": lower_bound_kind,
}


def _versions(*packages: str) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
    return versions


def _revision(root: Path) -> str:
    """The commit of a checkout, "+" for what is not committed; nothing where there is no git."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    return _output(git, "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*")


def _program(name: str, what: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"no `{name}` on the PATH: install {what}, {LEAVE_OUT}")
    return path


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
