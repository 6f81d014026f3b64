"""Where settings are looked for when a server starts, and what the parts of a server have in common."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import web

from webpy_socketio import SettingsError, startup
from webpy_socketio.shortcuts import current
from webpy_socketio.startup import read_settings, start_node


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's directory, without a settings module yet."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "settings", raising=False)
    for name in [name for name in web.config if name.startswith("SOCKETIO_")]:
        monkeypatch.delitem(web.config, name)
    yield tmp_path
    sys.modules.pop("settings", None)


def test_each_source_gives_way_to_the_one_before(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({}).ping_interval == 25
    (project / "settings.py").write_text("SOCKETIO_PING_INTERVAL = 4\nSOCKETIO_PING_TIMEOUT = 44\nOTHER = 1\n")
    assert read_settings({}).ping_interval == 4
    monkeypatch.setenv("SOCKETIO_PING_INTERVAL", "3")
    assert read_settings({}).ping_interval == 3
    monkeypatch.setitem(web.config, "SOCKETIO_PING_INTERVAL", 2)
    assert read_settings({}).ping_interval == 2
    settings = read_settings({"ping_interval": 1})
    assert (settings.ping_interval, settings.ping_timeout) == (1, 44)


@pytest.mark.parametrize("source", ["settings", "environment", "web.config"])
def test_an_unknown_option_is_an_error_wherever_it_stands(
    project: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "settings":
        (project / "settings.py").write_text("SOCKETIO_PING_INTERVALL = 4\n")
    elif source == "environment":
        monkeypatch.setenv("SOCKETIO_PING_INTERVALL", "4")
    else:
        monkeypatch.setitem(web.config, "SOCKETIO_PING_INTERVALL", 4)
    with pytest.raises(SettingsError, match="Did you mean 'SOCKETIO_PING_INTERVAL'"):
        read_settings({})


def test_a_settings_module_that_is_broken_is_not_passed_over(project: Path) -> None:
    (project / "settings.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        read_settings({})


def test_the_node_that_was_started_last_is_the_current_one() -> None:
    running = start_node(read_settings({}))
    assert current() is running.node
    assert running.door.hub is running.node.hub
    running.stop(1.0)
    assert current() is None


# Redis


def test_without_a_url_there_is_only_this_process() -> None:
    running = start_node(read_settings({}))
    assert running.node.services.backplane.is_alone
    running.stop(0)


def test_redis_needs_the_patches() -> None:
    with pytest.raises(SettingsError, match=r"redis_url needs gevent's patches.*monkey\.patch_all\(\)"):
        start_node(read_settings({"redis_url": "redis://127.0.0.1"}))


@pytest.mark.parametrize("missing", ["redis", "msgpack"])
def test_redis_needs_its_packages(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(startup, "are_sockets_patched", lambda: True)
    for name in [name for name in sys.modules if name.startswith(("webpy_socketio.backplane.", missing + "."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=rf'needs {missing}, .*pip install "webpy-socketio\[redis\]"'):
        start_node(read_settings({"redis_url": "redis://127.0.0.1"}))


def test_a_url_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "are_sockets_patched", lambda: True)
    with pytest.raises(SettingsError, match="option redis_url"):
        start_node(read_settings({"redis_url": "127.0.0.1"}))
