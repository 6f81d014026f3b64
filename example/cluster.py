"""The chat on two processes behind nginx: ``python cluster.py``, then http://127.0.0.1:8000 in two windows.

It needs the programs ``nginx`` and ``redis-server``, and the extra ``webpy-socketio[redis]``. It starts them all, with
``nginx/cluster.conf`` as it is shipped but for places, and ends them with Ctrl-C. ``docs/deploy.rst`` tells how to run
such processes in earnest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parent / "nginx" / "cluster.conf"
PORTS = (8000, 8001, 8002)
#: Seconds that a program has to start and to stop.
PATIENCE = 20
NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
{user}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {site}
}}
"""


def main() -> int:
    """Run it until a signal comes or one of the programs ends."""
    parser = argparse.ArgumentParser(description="The chat on two processes behind nginx, with a Redis.")
    parser.add_argument(
        "--ports", type=int, nargs=3, default=PORTS, help="of nginx and of the two processes (8000 8001 8002)"
    )
    port, *chat_ports = parser.parse_args().ports
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chat-")))
        programs = [stack.enter_context(running(redis(directory)))]
        for chat_port in chat_ports:
            env = {
                "SOCKETIO_PORT": str(chat_port),
                "SOCKETIO_REDIS_URL": f"unix://{directory}/redis.sock",
                "SOCKETIO_TRUSTED_PROXIES": "127.0.0.1",
                "SOCKETIO_HEALTH": "true",
            }
            programs.append(stack.enter_context(running([sys.executable, str(HERE / "main_app.py")], **env)))
        for program, chat_port in zip(programs[1:], chat_ports, strict=True):
            wait_for(lambda chat_port=chat_port: is_ready(chat_port), program)
        programs.append(stack.enter_context(running(nginx(directory, port, chat_ports))))
        wait_for(lambda: is_open(port), programs[-1])
        sys.stderr.write(f"The chat is at http://127.0.0.1:{port}/; Ctrl-C ends it.\n")
        while all(program.poll() is None for program in programs):
            time.sleep(0.2)
        sys.stderr.write("One of the programs has ended, so all do.\n")
        return 1
    return 0


def redis(directory: Path) -> list[str]:
    """The command for a Redis that stores nothing, and that only this user can reach."""
    place = str(directory / "redis.sock")
    options = {"port": "0", "unixsocket": place, "save": "", "dir": str(directory), "logfile": "redis.log"}
    return [find("redis-server"), *(word for name, value in options.items() for word in (f"--{name}", value))]


def nginx(directory: Path, port: int, chat_ports: list[int]) -> list[str]:
    """Write nginx's configuration, and return its command."""
    site = RECIPE.read_text()
    for shipped, wanted in {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "listen [::]:80;": "",
        "server 127.0.0.1:8001;": f"server 127.0.0.1:{chat_ports[0]};",
        "server 127.0.0.1:8002;": f"server 127.0.0.1:{chat_ports[1]};",
        "root /srv/chat;": f"root {HERE};",
    }.items():
        site = site.replace(shipped, wanted)
    user = "user root;" if os.getuid() == 0 else ""  # else its workers could not read what is this user's
    (directory / "nginx.conf").write_text(NGINX.format(user=user, site=site))
    return [find("nginx"), "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]


def find(name: str) -> str:
    """Where a program is."""
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit(f"{name} is not installed")
    return program


@contextmanager
def running(command: list[str], **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and end it politely."""
    # In a session of its own: Ctrl-C is for this program, which ends the others in order.
    program = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True)
    try:
        yield program
    finally:
        program.terminate()
        try:
            program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def wait_for(condition: Callable[[], bool], program: subprocess.Popen[bytes]) -> None:
    """Wait until a program does what it is there for."""
    until = time.monotonic() + PATIENCE
    while program.poll() is None and time.monotonic() < until:
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit(f"{program.args} did not start")


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def is_ready(port: int) -> bool:
    """Whether a process of the chat hears the other one, too."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/socket.io/health", timeout=1):
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
