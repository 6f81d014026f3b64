"""Extras: modules that need packages which are installed by wish only."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import SettingsError


def import_for_redis(name: str, wish: str) -> Any:
    """Import a module of this package that needs the extra ``redis``.

    :param wish: what it is needed for.

    Raises SettingsError if the extra is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("redis", "msgpack"):
            raise
        raise SettingsError(
            f'{wish} needs {error.name}, which is not installed: pip install "webpy-socketio[redis]"'
        ) from None
