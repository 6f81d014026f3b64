"""An application for several workers: each answer tells which process gave it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
from typing import Any

import web

from webpy_socketio import *

web.config.debug = False


class Who:
    """Tells which process this is."""

    def GET(self) -> str:
        return str(os.getpid())


urls = ("/who", "Who", *socketio_urls)
app = web.application(urls, globals())
application = app.wsgifunc()


@on_message
def answer(request: Any, socket: Any, context: Any, message: Any) -> int:
    """Tell which process this is, too."""
    return os.getpid()


if __name__ == "__main__":
    SocketIOServer(None, application, log=None).serve_forever()
