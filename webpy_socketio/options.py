"""Options: how their values are read, from Python or from the text of an environment variable.

Each reader returns the value, or raises ValueError with the rule that it breaks, worded so that the option's name can
stand before it.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

N = TypeVar("N", int, float)

TRANSPORTS = ("polling", "websocket")
LOG_FORMATS = ("text", "json")
#: How processes speak to each other over Redis.
REDIS_ADAPTERS = PUBSUB, STREAMS = "pubsub", "streams"
#: Levels of lists and dicts: a little less than orjson can write back.
DEEPEST = 240
CLIENTS = ("1-2", "3-4")
OPEN = "open"
CLOSED = "closed"
#: Characters of a secret, at least: of random ones, as many as nobody can try.
SHORTEST_SECRET = 16
#: Values of a cookie's attribute SameSite.
SAMESITE = ("Lax", "Strict", "None")
#: Headers in which proxies tell who their clients are.
FORWARDED_HEADERS = X_FORWARDED, RFC_7239 = "x-forwarded-for", "forwarded"
#: A token (RFC 9110, section 5.6.2), which the names of a cookie (RFC 6265, section 4.1.1) and of a subprotocol
#: (RFC 6455, section 4.1) have to be.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Stands for the address of whoever comes by a Unix socket.
UNIX = "unix"
DEFAULT_LOG_FORMAT = '%(REMOTE_ADDR)s - - [%(TIME)s] "Socket.IO %(TYPE)s: %(MESSAGE)s"'
LOG_FIELDS = ("TIME", "MESSAGE", "TYPE")
ENVIRON_KEYS = (
    "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE",
    "CONTENT_LENGTH", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "REMOTE_USER",
    "PROXY_ADDR",
)  # fmt: skip


def as_seconds(value: Any) -> float:
    """A number of seconds above 0."""
    number = as_number(float, value, "must be a number of seconds above 0")
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError("must be a number of seconds above 0")
    return number


def as_seconds_or_zero(value: Any) -> float:
    """A number of seconds; 0 for never."""
    if not isinstance(value, bool) and as_number(float, value, "must be a number of seconds, 0 or more") == 0:
        return 0.0
    return as_seconds(value)


def as_number(kind: type[N], value: Any, problem: str) -> N:
    """A number of some kind."""
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(problem) from None


def as_whole(value: Any) -> int:
    """A whole number."""
    number = as_number(int, value, "must be a whole number")
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError("must be a whole number")
    return number


def as_count(value: Any) -> int:
    """A whole number from 1 on."""
    return _at_least(1, value, "must be a whole number above 0")


def as_size(value: Any) -> int:
    """A whole number from 0 on."""
    return _at_least(0, value, "must be a whole number of bytes, 0 or more")


def as_limit(value: Any) -> int:
    """A whole number; 0 for no limit."""
    return _at_least(0, value, "must be a whole number, or 0 for no limit")


def _at_least(least: int, value: Any, problem: str) -> int:
    number = as_whole(value)
    if number < least:
        raise ValueError(problem)
    return number


def as_depth(value: Any) -> int:
    """A number of levels."""
    number = as_count(value)
    if number > DEEPEST:
        raise ValueError(f"must be at most {DEEPEST}: what is deeper could not be sent back")
    return number


def as_port(value: Any) -> int:
    """The number of a port."""
    number = as_whole(value)
    if not 0 <= number <= 65535:
        raise ValueError("must be between 0 and 65535")
    return number


def as_switch(value: Any) -> bool:
    """True or false, in any usual word."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).strip().lower()]


def as_text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def as_optional_text(value: Any) -> str | None:
    """A text; an empty one, or None, for nothing."""
    return None if value is None or value in ("", "None") else as_text(value)


def as_filled_text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be text, and not empty")
    return value


