"""Session ids: how they are made, and how they are told from the names of channels.

An id is also the name of its socket's private channel, which only the server sends to. Nobody can subscribe to such a
name, whether or not the socket is there: else a stranger could wait for what is sent to it after it has gone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string

#: What every id begins with. Ids have the letters and the length of those of Node's server.
MARK = "-_"
RANDOM_BYTES = 13
LENGTH = 20
#: What may stand after the mark, to tell which worker the session lives in.
LABELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
# Clients 1.x and 2.x make up the id of a namespace's socket by themselves: "/chat#" and the id of the connection.
PRIVATE = re.compile(r"(?:/.*#)?-_[A-Za-z0-9_-]{18}", re.DOTALL)


def new_id(label: str = "") -> str:
    """Return an id that nobody can guess: 20 characters with at least 102 random bits.

    :param label: one of :data:`LABELS`, or none.
    """
    return (MARK + label + secrets.token_urlsafe(RANDOM_BYTES))[:LENGTH]


def private_channel(web_session_id: str) -> str:
    """Return the name of the private channel of a web session.

    It tells nothing of the id, which is a secret of its user's and has no business where names of channels go.
    """
    digest = hashlib.sha256(web_session_id.encode("utf-8", "surrogatepass")).digest()
    return (MARK + base64.urlsafe_b64encode(digest).decode())[:LENGTH]


def is_private(name: str) -> bool:
    """Whether a name could be a session id, of any generation of clients, and so is no channel to subscribe to."""
    return PRIVATE.fullmatch(name) is not None
