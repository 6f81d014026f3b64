"""Settings: where values come from, what each option takes, and what is said about the others."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import web

from webpy_socketio import settings as module
from webpy_socketio.errors import SettingsError
from webpy_socketio.logs import MessageLog
from webpy_socketio.options import check_log_format
from webpy_socketio.origin_rules import OriginRule
from webpy_socketio.settings import HIDDEN, OPTIONS, Settings, load_settings
from webpy_socketio.startup import read_settings

FIELDS = [option.name for option in dataclasses.fields(Settings)]
SECONDS = [name for name in FIELDS if isinstance(getattr(Settings(), name), float)]
COUNTS = [
    "workers",
    "max_payload",
    "max_attachments",
    "max_inbox",
    "max_outbox_bytes",
    "max_outbox_packets",
    "max_channel_length",
    "max_namespaces",
    "max_recovery_bytes",
    "max_recovery_clients",
    "max_redis_backlog",
    "max_stream_length",
    "message_burst",
]
LIMITS = [
    "max_poll_packets",
    "message_rate",
    "max_channels",
    "max_pending_acks",
    "max_connections",
    "max_connections_per_address",
]
SWITCHES = [
    "allow_upgrades",
    "cors_credentials",
    "recovery",
    "proxy_protocol",
    "health",
    "metrics",
    "websocket_compression",
]


# Where values come from


def test_defaults() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert (settings.ping_interval, settings.ping_timeout) == (25, 20)
    assert (settings.upgrade_timeout, settings.connect_timeout, settings.close_timeout) == (10, 45, 30)
    assert (settings.max_payload, settings.max_attachments) == (1_000_000, 10)
    assert settings.transports == ("polling", "websocket")
    assert settings.allow_upgrades
    assert (settings.cors_origins, settings.cors_credentials, settings.cookie) == ((), False, None)
    assert settings.compression_threshold == 1024
    assert settings.resource == "socket.io"


@pytest.mark.parametrize("name", FIELDS)
def test_defaults_are_what_the_readers_make_of_them(name: str) -> None:
    default = getattr(Settings(), name)
    assert getattr(load_settings({name: default}), name) == default


def test_order_of_sources() -> None:
    first = {"SOCKETIO_PORT": 2, "SOCKETIO_HOST": "first", "SOCKETIO_RESOURCE": "first"}
    second = {"SOCKETIO_PORT": 3, "SOCKETIO_HOST": "second", "SOCKETIO_COOKIE": "second"}
    settings = load_settings({"port": 1}, first, second)
    assert settings.port == 1
    assert settings.host == "first"
    assert settings.resource == "first"
    assert settings.cookie == "second"


def test_order_of_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    project = ModuleType("settings")
    names = ["MAX_INBOX", "MAX_PAYLOAD", "PING_INTERVAL", "PING_TIMEOUT"]
    for name in names:
        setattr(project, f"SOCKETIO_{name}", 4)
    monkeypatch.setitem(sys.modules, "settings", project)
    for name in names[1:]:
        monkeypatch.setenv(f"SOCKETIO_{name}", "3")
    for name in names[2:]:
        monkeypatch.setitem(web.config, f"SOCKETIO_{name}", 2)
    settings = read_settings({"ping_timeout": 1})
    assert settings.ping_timeout == 1
    assert settings.ping_interval == 2
    assert settings.max_payload == 3
    assert settings.max_inbox == 4
    assert settings.close_timeout == 30


def test_no_project_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "settings", raising=False)
    assert read_settings({}) == load_settings({}, web.config)


def test_none_in_a_higher_place_is_a_value() -> None:
    settings = load_settings({"message_log_format": None}, {"SOCKETIO_MESSAGE_LOG_FORMAT": "%(TIME)s"})
    assert settings.message_log_format is None


def test_bad_value_that_is_overruled_does_no_harm() -> None:
    assert load_settings({"port": 1}, {"SOCKETIO_PORT": "x"}).port == 1


def test_other_names_are_left_alone() -> None:
    source: dict[Any, Any] = {"PATH": "x", "socketio_port": 1, "MY_SOCKETIO_PORT": 2, "SOCKETIO": 3, 4: 5, None: 6}
    assert load_settings({}, source) == Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_settings({}).port = 1  # type: ignore[misc]


# Names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ping_intervall", "ping_interval"),
        ("pingInterval", "ping_interval"),
        ("max_payloads", "max_payload"),
        ("prot", "port"),
        ("cors_origin", "cors_origins"),
    ],
)
def test_did_you_mean(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"{name!r}.*Did you mean {meant!r}"):
        load_settings({name: 1})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SOCKETIO_PING_INTERVALL", "SOCKETIO_PING_INTERVAL"),
        ("SOCKETIO_PORTS", "SOCKETIO_PORT"),
        ("SOCKETIO_ping_interval", "SOCKETIO_PING_INTERVAL"),
        ("SOCKETIO_Cookie", "SOCKETIO_COOKIE"),
    ],
)
def test_did_you_mean_in_a_source(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"{name!r}"):
        load_settings({}, {name: "1"})
    if name.isupper():
        with pytest.raises(SettingsError, match=f"Did you mean {meant!r}"):
            load_settings({}, {name: "1"})


@pytest.mark.parametrize("name", ["", "zzzzzz", "qwertyuiop"])
def test_nothing_like_it(name: str) -> None:
    with pytest.raises(SettingsError, match="unknown option") as caught:
        load_settings({name: 1})
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["SOCKETIO_", "SOCKETIO_ZZZZ"])
def test_nothing_like_it_in_a_source(name: str) -> None:
    with pytest.raises(SettingsError, match="unknown option"):
        load_settings({}, {name: 1})


@pytest.mark.parametrize("name", FIELDS)
def test_error_names_the_option_and_its_value(name: str) -> None:
    bad: Any = object()
    shown = "(not shown)" if name in HIDDEN else repr(bad)
    with pytest.raises(SettingsError, match=rf"option {name} = {re.escape(shown)}: ."):
        load_settings({name: bad})
    with pytest.raises(SettingsError, match=rf"option {name} = "):
        load_settings({}, {f"SOCKETIO_{name.upper()}": bad})


# Values


def read(name: str, value: Any) -> Any:
    """What an option makes of a value, given either way."""
    from_keyword = getattr(load_settings({name: value}), name)
    assert getattr(load_settings({}, {f"SOCKETIO_{name.upper()}": value}), name) == from_keyword
    return from_keyword


@pytest.mark.parametrize("name", SECONDS)
def test_seconds(name: str) -> None:
    assert read(name, 3) == 3
    assert read(name, 0.5) == 0.5
    assert read(name, "2.5") == 2.5
    assert isinstance(read(name, 3), float)


HUGE = pytest.param(10**400, id="huge")


@pytest.mark.parametrize("value", [0, -1, "", "x", "1s", None, "nan", "inf", float("-inf"), [], True, HUGE])
def test_bad_seconds(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"ping_interval": value})


@pytest.mark.parametrize("name", COUNTS)
def test_count(name: str) -> None:
    assert read(name, 1) == 1
    assert read(name, "250") == 250


@pytest.mark.parametrize("value", [0, -1, "", "x", "1.5", 1.5, None, True, [], float("nan"), float("inf"), "1MB"])
def test_bad_count(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"max_payload": value})


@pytest.mark.parametrize(("value", "size"), [(0, 0), ("0", 0), (1, 1), ("2048", 2048)])
def test_size(value: Any, size: int) -> None:
    assert read("compression_threshold", value) == size


@pytest.mark.parametrize("value", [-1, "-1", "x", "", None, True, 0.5, float("inf")])
def test_bad_size(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"compression_threshold": value})


@pytest.mark.parametrize(("value", "port"), [(0, 0), ("8080", 8080), (65535, 65535)])
def test_port(value: Any, port: int) -> None:
    assert read("port", value) == port


@pytest.mark.parametrize("name", LIMITS)
def test_limit(name: str) -> None:
    assert read(name, 5) == 5
    assert read(name, "0") == 0
    for value in (-1, "many", None, True, 0.5):
        with pytest.raises(SettingsError, match=name):
            load_settings({name: value})


def test_depth() -> None:
    assert read("max_json_depth", "240") == 240
    for value in (0, 241, "deep", None):
        with pytest.raises(SettingsError, match="max_json_depth"):
            load_settings({"max_json_depth": value})


@pytest.mark.parametrize("value", [-1, 65536, "http", "", None, True, 80.5, float("inf")])
def test_bad_port(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"port": value})


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", " YES ", "on"])
def test_switched_on(name: str, value: Any) -> None:
    assert read(name, value) is True


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", [False, 0, "0", "false", "FALSE", "no", "off"])
def test_switched_off(name: str, value: Any) -> None:
    assert read(name, value) is False


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["", "2", 2, None, "maybe", [], 0.5])
def test_bad_switch(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match="true or false"):
        load_settings({name: value})


@pytest.mark.parametrize("value", ["", "0.0.0.0", "::1"])
def test_host(value: str) -> None:
    assert read("host", value) == value


PATHS = ["unix", "certfile", "keyfile", "worker_dir"]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("value", "path"), [("/run/a", "/run/a"), (Path("/run/a"), "/run/a"), ("", None), (None, None)]
)
def test_paths(name: str, value: Any, path: str | None) -> None:
    assert read(name, value) == path


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("value", [1, b"/run/a", "/run/\0a", True])
def test_bad_paths(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


@pytest.mark.parametrize(("value", "descriptor"), [(3, 3), ("3", 3), (0, 0), ("", None), (None, None)])
def test_fd(value: Any, descriptor: int | None) -> None:
    assert read("fd", value) == descriptor


@pytest.mark.parametrize("value", [-1, "three", 1.5, True])
def test_bad_fd(value: Any) -> None:
    with pytest.raises(SettingsError, match="fd"):
        load_settings({"fd": value})


@pytest.mark.parametrize("value", [None, 1, b"localhost"])
def test_bad_host(value: Any) -> None:
    with pytest.raises(SettingsError, match="must be text"):
        load_settings({"host": value})


@pytest.mark.parametrize(
    ("value", "resource"), [("chat", "chat"), ("/chat/", "chat"), ("/a/b", "a/b"), ("socket.io/", "socket.io")]
)
def test_resource(value: str, resource: str) -> None:
    assert read("resource", value) == resource


@pytest.mark.parametrize("value", ["", "/", "//", None, 1])
def test_bad_resource(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"resource": value})


@pytest.mark.parametrize(
    ("value", "transports"),
    [
        ("polling", ("polling",)),
        ("websocket,polling", ("websocket", "polling")),
        (" websocket , polling ", ("websocket", "polling")),
        ("polling, ", ("polling",)),
        (["websocket"], ("websocket",)),
        (("polling", "websocket"), ("polling", "websocket")),
    ],
)
def test_transports(value: Any, transports: tuple[str, ...]) -> None:
    assert read("transports", value) == transports


@pytest.mark.parametrize("value", ["", ",", (), None, 1, "carrier-pigeon", ["polling", "xhr-polling"], [1], b"polling"])
def test_bad_transports(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"transports": value})


PATTERN = re.compile(r"https://[ab]\.example")


def judge_origin(origin: str, environ: Any) -> bool:
    """A function that decides."""
    return False


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", ()),
        ((), ()),
        ("*", ("*",)),
        ("https://a.com", ("https://a.com",)),
        ("https://a.com,https://b.com", ("https://a.com", "https://b.com")),
        ("https://a.com, https://b.com,", ("https://a.com", "https://b.com")),
        ("https://a.com, ", ("https://a.com",)),
        (" ", ()),
        (["https://a.com", " https://b.com "], ("https://a.com", "https://b.com")),
        ("https://*.a.com, https://a.com", ("https://*.a.com", "https://a.com")),
        (PATTERN, (PATTERN,)),
        (["https://a.com", PATTERN], ("https://a.com", PATTERN)),
        (judge_origin, (judge_origin,)),
        ([judge_origin, PATTERN], (judge_origin, PATTERN)),
    ],
)
def test_origins(value: Any, origins: tuple[OriginRule, ...]) -> None:
    assert read("cors_origins", value) == origins


async def judge_later(origin: str, environ: Any) -> bool:
    """Nobody waits for it."""
    return True


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        *[(value, "cors_origins = ") for value in (None, 1, [1], [None, 1], b"*")],
        *[
            (value, "is not an origin; one is written like 'https://www.example.com', all below")
            for value in (
                "example.com", "*.example.com", "https://*", "https://*.", "https://**.example.com", "//example.com",
                "https://a.*.com", "https://a*.com", "https://*.*.com", "https://*com", "https://example.com:*",
                "http*://example.com", "https://example.com/path", "https://me@example.com", "https://example.com?",
                "https://example.com:", "https://exa mple.com", "https://b\xfccher.example", "https://", "* https://a.com",
            )
        ],
        (re.compile(b"https://a"), "is a pattern of bytes"),
        (lambda origin: True, "is not a function of two arguments, the origin and the request's environ"),
        (lambda origin, environ, *, more: True, "is not a function of two arguments"),
        (judge_later, "is an async function"),
    ],
)  # fmt: skip
def test_bad_origins(value: Any, problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        load_settings({"cors_origins": value})


@pytest.mark.parametrize("value", ["Lax", "Strict", "None"])
def test_cookie_samesite(value: str) -> None:
    assert read("cookie_samesite", value) == value


@pytest.mark.parametrize("value", ["lax", "", None, "Lax; Domain=com"])
def test_bad_cookie_samesite(value: Any) -> None:
    with pytest.raises(SettingsError, match="option cookie_samesite = "):
        load_settings({"cookie_samesite": value})


@pytest.mark.parametrize("value", ["x-forwarded-for", "forwarded"])
def test_forwarded_header(value: str) -> None:
    assert read("forwarded_header", value) == value


@pytest.mark.parametrize("value", ["x-real-ip", "", None, "forwarded,x-forwarded-for"])
def test_bad_forwarded_header(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"option forwarded_header = .*(choose from|must be text)"):
        load_settings({"forwarded_header": value})


@pytest.mark.parametrize(("value", "token"), [("secret", "secret"), ("", None), (None, None)])
def test_metrics_token(value: Any, token: str | None) -> None:
    assert read("metrics_token", value) == token


@pytest.mark.parametrize("value", [0, "0", 0.0, "0.0"])
def test_a_loop_that_is_not_watched(value: Any) -> None:
    assert read("max_blocking", value) == 0


@pytest.mark.parametrize("value", [False, -1, "", None, "nan", "inf"])
def test_bad_max_blocking(value: Any) -> None:
    with pytest.raises(SettingsError, match="number of seconds"):
        load_settings({"max_blocking": value})


@pytest.mark.parametrize("value", ["text", "json"])
def test_log_formats(value: str) -> None:
    assert read("log_format", value) == value


@pytest.mark.parametrize("value", ["xml", "", None, 1, [], "JSON"])
def test_bad_log_formats(value: Any) -> None:
    with pytest.raises(SettingsError, match="text"):
        load_settings({"log_format": value})


@pytest.mark.parametrize(
    ("value", "cookie"), [("io", "io"), ("a.b_c~d", "a.b_c~d"), (None, None), ("", None), ("None", None)]
)
def test_cookie(value: Any, cookie: str | None) -> None:
    assert read("cookie", value) == cookie


@pytest.mark.parametrize("value", [1, False, b"io", "a b", "a=b", "a;b", "a,b", "io\r\nX: y", "\xe9", '"io"'])
def test_bad_cookie(value: Any) -> None:
    with pytest.raises(SettingsError, match="option cookie = "):
        load_settings({"cookie": value})


@pytest.mark.parametrize("value", ["open", "closed", " closed "])
def test_subscriptions(value: str) -> None:
    assert read("subscriptions", value) == value.strip()


@pytest.mark.parametrize("value", ["", "close", None, True, ["open"]])
def test_bad_subscriptions(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"subscriptions": value})


NEW, OLD = "new" + "x" * 13, "old" + "x" * 13


@pytest.mark.parametrize("value", [(NEW, OLD), [NEW, OLD], f"{NEW},{OLD}", f" {NEW} , {OLD},"])
def test_secrets(value: Any) -> None:
    assert read("secrets", value) == (NEW, OLD)


@pytest.mark.parametrize("value", ["hush", [NEW, "hush"], f"{NEW},hush", [b"hush" * 4], 5, None, {"hush": 1}])
def test_bad_secrets_are_not_shown(value: Any) -> None:
    with pytest.raises(SettingsError, match="option secrets") as caught:
        load_settings({"secrets": value})
    assert "hush" not in str(caught.value)
    assert NEW not in str(caught.value)


@pytest.mark.parametrize("name", ["secrets", "publish_keys", "metrics_token", "redis_url"])
def test_secrets_are_not_shown_with_the_settings(name: str) -> None:
    assert name in HIDDEN
    assert NEW not in repr(load_settings({name: NEW}))


# The log format


@pytest.mark.parametrize("value", [None, "", "None"])
def test_no_log(value: str | None) -> None:
    assert read("message_log_format", value) is None


@pytest.mark.parametrize(
    "text",
    [
        module.DEFAULT_LOG_FORMAT,
        "%(TIME)s %(TYPE)s %(MESSAGE)s",
        "%(REMOTE_ADDR)s %(PATH_INFO)s %(QUERY_STRING)s %(SERVER_NAME)s %(PROXY_ADDR)s",
        "%(HTTP_USER_AGENT)s %(HTTP_X_ANYTHING)s",
        "100 %% of %(MESSAGE)r",
        "%(TYPE)-12s|%(MESSAGE).40s",
        "no keys",
    ],
)
def test_log_format(text: str) -> None:
    check_log_format(text)
    assert read("message_log_format", text) == text
    MessageLog(text).write({}, "MESSAGE", "hello")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("%(MESAGE)s", "unknown key 'MESAGE'. Did you mean 'MESSAGE'"),
        ("%(REMOTE_ADRR)s", "unknown key 'REMOTE_ADRR'. Did you mean 'REMOTE_ADDR'"),
        ("%(zzz)s", "unknown key 'zzz'"),
        ("%()s", "unknown key ''"),
        ("%(TIME)d", "%-format"),
        ("%(TIME)c", "%-format"),
        ("%(TIME)*s", "%-format"),
        ("%s %s", "%-format"),
        ("%(TIME)s %s", "%-format"),
        ("%d", "%-format"),
        ("100 %", "incomplete format"),
        ("%(TIME", "incomplete format key"),
        ("%(TIME)", "incomplete format"),
        ("%y", "unsupported format character"),
    ],
)
def test_bad_log_format(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        load_settings({"message_log_format": text})


@pytest.mark.parametrize("text", ["%s", "x %s", "%r"])
def test_log_format_that_names_no_key(text: str) -> None:
    with pytest.raises(SettingsError):
        load_settings({"message_log_format": text})


@pytest.mark.parametrize("value", [1, True, b"%(TIME)s"])
def test_log_format_that_is_no_text(value: Any) -> None:
    with pytest.raises(SettingsError):
        load_settings({"message_log_format": value})


# What is written about them


def test_every_option_has_a_reader() -> None:
    assert list(OPTIONS) == FIELDS
    assert len(FIELDS) == len(set(FIELDS))


@pytest.mark.parametrize("name", FIELDS)
def test_every_option_is_documented(name: str) -> None:
    source = inspect.getsource(Settings)
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    lines = source.splitlines()
    places = {node.target.id: node.lineno for node in body.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    comment = lines[places[name] - 2].strip()
    assert comment.startswith("#: ")
    assert comment.endswith(".")


def test_every_kind_of_option_is_tried() -> None:
    tried = {
        *SECONDS,
        *COUNTS,
        *LIMITS,
        *SWITCHES,
        "max_json_depth",
        "host",
        "port",
        "resource",
        "transports",
        "clients",
        "cors_origins",
        "trusted_proxies",
        "cookie",
        "cookie_samesite",
        "forwarded_header",
        "metrics_token",
        "redis_url",
        "log_format",
        "redis_key",
        "redis_adapter",
        "overflow",
        "subscriptions",
        "secrets",
        "publish_keys",
        "websocket_protocols",
        *PATHS,
        "fd",
    }
    assert tried | {"compression_threshold", "message_log_format"} == set(FIELDS)


@pytest.mark.parametrize(
    ("value", "protocols"), [("", ()), ("chat.v1", ("chat.v1",)), (["a", "b"], ("a", "b")), ("a, b", ("a", "b"))]
)
def test_websocket_protocols(value: Any, protocols: tuple[str, ...]) -> None:
    assert read("websocket_protocols", value) == protocols


@pytest.mark.parametrize("value", ["a b", ["a,b"], ["\u00e9"], None, 1, [1]])
def test_bad_websocket_protocols(value: Any) -> None:
    with pytest.raises(SettingsError, match="websocket_protocols"):
        load_settings({"websocket_protocols": value})


def test_redis() -> None:
    for nothing in (None, "", "None"):
        assert read("redis_url", nothing) is None
    assert read("redis_url", "redis://127.0.0.1") == "redis://127.0.0.1"
    assert read("redis_key", "chat") == "chat"


@pytest.mark.parametrize("value", ["", None, 1])
def test_bad_redis_key(value: Any) -> None:
    with pytest.raises(SettingsError, match="redis_key"):
        load_settings({"redis_key": value})


@pytest.mark.parametrize(("value", "clients"), [("3-4", ("3-4",)), ("1-2, 3-4", ("1-2", "3-4")), (["1-2"], ("1-2",))])
def test_clients(value: Any, clients: tuple[str, ...]) -> None:
    assert read("clients", value) == clients


@pytest.mark.parametrize("value", ["", "5", "4", "1-2,5", [], 4])
def test_bad_clients(value: Any) -> None:
    with pytest.raises(SettingsError, match="clients"):
        load_settings({"clients": value})


@pytest.mark.parametrize("policy", ["disconnect", "drop_oldest", "drop_newest", " wait "])
def test_overflow(policy: str) -> None:
    assert read("overflow", policy) == policy.strip()


@pytest.mark.parametrize("value", ["latest", "", None, 1, "drop oldest"])
def test_bad_overflow(value: Any) -> None:
    with pytest.raises(SettingsError, match="overflow"):
        load_settings({"overflow": value})


def test_adapters() -> None:
    assert read("redis_adapter", "streams") == "streams"
    with pytest.raises(SettingsError, match="redis_adapter"):
        load_settings({"redis_adapter": "sharded"})
