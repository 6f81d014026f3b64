r"""A live dashboard: the same numbers by server-sent events and by Socket.IO, told by the server and who has a key.

``SOCKETIO_PUBLISH_KEYS=a-key-of-this-example python3 example/dashboard/app.py``, then http://127.0.0.1:8000, and::

    curl -H "Authorization: Bearer a-key-of-this-example" -H "Content-Type: application/json" -d 0.42 \
        http://127.0.0.1:8000/publish/load
    curl --no-buffer http://127.0.0.1:8000/sse/load
"""

from gevent import monkey

monkey.patch_all()

import os
from pathlib import Path

import gevent
import web

from webpy_socketio import *

PAGE = Path(__file__).with_name("page.html").read_text()

urls = ("/", "Index")
urls += socketio_urls
urls += sse_urls
urls += publish_urls
app = web.application(urls, globals())
application = app.wsgifunc()


class Index:
    """The page."""

    def GET(self):
        web.header("Content-Type", "text/html; charset=utf-8")
        return PAGE


def tell():
    """Tell the load, every few seconds, to whoever wants to know."""
    while True:
        gevent.sleep(5)
        to("load").send(os.getloadavg()[0])


if __name__ == "__main__":
    server = SocketIOServer(None, application)
    gevent.spawn(tell)
    server.serve_forever()
