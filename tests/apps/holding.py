"""An application that holds the event loop, and writes what it is told to the logs."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from typing import Any

import web

from webpy_socketio import *

web.config.debug = False


def hold_everybody(seconds: float) -> None:
    """Sleep as gevent does not know of."""
    monkey.get_original("time", "sleep")(seconds)


class Hold:
    """A page that holds everybody up."""

    def GET(self) -> str:
        hold_everybody(0.5)
        return "done"


urls: tuple[Any, ...] = ("/hold", Hold)
urls += socketio_urls
application = web.application(urls, globals()).wsgifunc()


@on_event("hold")
def hold(request: Any, socket: Any, context: Any, seconds: float) -> None:
    hold_everybody(seconds)


@on_event("fail")
def fail(request: Any, socket: Any, context: Any) -> None:
    raise ValueError("it failed")


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