def as_cookie_name(value: Any) -> str | None:
    """The name of a cookie; an empty one, or None, for no cookie."""
    name = as_optional_text(value)
    if name is not None and not TOKEN.fullmatch(name):
        raise ValueError("is not the name of a cookie: take letters, digits, '-' and '_'")
    return name


def as_names(value: Any) -> tuple[str, ...]:
    """Names, also as one text with commas between them."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise ValueError("must be a list of names")
    return tuple(filter(None, (as_text(name).strip() for name in value)))


def as_tokens(value: Any) -> tuple[str, ...]:
    """Names that can stand in a header's list."""
    names = as_names(value)
    for name in names:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no token: take letters, digits, '.', '-' and '_'")
    return names


def as_secrets(value: Any) -> tuple[str, ...]:
    """Secrets, each long enough. What is wrong with one is told without showing it."""
    names = as_names(value)
    if any(len(name) < SHORTEST_SECRET for name in names):
        raise ValueError(
            f"a secret has at least {SHORTEST_SECRET} characters, random ones, and no comma; "
            "python3 -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    return names


def as_path(value: Any) -> str | None:
    """The path of a file."""
    path = value if value is None else os.fspath(value)
    if isinstance(path, bytes) or (path is not None and "\0" in path):
        raise ValueError("must be the path of a file")
    return as_optional_text(path)


def as_descriptor(value: Any) -> int | None:
    """The number of a descriptor."""
    if value is None or value in ("", "None"):
        return None
    number = as_whole(value)
    if number < 0:
        raise ValueError("must be the number of a descriptor, 0 or more")
    return number


def as_proxies(value: Any) -> tuple[str, ...]:
    """Addresses and networks of proxies."""
    names = as_names(value)
    for name in names:
        try:
            if name != UNIX:
                ipaddress.ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{error}; a proxy is written like '10.0.0.7', a network like '10.0.0.0/8', and "
                f"{UNIX!r} means whoever comes by a Unix socket"
            ) from None
    return names


def some_of(known: tuple[str, ...]) -> Callable[[Any], tuple[str, ...]]:
    """Return a reader for a choice of known names, at least one."""

    def read(value: Any) -> tuple[str, ...]:
        names = as_names(value)
        for name in names:
            if name not in known:
                raise ValueError(f"knows no {name!r}; choose from {', '.join(known)}")
        if not names:
            raise ValueError(f"needs at least one of {', '.join(known)}")
        return names

    return read


def one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    """Return a reader for one of some known names."""

    def read(value: Any) -> str:
        name = as_text(value).strip()
        if name not in known:
            raise ValueError(f"knows no {name!r}; choose from {', '.join(known)}{suggestion(name, known)}")
        return name

    return read


def as_resource(value: Any) -> str:
    """A path below which requests are served."""
    name = as_text(value).strip("/")
    if not name:
        raise ValueError("must be a path like 'socket.io'")
    return name


def as_log_format(value: Any) -> str | None:
    """A %-format for lines of the message log."""
    text = as_optional_text(value)
    if text is not None:
        check_log_format(text)
    return text


class _KnownKeys(dict[str, str]):
    """Stands in for an environ while a log format is tried out."""

    def __repr__(self) -> str:
        raise ValueError("is a %-format that does not name what it shows, like %(MESSAGE)s")

    def __missing__(self, key: str) -> str:
        if key.startswith("HTTP_"):
            return ""
        raise ValueError(f"names an unknown key {key!r}{suggestion(key, [*LOG_FIELDS, *ENVIRON_KEYS])}")


def check_log_format(text: str) -> None:
    """Raise ValueError if the format could not be filled from an environ, TIME, TYPE and MESSAGE."""
    try:
        text % _KnownKeys.fromkeys((*LOG_FIELDS, *ENVIRON_KEYS), "")
    except TypeError as error:
        raise ValueError(f"is not a %-format over a mapping: {error}") from None


def suggestion(name: str, known: Iterable[str]) -> str:
    """What else may have been meant by an unknown name, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f". Did you mean {close[0]!r}?" if close else ""
