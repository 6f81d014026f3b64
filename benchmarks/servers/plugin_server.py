"""The measured server: an ordinary web.py application that uses nothing but the plugin's public face."""

from gevent import monkey

monkey.patch_all()

import os

import web

from webpy_socketio import *

web.config.debug = False  # as in every deployment: web.py's debug mode looks for changed files on each request
urls = ("/", "index")
urls += socketio_urls
app = web.application(urls, globals())
application = app.wsgifunc()


class index:  # noqa: N801
    """The page that a browser would be on."""

    def GET(self):
        """Answer something."""
        return "benchmark"


@on_connect
def connected(request, socket, context):
    """Everybody is in the one channel."""
    socket.subscribe("all")


@on_message
def echo(request, socket, context, message):
    """Send back what came."""
    socket.send(message)


@on_event("cast")
def cast(request, socket, context, message):
    """Send to everybody, the sender included."""
    socket.send_and_broadcast_channel(message, "all")


@on_event("join")
def join(request, socket, context, channel):
    """Subscribe to one more channel."""
    socket.subscribe(channel)
    return "ok"


@on_event("tell")
def tell(request, socket, context, channel, message):
    """Send to one channel, the sender included."""
    socket.send_and_broadcast_channel(message, channel)


if __name__ == "__main__":
    listener = ("127.0.0.1", int(os.environ["PORT"]))
    SocketIOServer(listener, application, message_log_format=None).serve_forever()
