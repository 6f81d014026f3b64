"""Values in and out of MessagePack, as Node's servers write it to Redis (their package notepack, versions 2 and 3).

What JSON has no form for goes out in the form that :mod:`..wire.values` gives it, so that every client of an event gets
the same, whichever process it is connected to; binary values stay binary.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import msgpack

from ..errors import PacketError, UnsendableValue
from ..wire.values import encode_value, substitute

#: The integers that MessagePack has; JavaScript takes larger ones for floating-point numbers anyway.
SMALLEST, LARGEST = -(2**63), 2**64 - 1
#: How dates begin: the extension -1 of 4, 8 and 12 bytes.
DATE_MARKS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
#: Of notepack 2: dates, undefined and typed arrays.
OLD_EXTENSION = 0
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def pack(value: Any) -> bytes:
    """Return a value as MessagePack. Raises UnsendableValue if something in it has no form."""
    try:
        return _packb(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        # What cannot be sent at all is told here; the rest only has no form in MessagePack as it is.
        encode_value(value)
        return _packb(_plain(value, "data"))


def unpack(data: bytes) -> Any:
    """Return the value that MessagePack stands for; dates as the text that Node's clients get. Raises PacketError."""
    try:
        value = msgpack.unpackb(data, strict_map_key=False, timestamp=0, ext_hook=_old_value, unicode_errors="replace")
        return _with_texts(value) if any(mark in data for mark in DATE_MARKS) else value
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PacketError(f"not MessagePack: {type(error).__name__}: {error}") from None


def _packb(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, default=substitute)
    return packed


def _plain(value: Any, path: str) -> Any:
    """A value that JSON can write, with nothing in it that MessagePack cannot."""
    if isinstance(value, str):
        # Halves of surrogate pairs become what JavaScript makes of them when it writes UTF-8.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        try:
            return float(value)
        except OverflowError:
            raise UnsendableValue(path, "is a larger number than other processes can be sent") from None
    if isinstance(value, dict):
        return {_plain(key, path): _plain(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, f"{path}[{index}]") for index, part in enumerate(value)]
    if value is None or isinstance(value, (int, float, bytes, bytearray, memoryview)):
        return value
    return _plain(substitute(value), path)


def _old_value(code: int, data: bytes) -> Any:
    """An extension of notepack 2. Eight bytes are a date, although a typed array could have as many."""
    if code != OLD_EXTENSION:
        raise ValueError(f"unknown extension {code}")
    if len(data) == 1:
        return None  # undefined
    if len(data) == 8:
        return _date_text(int.from_bytes(data, "big", signed=True))
    return data


def _with_texts(value: Any) -> Any:
    if isinstance(value, msgpack.Timestamp):
        return _date_text(value.seconds * 1000 + value.nanoseconds // 1_000_000)
    if isinstance(value, list):
        return [_with_texts(part) for part in value]
    if isinstance(value, dict):
        return {key: _with_texts(part) for key, part in value.items()}
    return value


def _date_text(milliseconds: int) -> str | None:
    """A date as JavaScript writes it into JSON; None for one that has no such text in Python."""
    try:
        moment = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
