"""What acknowledges a client's event: one value, several as a tuple, or none, as a handler returns it."""

from __future__ import annotations

from typing import Any


def error_answer(code: str, message: str, data: Any = None) -> dict[str, Any]:
    """Return the answer that something went wrong: an object with ``error``, which has a code and a message."""
    error = {"code": code, "message": message}
    return {"error": error if data is None else {**error, "data": data}}


#: The answer of a handler that raised something.
FAILED = error_answer("failed", "the server could not handle this event")


def as_arguments(answer: Any) -> list[Any]:
    """Return an answer as the arguments of an acknowledgement."""
    if isinstance(answer, tuple):
        return list(answer)
    return [] if answer is None else [answer]
