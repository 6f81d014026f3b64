"""The public face is what the documents say, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import webpy_socketio
from webpy_socketio.reasons import REASONS
from webpy_socketio.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = "".join(path.read_text() for path in [ROOT / "README.rst", *(ROOT / "docs").glob("*.rst")])


def test_all_is_what_can_be_imported() -> None:
    assert sorted(webpy_socketio.__all__) == webpy_socketio.__all__
    for name in webpy_socketio.__all__:
        assert getattr(webpy_socketio, name) is not None


def test_a_star_import_brings_no_module_of_the_standard_library() -> None:
    assert not {"socket", "json", "logging", "web", "gevent"} & set(webpy_socketio.__all__)


@pytest.mark.parametrize("name", [name for name in webpy_socketio.__all__ if name not in ("SocketIOError",)])
def test_everything_public_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", DOCUMENTS), f"{name} is in no document"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_is_documented(field: str) -> None:
    assert f"\n``{field}``" in (ROOT / "docs" / "settings.rst").read_text()


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_every_reason_is_documented(reason: webpy_socketio.reasons.Reason) -> None:
    row = re.search(rf"^``{reason.name}`` .*?(yes|no)$", (ROOT / "docs" / "events.rst").read_text(), re.MULTILINE)
    assert row is not None
    assert (row[1] == "yes") == reason.may_reconnect


@pytest.mark.parametrize("reason", webpy_socketio.reasons.REASONS)
def test_every_ending_is_in_the_operators_table(reason: webpy_socketio.reasons.Reason) -> None:
    row = rf"^``{reason.name}`` +{reason.code}  {'yes' if reason.may_reconnect else 'no'} +(.*)$"
    found = re.search(row, (ROOT / "docs" / "operations.rst").read_text(), re.MULTILINE)
    if reason is webpy_socketio.reasons.PAGE_CLOSED:
        assert found is None  # it is told as TRANSPORT_CLOSE
    else:
        assert found is not None
        assert reason.sentence.startswith(found[1])


def test_the_distribution_is_typed() -> None:
    assert (ROOT / "webpy_socketio" / "py.typed").exists()
