"""Logs: a client cannot forge lines, and a log that is off costs nothing."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.raw import RawClient, get, post, sid_of
from tests.serving import serve, wait_for
from webpy_socketio.logs import LONGEST_MESSAGE, MessageLog, log_to_stderr, logger, messages, printable


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The lines of the message log, which is on."""
    handler, level = Lines(), messages.level
    messages.addHandler(handler)
    messages.setLevel(logging.INFO)
    yield handler.lines
    messages.setLevel(level)
    messages.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("hello €😀", "hello €😀"),
        ("a\nb", "a\\nb"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066\u2028\u2029", "\\u2066\\u2028\\u2029"),
        ("\ufeff\u200b", "\\ufeff\\u200b"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp"])))
def test_anything_becomes_printable(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_line(lines: list[str]) -> None:
    log = MessageLog("%(REMOTE_ADDR)s|%(TIME)s|%(TYPE)s|%(MESSAGE)s|%(HTTP_COOKIE)s")
    log.write({"REMOTE_ADDR": "1.2.3.4"}, "MESSAGE", "100 %s %(TIME)s")
    assert len(lines) == 1
    pattern = r"1\.2\.3\.4\|\d\d/\w+/\d{4} \d\d:\d\d:\d\d\|MESSAGE\|100 %s %\(TIME\)s\|-"
    assert re.fullmatch(pattern, lines[0])


FORGERIES = ["x\nforged", "x\r\nforged", "x\u2028forged", "\x1b[2J", "\u202e", "\x85", "\ud800"]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_message_stays_in_its_line(lines: list[str], forgery: str) -> None:
    MessageLog("%(MESSAGE)s").write({}, "MESSAGE", forgery)
    assert lines[0].isprintable()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_header_stays_in_its_line(lines: list[str], forgery: str) -> None:
    MessageLog("%(HTTP_USER_AGENT)s").write({"HTTP_USER_AGENT": forgery}, "MESSAGE", "hello")
    assert lines[0].isprintable()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_name_of_an_event_stays_in_its_line(lines: list[str], forgery: str) -> None:
    MessageLog("%(TYPE)s: %(MESSAGE)s").write({}, f"EVENT {forgery}", "hello")
    assert lines[0].isprintable()


def test_long_message_is_cut(lines: list[str]) -> None:
    MessageLog("%(MESSAGE)s").write({}, "MESSAGE", "x" * 1_000_000)
    assert lines == ["x" * LONGEST_MESSAGE]


def test_long_name_of_an_event_is_cut(lines: list[str]) -> None:
    MessageLog("%(TYPE)s").write({}, "EVENT " + "x" * 1_000_000, "hello")
    assert len(lines[0]) <= 2 * LONGEST_MESSAGE


def test_environ_of_any_values(lines: list[str]) -> None:
    environ: dict[str, Any] = {"REMOTE_ADDR": None, "wsgi.input": object(), "SERVER_PORT": 80, "PATH_INFO": "/"}
    MessageLog("%(REMOTE_ADDR)s %(SERVER_PORT)s %(PATH_INFO)s").write(environ, "MESSAGE", "hello")
    assert lines == ["- - /"]


def test_client_cannot_name_the_fields(lines: list[str]) -> None:
    MessageLog("%(TYPE)s %(MESSAGE)s").write({"TYPE": "forged", "MESSAGE": "forged"}, "MESSAGE", "hello")
    assert lines == ["MESSAGE hello"]


def test_no_format(lines: list[str]) -> None:
    log = MessageLog(None)
    log.write({}, "MESSAGE", "hello")
    assert not log.enabled
    assert lines == []


class Untouchable(dict[str, str]):
    """An environ that must not be looked at."""

    def items(self) -> Any:
        raise AssertionError("the environ was read")


def test_level_too_high(lines: list[str]) -> None:
    log = MessageLog("%(MESSAGE)s")
    assert log.enabled
    messages.setLevel(logging.WARNING)
    assert not log.enabled
    log.write(Untouchable(), "MESSAGE", "hello")
    assert lines == []


@contextmanager
def unconfigured() -> Iterator[None]:
    """Logging as it is in a program that did not configure it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])
        patch.setattr(logger, "handlers", [])
        patch.setattr(logger, "propagate", True)
        level = logger.level
        logger.setLevel(logging.NOTSET)
        try:
            yield
        finally:
            logger.setLevel(level)


def test_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with unconfigured():
        log_to_stderr()
        log_to_stderr()
        logger.info("one")
        messages.info("two")
    assert capsys.readouterr().err == "one\ntwo\n"


@pytest.mark.parametrize("configured", [logging.getLogger(), logger], ids=["root", "ours"])
def test_configured_by_the_application(configured: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    handler = Lines()
    with unconfigured():
        configured.addHandler(handler)
        log_to_stderr()
        logger.warning("hello")
    assert handler.lines == ["hello"]
    assert capsys.readouterr().err == ""


def test_one_json_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    with unconfigured():
        log_to_stderr("json")
        MessageLog("%(MESSAGE)s").write({"REMOTE_ADDR": "1.2.3.4"}, "EVENT move", "\u202eevil\n")
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logger.exception("it failed", extra={"session": "abc...", "reason": "slow", "code": "4004"})
    message, failure = map(json.loads, capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop("time"))
    assert message == {
        "level": "info",
        "logger": "webpy_socketio.messages",
        "event": "\\u202eevil\\n",
        "type": "EVENT move",
        "address": "1.2.3.4",
    }
    assert (failure["level"], failure["event"]) == ("error", "it failed")
    assert (failure["session"], failure["reason"], failure["code"]) == ("abc...", "slow", "4004")
    assert failure["traceback"].endswith("ValueError: two\nlines")


def test_a_server_that_logs_json() -> None:
    with serve("holding", log_format="json") as server:
        client = RawClient(("127.0.0.1", server.port))
        sid = sid_of(client.ask(get("/socket.io/?EIO=4&transport=polling")))
        client.ask(post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", "40"))
        client.ask(post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", '42["fail"]'))
        wait_for(lambda: "it failed" in server.log)
        client.close()
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    failed = next(line for line in lines if line["level"] == "error")
    assert failed["event"] == "__main__.fail raised ValueError: it failed"
    assert (failed["address"], failed["session"]) == ("127.0.0.1", f"{sid[:6]}...")
    assert next(line for line in lines if line.get("type") == "EVENT fail")["logger"] == "webpy_socketio.messages"
