"""Flask-SocketIO on gevent with its default options, doing what plugin_server.py does."""

from gevent import monkey

monkey.patch_all()

import os

from flask import Flask
from flask_socketio import SocketIO, emit, join_room, send

options = {"ping_interval": float(os.environ["PING_INTERVAL"])} if "PING_INTERVAL" in os.environ else {}
app = Flask(__name__)
app.config["SECRET_KEY"] = "benchmark"
socketio = SocketIO(app, async_mode="gevent", **options)


@app.route("/")
def index():
    """The page that a browser would be on."""
    return "benchmark"


@socketio.on("connect")
def connect():
    """Everybody is in the one channel."""
    join_room("all")


@socketio.on("message")
def message(data):
    """Send back what came."""
    send(data)


@socketio.on("cast")
def cast(data):
    """Send to everybody, the sender included."""
    send(data, to="all")


@socketio.on("join")
def join(channel):
    """Subscribe to one more channel."""
    join_room(channel)
    return "ok"


@socketio.on("tell")
def tell(channel, data):
    """Send to one channel, the sender included."""
    emit("message", data, to=channel)


if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
