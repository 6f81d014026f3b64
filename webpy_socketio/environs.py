"""What a WSGI environ tells: what handlers need of it, and whether it is a good WebSocket handshake."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from websockets.utils import accept_key

from .errors import RequestRefused

#: Of the WebSocket protocol (RFC 6455, section 4.1), and the sizes of a handshake's key.
VERSION = "13"
KEY_LENGTH, KEY_BYTES = 24, 16
PRIVATE_PREFIXES = ("wsgi.", "gunicorn.", "gevent.", "werkzeug.", "webpy_socketio.")


def compact_environ(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return what handlers need of an environ; the server's own objects in it would be kept alive for hours."""
    request = {_KEYS.get(key, key): value for key, value in environ.items() if not key.startswith(PRIVATE_PREFIXES)}
    request["wsgi.url_scheme"] = environ.get("wsgi.url_scheme", "http")
    return request


# Servers make these keys anew for each request; kept for each connection, they would weigh more than their values.
_KEYS = {
    key: key
    for key in (
        "HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING", "HTTP_REFERER",
        "HTTP_ORIGIN", "HTTP_CONNECTION", "HTTP_UPGRADE", "HTTP_COOKIE", "HTTP_SEC_WEBSOCKET_KEY", "HTTP_PRAGMA",
        "HTTP_SEC_WEBSOCKET_VERSION", "HTTP_SEC_WEBSOCKET_EXTENSIONS", "HTTP_CACHE_CONTROL", "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_SEC_FETCH_DEST", "HTTP_SEC_FETCH_MODE",
        "HTTP_SEC_FETCH_SITE", "HTTP_DNT",
    )
}  # fmt: skip


def has_text_path(environ: Mapping[str, Any]) -> bool:
    """Whether the path of a request, which WSGI shows byte by byte (PEP 3333), is text."""
    try:
        environ.get("PATH_INFO", "").encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def wants_websocket(environ: Mapping[str, Any]) -> bool:
    """Whether a request asks for the connection to become a WebSocket."""
    tokens = environ.get("HTTP_CONNECTION", "").lower().replace(" ", "").split(",")
    return environ.get("HTTP_UPGRADE", "").lower() == "websocket" and "upgrade" in tokens


def bearer_token(environ: Mapping[str, Any], known: Iterable[bytes]) -> bytes | None:
    """The bearer token of a request (RFC 6750, section 2.1), if it is one of those that are known; else None.

    It is compared with each of them in constant time.
    """
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    token: bytes = text.strip().encode("latin-1", "replace")  # WSGI has decoded it so
    if scheme.lower() != "bearer":
        return None
    is_known = [hmac.compare_digest(token, each) for each in known]
    return token if any(is_known) else None


def check_handshake(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers that accept a WebSocket. Raises RequestRefused if RFC 6455, section 4.2.1 is not met.

    That the request is a GET, and asks for the upgrade, has been seen to already.
    """
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION or not _is_key(key) or not environ.get("HTTP_HOST"):
        raise RequestRefused(3, "Bad request")
    return [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]


def _is_key(text: str) -> bool:
    """Whether this is the base64 of 16 bytes."""
    try:
        return len(text) == KEY_LENGTH and len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False
