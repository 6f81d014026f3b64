"""SocketIOServer's options: settings, gevent's own, and the names that gevent-socketio had."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import web

from webpy_socketio import SettingsError, SocketIOServer, server
from webpy_socketio.server_options import sort_options


@pytest.fixture(autouse=True)
def patched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is not patched; a server does not start in such a one."""
    if "unpatched" not in request.node.name:
        monkeypatch.setattr(server, "check_patched", lambda: None)


def application(environ: Any, start_response: Any) -> list[bytes]:
    return []


def test_options_go_where_they_belong() -> None:
    made = SocketIOServer(("127.0.0.1", 0), application, resource="realtime", ping_interval=5, backlog=7, log=None)
    assert made.backlog == 7
    settings = made.environ["webpy_socketio.door"].settings
    assert (settings.resource, settings.ping_interval, settings.ping_timeout) == ("realtime", 5, 20)


def test_an_unpatched_process_is_told() -> None:
    with pytest.raises(SettingsError, match=r"monkey\.patch_all"):
        SocketIOServer(("127.0.0.1", 0), application)


@pytest.mark.parametrize("wrong", [None, web.application((), {})])
def test_what_is_no_wsgi_application_is_told(wrong: Any) -> None:
    with pytest.raises(SettingsError, match=r"give the server app\.wsgifunc\(\)"):
        SocketIOServer(("127.0.0.1", 0), wrong)


def test_the_listener_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKETIO_HOST", "127.0.0.9")
    monkeypatch.setenv("SOCKETIO_PORT", "4321")
    assert SocketIOServer(None, application).address == ("127.0.0.9", 4321)


def test_an_unknown_option_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"unknown option 'ping_intervall'\. Did you mean 'ping_interval'"):
        SocketIOServer(("127.0.0.1", 0), application, ping_intervall=5)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"heartbeat_interval": 9}, {"ping_interval": 9}),
        ({"heartbeat_timeout": 10}, {"ping_timeout": 10}),
        ({"close_timeout": 7}, {"close_timeout": 7}),
        ({"transports": ["websocket", "xhr-polling", "jsonp-polling"]}, {"transports": ("websocket", "polling")}),
        ({"transports": "polling,websocket"}, {"transports": ("polling", "websocket")}),
    ],
)
def test_gevent_socketios_names_that_mean_something(options: dict[str, Any], settings: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sort_options(options) == (settings, {})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"policy_server": True}, "policy_server does nothing: browsers have had no Flash"),
        ({"policy_listener": ("", 843)}, "policy_listener does nothing"),
        ({"transports": ["flashsocket", "websocket"]}, "the transport flashsocket does nothing"),
    ],
)
def test_gevent_socketios_names_without_meaning_warn_and_say_why(options: dict[str, Any], reason: str) -> None:
    with pytest.warns(UserWarning, match=reason):
        sort_options(options)


def test_an_unknown_transport_is_an_error() -> None:
    with pytest.raises(SettingsError, match="unknown transport 'carrier-pigeon'"):
        sort_options({"transports": ["carrier-pigeon"]})


def test_log_file_is_the_access_log(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    _, options = sort_options({"log_file": str(path)})
    options["log"].write("a line\n")
    assert path.read_text() == "a line\n"
    options["log"].close()


@pytest.mark.parametrize(
    ("listener", "place"),
    [
        (("", 8000), "http://localhost:8000/"),
        (("0.0.0.0", 8000), "http://localhost:8000/"),
        (("127.0.0.1", 8000), "http://127.0.0.1:8000/"),
        (("::1", 8000), "http://[::1]:8000/"),
    ],
)
def test_the_place_that_is_shown_can_be_clicked(listener: tuple[str, int], place: str) -> None:
    assert SocketIOServer(listener, application)._where() == place
