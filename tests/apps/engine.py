"""The engine alone, echoing every message unchanged: what the Engine.IO suites want to talk to."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from webpy_socketio import SocketIOServer
from webpy_socketio.engineio import Client, EngineIO


def echo(client: Client, message: str | bytes) -> None:
    """Send a message back as it came."""
    client.send(message)


if __name__ == "__main__":
    SocketIOServer(None, EngineIO(echo)).serve_forever()
