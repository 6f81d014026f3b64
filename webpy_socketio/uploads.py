"""Uploads: the body of a request, read within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import LimitExceeded

LONGEST_LENGTH = 15  # digits; more are no length of anything


class Upload(NamedTuple):
    """The body of a request."""

    data: bytes
    #: Whether that is all of it.
    is_whole: bool


def read_upload(environ: Mapping[str, Any], limit: int) -> Upload:
    """Read the body of a request.

    Raises LimitExceeded if it has more bytes than ``limit``, which its length may tell before it is read
    (``max_payload``), or is too slow (``header_timeout``).
    """
    length = environ.get("CONTENT_LENGTH", "")
    wanted = limit + 1
    if length.isascii() and length.isdigit():
        if len(length) > LONGEST_LENGTH or int(length) > limit:
            raise _too_large(limit)
        wanted = int(length)
    try:
        body: bytes = environ["wsgi.input"].read(wanted)
    except TimeoutError as error:
        raise LimitExceeded("header_timeout", str(error)) from None
    except OSError:
        return Upload(b"", False)
    if len(body) > limit:
        raise _too_large(limit)
    return Upload(body, not length or len(body) == wanted)


def _too_large(limit: int) -> LimitExceeded:
    return LimitExceeded("max_payload", f"a POST has at most {limit:,} bytes")
