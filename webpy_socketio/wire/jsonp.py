"""JSONP polling: payloads wrapped as a script call, and taken out of an HTML form."""

from __future__ import annotations

import json
import re

NOT_DIGITS = re.compile(r"[^0-9]")
FIELD = re.compile(rb"(?:\A|&)d(?:=([^&]*))?(?:&|\Z)")
ESCAPED_BYTE = re.compile(rb"%([0-9A-Fa-f]{2})")
ESCAPED_NEWLINE = re.compile(r"\\\\n|\\n")


def wrap(payload: bytes, index: str) -> bytes:
    """Return the script that hands a payload to callback number ``index`` (anything but digits is dropped from it)."""
    # ensure_ascii writes U+2028 and U+2029 as escapes too: both would end a line in older JavaScript.
    return f"___eio[{NOT_DIGITS.sub('', index)}]({json.dumps(payload.decode())});".encode()


def unwrap(form: bytes) -> bytes | None:
    """Return the payload in the form field ``d``, or None if there is no such field.

    Clients write a newline as backslash-n, and a backslash-n that was there before as backslash-backslash-n.
    """
    field = FIELD.search(form)
    if field is None:
        return None
    text = _unquote((field[1] or b"").replace(b"+", b" ")).decode("utf-8", "replace")
    return ESCAPED_NEWLINE.sub(lambda match: "\n" if match[0] == "\\n" else "\\n", text).encode()


def _unquote(value: bytes) -> bytearray:
    """As urllib does it, which takes a hundred bytes for each percent sign of a hostile text meanwhile."""
    plain, position = bytearray(), 0
    for match in ESCAPED_BYTE.finditer(value):
        plain += value[position : match.start()]
        plain.append(int(match[1], 16))
        position = match.end()
    plain += value[position:]
    return plain
