"""The page side: the client's script files as they are served, and the Mako include that loads them."""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .compression import choose_coding

PACKAGE = Path(__file__).resolve().parent
#: What each script that can be asked for consists of.
SOURCES = {"socket.io.js": ("socket.io.js", "channels.js"), "channels.js": ("channels.js",)}
A_YEAR = 31_536_000


class Script(NamedTuple):
    """A script file, in both forms that it is sent in."""

    text: bytes
    compressed: bytes
    #: Changes whenever the text does.
    version: str


def find_script(name: str) -> Script | None:
    """Return a script by its name in URLs."""
    return _script(name) if name in SOURCES else None


@functools.cache  # of our own names only: a client can ask for any number of others
def _script(name: str) -> Script:
    text = b"\n".join((PACKAGE / "static" / source).read_bytes() for source in SOURCES[name])
    return Script(text, gzip.compress(text, 9, mtime=0), hashlib.sha256(text).hexdigest()[:16])


def script_url(name: str = "socket.io.js", path: str = "/socket.io") -> str:
    """Return the URL of a script, with its version in it, so that browsers may keep it for a year.

    :param path: where Socket.IO answers on the site.
    """
    script = find_script(name)
    if script is None:
        raise ValueError(f"there is no script {name!r}; there are {', '.join(SOURCES)}")
    place = path.rstrip("/")
    if place and not place.startswith("/") and "//" not in place:
        place = "/" + place
    return f"{place}/{name}?v={script.version}"


def serve_script(script: Script, query: str, environ: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body that answer a request for a script."""
    tag = f'"{script.version}"'
    current = f"v={script.version}" in query.split("&")
    headers = [
        ("ETag", tag),
        ("Vary", "Accept-Encoding"),
        ("Cache-Control", f"public, max-age={A_YEAR}, immutable" if current else "public, no-cache"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    known = [part.strip().removeprefix("W/") for part in environ.get("HTTP_IF_NONE_MATCH", "").split(",")]
    if tag in known or "*" in known:
        return "304 Not Modified", headers, b""
    body = script.text
    if choose_coding(environ.get("HTTP_ACCEPT_ENCODING", ""), ("gzip",)):
        headers.append(("Content-Encoding", "gzip"))
        body = script.compressed
    headers += [("Content-Type", "text/javascript; charset=utf-8"), ("Content-Length", str(len(body)))]
    return "200 OK", headers, body


def template_dir() -> str:
    """Return the directory with ``socketio_scripts.html``, for the directories of a Mako TemplateLookup.

    It is found in an installed package, in an editable installation and in a plain checkout.
    """
    for directory in (PACKAGE / "templates", PACKAGE.parent / "templates"):
        if (directory / "socketio_scripts.html").is_file():
            return str(directory)
    raise FileNotFoundError(f"socketio_scripts.html is neither in {PACKAGE} nor beside it: install the package again")
