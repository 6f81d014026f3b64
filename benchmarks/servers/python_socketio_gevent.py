"""python-socketio on gevent with its default options, doing what plugin_server.py does."""

from gevent import monkey

monkey.patch_all()

import os

import socketio
from gevent import pywsgi

options = {"ping_interval": float(os.environ["PING_INTERVAL"])} if "PING_INTERVAL" in os.environ else {}
server = socketio.Server(async_mode="gevent", **options)


@server.event
def connect(sid, environ):
    """Everybody is in the one channel."""
    server.enter_room(sid, "all")


@server.event
def message(sid, data):
    """Send back what came."""
    server.emit("message", data, to=sid)


@server.event
def cast(sid, data):
    """Send to everybody, the sender included."""
    server.emit("message", data, room="all")


@server.event
def join(sid, channel):
    """Subscribe to one more channel."""
    server.enter_room(sid, channel)
    return "ok"


@server.event
def tell(sid, channel, data):
    """Send to one channel, the sender included."""
    server.emit("message", data, room=channel)


if __name__ == "__main__":
    pywsgi.WSGIServer(("127.0.0.1", int(os.environ["PORT"])), socketio.WSGIApp(server), log=None).serve_forever()
