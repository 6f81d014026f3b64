"""Handshakes: what other processes are told of the request with which a client came, in the shape that Node's have."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

#: Headers with what identifies a client: whoever can read along at Redis has no use for them.
SECRET = ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION")


def handshake(request: Mapping[str, Any], age: float) -> dict[str, Any]:
    """Return a handshake as it goes over Redis, without cookies and credentials.

    :param request: the environ of the handshake.
    :param age: how many seconds ago it was.
    """
    issued = time.time() - age
    query = request.get("QUERY_STRING", "")
    path = request.get("SCRIPT_NAME", "") + request.get("PATH_INFO", "")
    return {
        "headers": {
            key[5:].replace("_", "-").lower(): value
            for key, value in request.items()
            if key.startswith("HTTP_") and key not in SECRET
        },
        "time": time.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", time.gmtime(issued)),
        "address": request.get("REMOTE_ADDR", ""),
        "xdomain": "HTTP_ORIGIN" in request,
        "secure": request.get("wsgi.url_scheme") in ("https", "wss"),
        "issued": round(issued * 1000),
        "url": f"{path}?{query}" if query else path,
        "query": dict(parse_qsl(query, keep_blank_values=True)),
        "auth": {},
    }
