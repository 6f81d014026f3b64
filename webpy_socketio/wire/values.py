"""Values in and out of JSON: what a handler sends becomes bytes, what a client sends becomes values.

Besides JSON's own, these can be sent: datetime, date, time, UUID, Enum and dataclasses (as orjson writes them),
Decimal (as text, so that no digit is lost) and bytes (as Socket.IO attachments). What cannot be sent fails the caller
with the place where it stands; nothing is changed silently on the way.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from ..errors import PacketError, UnsendableValue

BINARY = (bytes, bytearray, memoryview)


class _HasBinary(Exception):
    """Tells that a value holds bytes, which have to be taken out first."""


def encode_value(value: Any) -> tuple[bytes, list[bytes]]:
    """Return the value as compact JSON, with a placeholder for each binary in it, and the binaries in that order.

    Raises UnsendableValue if something in it has no form on the wire.
    """
    try:
        text = orjson.dumps(value, default=_convert)
    except TypeError as error:
        return _encode_uncommon(value, binary=isinstance(error.__cause__, _HasBinary))
    if b"null" in text:
        _refuse_nan(value, "data")
    return text, []


def _encode_uncommon(value: Any, binary: bool) -> tuple[bytes, list[bytes]]:
    attachments: list[bytes] = []

    def convert(part: Any) -> Any:
        if isinstance(part, BINARY):
            attachments.append(bytes(part))
            return {"_placeholder": True, "num": len(attachments) - 1}
        return _convert(part)

    if binary:
        try:
            text = orjson.dumps(value, default=convert)
            _refuse_nan(value, "data")
            return text, attachments
        except TypeError:
            attachments.clear()
    return _encode_patiently(value, convert), attachments


def _encode_patiently(value: Any, convert: Callable[[Any], Any]) -> bytes:
    """The standard library takes what orjson does not: large numbers, lone surrogates, keys that are numbers."""
    try:
        text = json.dumps(value, default=convert, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise UnsendableValue("data", "is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        path, problem = _find_unsendable(value, "data") or ("data", str(error))
        raise UnsendableValue(path, problem) from None
    return text.encode("ascii")


def _convert(value: Any) -> Any:
    """One value that JSON does not have, as one that it has."""
    if isinstance(value, BINARY):
        raise _HasBinary
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is not a number that can be sent")
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} cannot be sent; make it a dict, a list, text or a number first")


def _refuse_nan(value: Any, path: str) -> None:
    """orjson writes NaN and infinities as null; a receiver would get something that nobody sent."""
    found = _find(value, path, lambda part: isinstance(part, float) and not math.isfinite(part))
    if found:
        raise UnsendableValue(found[0], f"{found[1]} is not a number that can be sent")


def _find(value: Any, path: str, wrong: Callable[[Any], bool]) -> tuple[str, Any] | None:
    if wrong(value):
        return path, value
    if isinstance(value, dict):
        parts = [(f"{path}.{key}", part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{path}[{index}]", part) for index, part in enumerate(value)]
    else:
        return None
    return next(filter(None, (_find(part, place, wrong) for place, part in parts)), None)


def _find_unsendable(value: Any, path: str) -> tuple[str, str] | None:
    def wrong(part: Any) -> bool:
        if isinstance(part, dict):
            return not all(isinstance(key, (str, int, float, type(None))) for key in part)
        if isinstance(part, float):
            return not math.isfinite(part)
        if part is None or isinstance(part, (str, int, list, tuple, *BINARY)):
            return False
        try:
            _convert(part)
        except TypeError:
            return True
        return False

    found = _find(value, path, wrong)
    if found is None:
        return None
    place, part = found
    if isinstance(part, dict):
        return place, "has a key that is neither text nor a number"
    if isinstance(part, float):
        return place, f"{part} is not a number that can be sent"
    return place, f"a {type(part).__name__} cannot be sent; make it a dict, a list, text or a number first"


def decode_value(text: str) -> Any:
    """Return the value that a JSON text stands for. Raises PacketError if it is not JSON, or is nested too deeply."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "\\ud" not in text.lower():
            raise PacketError(f"not JSON: {error}") from None
    # JavaScript strings may hold half of a surrogate pair, which orjson refuses to read.
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PacketError(f"not JSON: {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
