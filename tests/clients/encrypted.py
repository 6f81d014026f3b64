"""python-socketio's client over TLS: sends a long message, and prints how it came back, and over which transport.

Usage: python encrypted.py URL TRANSPORTS AUTHORITY. It runs on gevent: with real threads, this client reads and writes
one SSL object at the same time, and every tenth connection breaks, whatever the server.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import sys

import requests
import socketio
from gevent.event import AsyncResult

LONG = "x" * 500_000


def main(url: str, transports: str, authority: str) -> None:
    """Connect, have a message echoed, and leave."""
    session = requests.Session()
    session.trust_env = False  # else the environment decides whom to trust
    session.verify = authority
    client = socketio.Client(reconnection=False, http_session=session)
    back: AsyncResult = AsyncResult()
    client.on("message-back", back.set)
    client.connect(url, transports=transports.split(","), wait_timeout=5)
    transport = client.transport()
    client.emit("message", LONG)
    same = back.get(timeout=5) == LONG
    client.disconnect()
    print(json.dumps({"transport": transport, "same": same}))


main(*sys.argv[1:])
