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
    wishes: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        wishes[name.strip()] = _quality(parameters)
    rest = wishes.pop("*", 0.0)  # stands for every coding that is not named
    known = {name: quality for name, quality in wishes.items() if name in offered}
    qualities = known | {name: rest for name in offered if name not in known}
    best = max(qualities, key=qualities.__getitem__, default=None)
    return best if best is not None and qualities[best] > 0 else None


def compress(body: bytes, coding: str) -> bytes:
    """Return the body in a coding that :func:`choose_coding` chose."""
    packer = zlib.compressobj(wbits=WINDOW_BITS[coding])
    return packer.compress(body) + packer.flush()


def _quality(parameters: str) -> float:
    try:
        return float(parameters.replace(" ", "").removeprefix("q=") or 1)
    except ValueError:
        return 0.0
