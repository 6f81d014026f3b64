"""The header Forwarded (RFC 7239, section 4): what each proxy tells of the request that it passed on.

It is read from its end. What a client sent stands before what proxies have added, and may be anything, an open
quotation mark too; so it must not count for how the rest is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Characters of one element.
LONGEST_ELEMENT = 256
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
PAIR = rf"[ \t]*({TOKEN})=({TOKEN}|{QUOTED})[ \t]*"
PAIRS = re.compile(PAIR)
ELEMENT = re.compile(rf"(?:{PAIR}|[ \t]*)(?:;(?:{PAIR}|[ \t]*))*")
ESCAPED = re.compile(r"\\(.)")


def read_elements(header: str) -> Iterator[dict[str, str]]:
    """Return the elements, the last first: values by the names of parameters, in small letters.

    The first that is not as it should be is the end.
    """
    end = len(header)
    while end >= 0:
        floor = max(0, end - LONGEST_ELEMENT)
        start = end
        element = None
        while element is None:  # the comma may be one in quotation marks: try the next
            start = header.rfind(",", floor, start)
            if start < 0 and floor > 0:
                return
            element = _read_element(header[start + 1 : end])
            if element is None and start < 0:
                return
        yield element
        end = start


def _read_element(text: str) -> dict[str, str] | None:
    if not ELEMENT.fullmatch(text):
        return None
    pairs = [(name.lower(), _unquoted(value)) for name, value in PAIRS.findall(text)]
    element = dict(pairs)
    return element if len(element) == len(pairs) else None  # a name may stand there once


def _unquoted(value: str) -> str:
    return ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
