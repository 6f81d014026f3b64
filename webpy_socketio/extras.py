"""Extras: modules that need packages which are installed by wish only."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import SettingsError

#: The packages of each extra, as they are imported, and what pip calls them.
EXTRAS = {
    "redis": {"redis": "redis", "hiredis": "hiredis", "msgpack": "msgpack"},
    "metrics": {"prometheus_client": "prometheus-client"},
}


def import_for(extra: str, name: str, wish: str) -> Any:
    """Import a module that is part of an extra, or needs it.

    :param wish: what it is needed for.

    Raises SettingsError if the extra is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = EXTRAS[extra].get(error.name or "")
        if package is None:
            raise
        raise SettingsError(
            f'{wish} needs {package}, which is not installed: pip install "webpy-socketio[{extra}]"'
        ) from None
