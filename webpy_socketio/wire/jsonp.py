"""JSONP polling: payloads wrapped as a script call, and taken out of an HTML form."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

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
    fields = parse_qs(form.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    if "d" not in fields:
        return None
    text = ESCAPED_NEWLINE.sub(lambda match: "\n" if match[0] == "\\n" else "\\n", fields["d"][0])
    return text.encode("utf-8", "surrogatepass")
