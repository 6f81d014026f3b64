"""The engine alone, telling on standard output how its clients' connections ended."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gevent

from webpy_socketio import SocketIOServer
from webpy_socketio.engineio import Client, EngineIO


def echo(client: Client, message: str | bytes) -> None:
    """Send a message back as it came."""
    client.send(message)


def tell(client: Client) -> None:
    """Take a moment, as one does that writes to a database."""
    gevent.sleep(0.05)
    print("END", client.reason, flush=True)


if __name__ == "__main__":
    SocketIOServer(None, EngineIO(echo, on_close=tell)).serve_forever()
