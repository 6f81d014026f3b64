"""The application that the tests of tokens talk to: every channel needs one, and its pages can carry some."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import secrets
import time
from pathlib import Path
from typing import Any

import web
from mako.lookup import TemplateLookup
from mako.template import Template

from webpy_socketio import *
from webpy_socketio.reasons import FORCED_CLOSE
from webpy_socketio.shortcuts import current

PACKAGES = Path(__file__).resolve().parent.parent / "clients" / "node_modules"
PAGE = Template(
    '<!DOCTYPE html><title>tokens</title><%include file="socketio_scripts.html" '
    'args="tokens=tokens, client=client, nonce=nonce"/>',
    lookup=TemplateLookup([template_dir()]),
)
#: Seconds by which the clock of tokens is ahead.
ahead = 0.0

urls: tuple[Any, ...] = ("/", "Page", "/token", "Token", "/official-([34]).js", "Official")
urls += socketio_urls
app = web.application(urls, globals(), autoreload=False)
application = app.wsgifunc()


class Page:
    """A page with tokens for some channels, which lets no script run but those with its nonce."""

    def GET(self) -> str:
        asked = web.input(channel=[], namespace="/", client=None)
        nonce = secrets.token_urlsafe()
        web.header("Content-Type", "text/html; charset=utf-8")
        web.header("Content-Security-Policy", f"script-src 'nonce-{nonce}'")
        tokens = [subscribe_token(channel, namespace=asked.namespace) for channel in asked.channel]
        return PAGE.render(tokens=tokens, client=asked.client, nonce=nonce)


class Token:
    """A token for one channel."""

    def GET(self) -> str:
        asked = web.input(user=None, expires=60, namespace="/")
        return subscribe_token(asked.channel, asked.user, float(asked.expires), namespace=asked.namespace)


class Official:
    """The official clients."""

    def GET(self, version: str) -> bytes:
        web.header("Content-Type", "text/javascript")
        return (PACKAGES / f"socket.io-client-{version}" / "dist" / "socket.io.min.js").read_bytes()


@on_connect(namespace="/")
@on_connect(namespace="/other")
def connect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Set the clock, which a server has only once it runs."""
    current().services.tokens._now = lambda: time.time() + ahead


@on_event("age")
def age(request: Any, socket: Any, context: dict[str, Any], seconds: float) -> None:
    """Let time pass, for tokens."""
    global ahead
    ahead += seconds


@on_event("who")
def who(request: Any, socket: Any, context: dict[str, Any]) -> dict[str, Any]:
    """What is known of the client."""
    return {"user": socket.user, "channels": socket.channels}


@on_event("drop")
def drop(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Close the connection as such, as no application would."""
    current().hub.close(socket.link, FORCED_CLOSE)


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
