"""JSONP polling: payloads wrapped as a script call, and taken out of an HTML form."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote_plus

NOT_DIGITS = re.compile(r"[^0-9]")
ESCAPED_NEWLINE = re.compile(r"\\\\n|\\n")


def wrap(payload: bytes, index: str) -> bytes:
    """Return the script that hands a payload to callback number ``index`` (anything but digits is dropped from it)."""
    # ensure_ascii writes U+2028 and U+2029 as escapes too: both would end a line in older JavaScript.
    return f"___eio[{NOT_DIGITS.sub('', index)}]({json.dumps(payload.decode())});".encode()


def unwrap(form: bytes) -> bytes | None:
    """Return the payload in the form field ``d``, or None if there is no such field.

    Clients write a newline as backslash-n, and a backslash-n that was there before as backslash-backslash-n.
    """
    fields = (part.partition(b"=") for part in form.split(b"&"))
    value = next((value for name, _, value in fields if name == b"d"), None)
    if value is None:
        return None
    text = unquote_plus(value.decode("utf-8", "replace"))
    return ESCAPED_NEWLINE.sub(lambda match: "\n" if match[0] == "\\n" else "\\n", text).encode()
