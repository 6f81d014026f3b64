"""Declarations: what is checked of all that an application declares when it is imported, and which import that was."""

from __future__ import annotations

import inspect
import os
import re
from types import CodeType
from typing import Any, NamedTuple

from .errors import EventError

_NOT_CALLED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


class ModuleRun(NamedTuple):
    """One execution of a module's code."""

    #: Made anew each time the module is loaded, so it tells one execution from another.
    code: CodeType
    name: str

    @property
    def path(self) -> str:
        """The module's file, however it was spelled."""
        return os.path.realpath(self.code.co_filename)


def current_run() -> ModuleRun | None:
    """The run of the module whose top level is calling this package.

    None if it is called from within a function, or typed into an interactive session.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "<module>" or frame.f_code.co_filename.startswith("<"):
        return None
    return ModuleRun(frame.f_code, frame.f_globals.get("__name__", ""))


def is_called(function: Any) -> bool:
    """Whether a function is run by a call, and not awaited or iterated."""
    return not any(is_kind(function) for is_kind in _NOT_CALLED)


def compile_channel(what: str, pattern: Any) -> re.Pattern[str]:
    """Return a pattern of the names of channels; ``what`` it is tells the error.

    Raises EventError for what is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
        compiled.match("")  # a pattern of bytes compiles, but matches no name
        return compiled
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        raise EventError(f"{what}={pattern!r} is not a regular expression: {error}") from None
