"""Logs: the names of the loggers, and the message log.

``webpy_socketio`` tells what happens to the server; ``webpy_socketio.messages`` has one line per event that a client
sent. Both are ordinary :mod:`logging` loggers. Their records have what is known of the client as attributes of their
own (:data:`FIELDS`), for formatters that write more than text.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

logger = logging.getLogger("webpy_socketio")
messages = logging.getLogger("webpy_socketio.messages")

# websockets reports each connection's end on its logger; ours says it already, with the reason.
quiet = logging.getLogger("webpy_socketio.websockets")
quiet.setLevel(logging.CRITICAL)

LONGEST_MESSAGE = 1000
#: What the records of these loggers may say beside their text: the beginning of a session's id, why something ended,
#: its number in the protocol, a client's address, and of what kind an event of the message log is.
FIELDS = ("session", "reason", "code", "address", "type")


def printable(text: str) -> str:
    """The text with control characters, line and bidirectional ones included, written as escapes.

    What a client sends must not be able to forge a line of a log or to command a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def address_of(environ: Mapping[str, Any]) -> str:
    """The address of a client, for a record; a dash if there is none."""
    return printable(environ.get("REMOTE_ADDR") or "-")


class _Fields(dict[str, str]):
    """The values of one log line; a header that a request did not have is a dash."""

    def __missing__(self, key: str) -> str:
        return "-"


class MessageLog:
    """Writes one line per event in the operator's format; does nothing, at no cost, when there is no format."""

    __slots__ = ("_format",)

    def __init__(self, line_format: str | None) -> None:
        self._format = line_format

    @property
    def enabled(self) -> bool:
        """Whether a line would be written: ask before building the message."""
        return self._format is not None and messages.isEnabledFor(logging.INFO)

    def write(self, environ: Mapping[str, str], kind: str, message: str) -> None:
        """Log one event of the client whose handshake had this environ."""
        if self._format is None or not messages.isEnabledFor(logging.INFO):
            return
        fields = _Fields((key, printable(value)) for key, value in environ.items() if isinstance(value, str))
        fields["TIME"] = time.strftime("%d/%b/%Y %H:%M:%S")
        fields["TYPE"] = printable(kind[:LONGEST_MESSAGE])
        fields["MESSAGE"] = printable(message[:LONGEST_MESSAGE])
        known = {"type": fields["TYPE"], "address": address_of(environ)}
        messages.info("%s", self._format % fields, extra=known)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, in one line and in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        fields = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def log_to_stderr(log_format: str = "text") -> None:
    """Show both logs on standard error, unless the application configured logging itself.

    :param log_format: the setting of this name.
    """
    if logging.getLogger().handlers or logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def as_text(message: Any) -> str:
    """What a client sent, for the log, whatever it is."""
    try:
        return json.dumps(message, default=_describe, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return f"<a deeply nested {type(message).__name__}>"


def _describe(value: bytes) -> str:
    return f"<{len(value)} bytes>"
