"""Applications by name: ``MODULE:APP``, as a command line has it."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

from .errors import SettingsError

DEFAULT_APP = "application"


def load_application(name: str) -> Any:
    """Import a module, which may be in the current directory, and return the WSGI application in it.

    :param name: ``MODULE:APP``; without APP, ``application``. An application of web.py's is taken for its
        ``wsgifunc()``.

    Raises SettingsError, with the traceback in its text if it was the module that failed.
    """
    module_name, _, app_name = name.partition(":")
    module = _import(module_name)
    found = _find(module, app_name or DEFAULT_APP)
    if callable(getattr(found, "wsgifunc", None)):
        return found.wsgifunc()
    if not callable(found):
        raise SettingsError(f"{name}: {found!r} is no WSGI application; of web.py's, give app or app.wsgifunc()")
    return found


def _import(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")) or name.endswith(".py"):
        wanted = name.removesuffix(".py").strip("./").replace("/", ".")
        raise SettingsError(f"{name!r} is not the name of a module; for a file {wanted}.py write {wanted}:APP")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise SettingsError(f"there is no module {error.name!r}, neither in {here} nor installed") from None
        story = "".join(traceback.format_exception(type(error), error, _without_importing(error.__traceback__)))
        raise SettingsError(f"{name} cannot be imported:\n{story.rstrip()}") from None


def _without_importing(frame: TracebackType | None) -> TracebackType | None:
    """A traceback without its beginning: our frames, and those of the import machinery."""
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file != __file__ and "importlib" not in file:
            break
        frame = frame.tb_next
    return frame


def _find(module: ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        pass
    close = difflib.get_close_matches(name, [known for known in vars(module) if not known.startswith("_")], n=1)
    hint = f"Did you mean {module.__name__}:{close[0]}?" if close else "Write application = app.wsgifunc() in it."
    raise SettingsError(f"{module.__name__} has no {name!r}. {hint}")
