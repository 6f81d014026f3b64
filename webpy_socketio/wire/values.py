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
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from ..errors import LimitExceeded, PacketError, UnsendableValue
from ..options import DEEPEST

BINARY = (bytes, bytearray, memoryview)
HARMLESS = frozenset((str, int, bool, type(None), *BINARY))
MOST_PARTS = 1_000_000
#: Characters in the longest string of V8, the JavaScript engine of Node and Chromium; others' are hardly longer.
LONGEST_TEXT = 2**29 - 24
NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
FALSE_PLACEHOLDER = "has a key _placeholder, which beside binary values stands for one of them"
TOO_DEEP = "is nested too deeply, or contains itself"


# Dataclasses are written by _convert, so that they have one form whichever way a value is encoded.
OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS


def encode_plain(value: Any) -> bytes | None:
    """Return the value as compact JSON; None if there may be anything uncommon in it, for :func:`encode_value`."""
    try:
        text = orjson.dumps(value, default=_convert, option=OPTIONS)
    except TypeError:
        return None
    return None if text.find(b"null") >= 0 or len(text) > LONGEST_TEXT else text  # "in" would be slower


def encode_value(value: Any) -> tuple[bytes, list[bytes]]:
    """Return the value as compact JSON, with a placeholder for each binary in it, and the binaries in that order.

    Raises UnsendableValue if something in it has no form on the wire, or if it is more than any client could take.
    """
    attachments: list[bytes] = []
    try:
        text = orjson.dumps(value, default=_convert, option=OPTIONS)
    except TypeError:
        text, attachments = _encode_uncommon(value)
    else:
        if b"null" in text:
            _refuse_nan(value)
    if len(text) > LONGEST_TEXT:
        raise UnsendableValue("data", f"takes {len(text):,} bytes of text; no JavaScript string is longer than "
                              f"{LONGEST_TEXT:,}: send it in parts, or as bytes")  # fmt: skip
    return text, attachments


def _encode_uncommon(value: Any) -> tuple[bytes, list[bytes]]:
    """Encode a value that holds bytes, or something that orjson does not take."""
    attachments: list[bytes] = []

    def convert(part: Any) -> Any:
        if isinstance(part, BINARY):
            attachments.append(bytes(part))
            return {"_placeholder": True, "num": len(attachments) - 1}
        return _convert(part)

    try:
        text = orjson.dumps(value, default=convert, option=OPTIONS)
    except TypeError:
        attachments.clear()
        text = _encode_patiently(value, convert)
    else:
        _refuse_nan(value)
    if attachments and text.count(b'"_placeholder":true') > len(attachments):
        # Clients would look for an attachment that is not there, and drop the connection.
        path, problem = _find(value, _placeholder_problem) or ("data", FALSE_PLACEHOLDER)
        raise UnsendableValue(path, problem)
    return text, attachments


def _encode_patiently(value: Any, convert: Callable[[Any], Any]) -> bytes:
    """The standard library takes what orjson does not: large numbers, lone surrogates, keys that are numbers."""
    try:
        text = json.dumps(value, default=convert, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise UnsendableValue("data", TOO_DEEP) from None
    except (TypeError, ValueError) as error:
        path, problem = _find(value, _problem_of) or ("data", str(error))
        raise UnsendableValue(path, problem) from None
    return text.encode("ascii")


def _convert(value: Any) -> Any:
    """One value that JSON does not have, as one that it has. Raises TypeError if there is none."""
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
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} cannot be sent; make it a dict, a list, text or a number first")


def _refuse_nan(value: Any) -> None:
    """orjson writes NaN and infinities as null; a receiver would get something that nobody sent."""
    if not _may_hold_nan(value):
        return
    found = _find(value, _nan_problem)
    if found is not None:
        raise UnsendableValue(*found)


def _may_hold_nan(value: Any) -> bool:
    """A quick look at a value that may be large: whether it holds a NaN or infinity, or something less simple."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if kind is list or kind is tuple:
            waiting += [inner for inner in part if type(inner) not in HARMLESS]
        elif kind is dict:
            waiting += [inner for inner in part.values() if type(inner) not in HARMLESS]
        elif kind not in HARMLESS and (kind is not float or not math.isfinite(part)):
            return True
        if len(waiting) > MOST_PARTS:
            return True  # perhaps it contains itself
    return False


def _nan_problem(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a number that can be sent"
    return None


def _placeholder_problem(value: Any) -> str | None:
    return FALSE_PLACEHOLDER if isinstance(value, dict) and value.get("_placeholder") is True else None


def _problem_of(value: Any) -> str | None:
    """Why a value cannot be sent, apart from what it contains."""
    if isinstance(value, dict):
        good = all(isinstance(key, (str, int, float, type(None))) for key in value)
        return None if good else "has a key that is neither text nor a number"
    if value is None or isinstance(value, (str, int, float, list, tuple, *BINARY)):
        return _nan_problem(value)
    try:
        _convert(value)
    except TypeError as error:
        return str(error)
    return None


def _find(value: Any, problem_of: Callable[[Any], str | None]) -> tuple[str, str] | None:
    """Return where in a value the first problem is, and what."""
    try:
        return _search(value, "data", problem_of)
    except RecursionError:
        return "data", TOO_DEEP


def _search(value: Any, path: str, problem_of: Callable[[Any], str | None]) -> tuple[str, str] | None:
    problem = problem_of(value)
    if problem is not None:
        return path, problem
    for place, part in _parts(value):
        found = _search(part, path + place, problem_of)
        if found is not None:
            return found
    return None


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What a value contains, and where."""
    if isinstance(value, Enum):
        return [("", value.value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{name}", part) for name, part in _convert(value).items()]
    if isinstance(value, dict):
        return [(f".{key}", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    return ()


def decode_value(text: str, max_depth: int = DEEPEST) -> Any:
    """Return the value that a JSON text stands for. Raises PacketError if it is not JSON, LimitExceeded if it has more
    levels of lists and dicts in each other than ``max_depth``.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        value = _decode_surrogates(text, error)
    if len(text) > max_depth and text.count("[") + text.count("{") > max_depth and _is_too_deep(value, max_depth):
        raise LimitExceeded("max_json_depth", f"nested more than {max_depth} levels deep")
    return value


def _decode_surrogates(text: str, error: orjson.JSONDecodeError) -> Any:
    """JavaScript strings may hold half of a surrogate pair, which orjson refuses to read."""
    if "\\ud" not in text.lower():
        raise PacketError(f"not JSON: {error}") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise PacketError(f"not JSON: {error}") from None


def _is_too_deep(value: Any, max_depth: int) -> bool:
    level = [value]
    for _ in range(max_depth):
        parts = (part for outer in level for part in (outer.values() if type(outer) is dict else outer))
        level = [part for part in parts if type(part) is list or type(part) is dict]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def as_ascii(text: bytes) -> bytes:
    """JSON with nothing but ASCII in it: any other character as the escape that stands for it."""
    return text if text.isascii() else NOT_ASCII.sub(_escape, text.decode()).encode("ascii")


def _escape(match: re.Match[str]) -> str:
    return "\\u" + match[0].encode("utf-16-be").hex(" ", 2).replace(" ", "\\u")
