"""A real nginx in front of real servers, configured well but for what a test changes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.nginx.recipes import find_nginx
from tests.serving import Server, free_port, serve_by_name

#: What nginx needs to be told for Socket.IO, by the names that tests leave out or change.
WELL = {
    "proxy_http_version": "1.1",
    "proxy_set_header Host": "$http_host",
    "proxy_set_header Upgrade": "$http_upgrade",
    "proxy_set_header Connection": "upgrade",
    "proxy_buffering": "off",
    "proxy_read_timeout": "75s",
}
CONFIGURATION = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {extra}
    upstream app {{ {affinity} {servers} }}
    server {{
        listen 127.0.0.1:{port} {listen};
        location / {{ return 404; }}
        location /socket.io/ {{
            proxy_pass http://{target};
            {lines}
        }}
    }}
}}
"""

#: Starts an nginx in front of ports, with changes to WELL (None leaves a line out), and gives its URL.
StartNginx = Callable[..., str]


@pytest.fixture(scope="package")
def quick() -> Iterator[Server]:
    """A server whose heartbeat comes often."""
    with serve_by_name("plain", ping_interval=0.4) as server:
        yield server


@pytest.fixture(scope="package")
def slow() -> Iterator[Server]:
    """A server with the usual heartbeat."""
    with serve_by_name("plain") as server:
        yield server


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """Starts nginx."""
    program = find_nginx()
    with ExitStack() as stack:

        def start(
            *ports: int,
            affinity: str = "",
            extra: str = "",
            listen: str = "",
            target: str = "app",
            **changes: str | None,
        ) -> str:
            servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
            lines = " ".join(f"{name} {value};" for name, value in (WELL | changes).items() if value is not None)
            place = {
                "extra": extra,
                "listen": listen,
                "target": target,
                "affinity": affinity,
                "servers": servers,
                "lines": lines,
            }
            return stack.enter_context(_running(program, tmp_path, place))

        yield start


@contextlib.contextmanager
def _running(program: str, directory: Path, places: dict[str, str]) -> Iterator[str]:
    port = free_port()
    text = CONFIGURATION.format(
        directory=directory,
        port=port,
        user="user root;" if os.geteuid() == 0 else "",  # else its workers could not write into the directory
        **places,
    )
    (directory / "nginx.conf").write_text(text)
    command = [program, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
    with Server(command, port, {}) as server:
        yield server.url
