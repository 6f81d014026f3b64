"""python-socketio on asyncio under uvicorn with its default options, doing what plugin_server.py does."""

import os

import socketio
import uvicorn

options = {"ping_interval": float(os.environ["PING_INTERVAL"])} if "PING_INTERVAL" in os.environ else {}
server = socketio.AsyncServer(async_mode="asgi", **options)


@server.event
async def connect(sid, environ):
    """Everybody is in the one channel."""
    await server.enter_room(sid, "all")


@server.event
async def message(sid, data):
    """Send back what came."""
    await server.emit("message", data, to=sid)


@server.event
async def cast(sid, data):
    """Send to everybody, the sender included."""
    await server.emit("message", data, room="all")


@server.event
async def join(sid, channel):
    """Subscribe to one more channel."""
    await server.enter_room(sid, channel)
    return "ok"


@server.event
async def tell(sid, channel, data):
    """Send to one channel, the sender included."""
    await server.emit("message", data, room=channel)


if __name__ == "__main__":
    # No line per request: none of the compared servers writes one.
    uvicorn.run(socketio.ASGIApp(server), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
