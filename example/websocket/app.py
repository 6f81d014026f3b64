"""The smallest application with plain WebSockets: ``/ws/room-1`` is one that follows the channel ``room-1``.

``python3 example/websocket/app.py``, then http://127.0.0.1:8000 in two windows, or ``client.py`` beside this file.
"""

from gevent import monkey

monkey.patch_all()

from pathlib import Path

import web

from webpy_socketio import *

PAGE = Path(__file__).with_name("page.html").read_text()

urls = ("/", "Index")
urls += websocket_urls
app = web.application(urls, globals())
application = app.wsgifunc()


class Index:
    """The page."""

    def GET(self):
        web.header("Content-Type", "text/html; charset=utf-8")
        return PAGE


@on_message(channel="^room-")
def chat(request, socket, context, message):
    """Everybody in the room hears what one says."""
    socket.send_and_broadcast_channel(message)


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
