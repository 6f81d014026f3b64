"""Tokens on a page: how its handler makes them, and how they are written where the page's client finds them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from .shortcuts import current
from .startup import read_settings
from .targets import check_channels, check_namespace
from .tokens import Tokens, read_claims


def subscribe_token(channel: str, user: str | int | None = None, expires: float = 3600, *, namespace: str = "/") -> str:
    """Return a token that lets a client follow a channel.

    :param user: who may use it: only a socket of this user, or of none so far, which is this user's from then on.
        Without it, whoever has the token may.
    :param expires: seconds for which it may be used to subscribe. A subscription goes on after that.

    It may be called before there is a server, or in a process that has none: then with the settings outside of
    keyword arguments. Raises SettingsError if there is no secret, EventError for what no token can say.
    """
    check_namespace(namespace)
    check_channels((channel,))
    node = current()
    tokens = Tokens(read_settings({}), time.time) if node is None else node.services.tokens
    return tokens.make(namespace, channel, user, expires)


def token_script(tokens: str | Iterable[str]) -> str:
    """Return the script element that hands tokens to a page's client. It is data: no policy of scripts concerns it.

    :param tokens: one or several, made by :func:`subscribe_token`.

    Raises EventError for what is no token.
    """
    rows = []
    for token in (tokens,) if isinstance(tokens, str) else tokens:
        claims = read_claims(token)
        rows.append([claims.namespace, claims.channel, token])
    data = json.dumps(rows).replace("<", "\\u003c")  # nothing in it may end the element
    return f'<script type="application/json" class="socketio-tokens">{data}</script>'
