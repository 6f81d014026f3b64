"""Compression of answers, in the way that a client likes best of those we know."""

from __future__ import annotations

import zlib
from collections.abc import Collection

#: zlib's window bits for each content coding: 16 more means a gzip header, and "deflate" is the zlib format.
WINDOW_BITS = {"gzip": 31, "deflate": 15}


def choose_coding(accepted: str, offered: Collection[str] = tuple(WINDOW_BITS)) -> str | None:
    """Return the content coding that an Accept-Encoding header likes best of those offered; None if it likes none.

    See RFC 9110, section 12.5.3.
    """
    best, best_quality = None, 0.0
    for part in accepted.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        coding = "gzip" if name == "*" else name.strip()
        quality = _quality(parameters)
        if coding in offered and quality > best_quality:
            best, best_quality = coding, quality
    return best


def compress(body: bytes, coding: str) -> bytes:
    """Return the body in a coding that :func:`choose_coding` chose."""
    packer = zlib.compressobj(wbits=WINDOW_BITS[coding])
    return packer.compress(body) + packer.flush()


def _quality(parameters: str) -> float:
    try:
        return float(parameters.replace(" ", "").removeprefix("q=") or 1)
    except ValueError:
        return 0.0
