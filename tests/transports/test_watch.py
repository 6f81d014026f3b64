"""The watch: what holds the loop of a real server is named, once, and counted; who waits in gevent's way is not."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import gevent
import pytest

from tests.hosting import OURS, PLAIN, gunicorn
from tests.raw import RawClient, get, post, sid_of
from tests.serving import Server, ServerHere, serve, wait_for
from webpy_socketio import SocketIOServer
from webpy_socketio.metrics import Counters
from webpy_socketio.transports import watch
from webpy_socketio.transports.watch import Watch
from webpy_socketio.transports.workers import Workers

OPEN = "/socket.io/?EIO=4&transport=polling"
LONGEST = 0.08


def hold(seconds: float) -> None:
    """Wait in a way that gevent cannot see."""
    threading.Event().wait(seconds)


def compute(seconds: float) -> None:
    """Be busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


@pytest.fixture
def watched() -> Any:
    """The counters of a loop that is watched: this thread's."""
    counters = Counters()
    this = Watch(Workers(), counters, LONGEST)
    this.start()
    yield counters
    this.stop()


@pytest.mark.parametrize("act", [hold, compute])
def test_who_holds_the_loop_is_named_once_and_counted(
    watched: Counters, caplog: pytest.LogCaptureFixture, act: Any
) -> None:
    caplog.set_level(logging.WARNING)
    gevent.spawn(act, 4 * LONGEST).join()
    wait_for_turns(lambda: watched.times_held == 1)
    gevent.spawn(act, 4 * LONGEST).join()
    wait_for_turns(lambda: watched.times_held == 2)
    assert 4 * LONGEST < watched.held_seconds < 40 * LONGEST
    # Other tests may have left servers behind, whose loop this thread has not run since: that is told now, too.
    lines = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "test_watch." in text]
    assert len(lines) == 1
    assert f"test_watch.{act.__name__} at {__file__}:" in lines[0]
    assert "held the event loop for 0." in lines[0]


def test_what_goes_on_for_long_is_told_while_it_does(
    watched: Counters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 2)

    def hold_until_told() -> None:
        end = time.monotonic() + 10
        while not caplog.records and time.monotonic() < end:
            hold(0.01)

    gevent.spawn(hold_until_told).join()
    assert "hold_until_told" in caplog.records[0].getMessage()
    assert caplog.records[0].getMessage().endswith("and still does")
    wait_for_turns(lambda: watched.times_held == 1)


def test_waiting_in_the_way_of_gevent_holds_nobody(watched: Counters, caplog: pytest.LogCaptureFixture) -> None:
    gevent.sleep(4 * LONGEST)
    assert (watched.times_held, caplog.records) == (0, [])


def test_a_process_that_stood_still_blames_nobody() -> None:
    now = watch._Moment.now()
    assert now._replace(time=now.time - 10).is_before_standstill(1)
    assert not now._replace(time=now.time - 0.5).is_before_standstill(1)
    assert not now._replace(time=now.time - 10, used=now.used - 9).is_before_standstill(1)  # the interpreter's lock


def wait_for_turns(condition: Any) -> None:
    """Let the loop turn until something is so."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        gevent.sleep(0.005)


def send(server: Server, event: str) -> None:
    """Have one event handled, as far as that is possible."""
    client = RawClient(("127.0.0.1", server.port))
    sid = sid_of(client.ask(get(OPEN)))
    assert client.ask(post(f"{OPEN}&sid={sid}", "40")).status == 200
    assert client.ask(post(f"{OPEN}&sid={sid}", event)).status == 200
    client.close()


def test_a_handler_of_a_real_server(tmp_path: Path) -> None:
    with serve("holding", max_blocking=0.2, metrics=True) as server:
        send(server, '42["hold",0.6]')
        line = wait_for(lambda: [line for line in server.log.splitlines() if "held the event loop" in line])[0]
        assert line.startswith("__main__.hold at ")
        assert "holding.py:" in line
        client = RawClient(("127.0.0.1", server.port))
        assert b"webpy_socketio_loop_held_total 1.0" in client.ask(get("/socket.io/metrics")).body
        client.close()


def test_a_page_of_a_real_server() -> None:
    with serve("holding", max_blocking=0.2) as server:
        client = RawClient(("127.0.0.1", server.port))
        assert client.ask(get("/hold")).status == 200
        line = wait_for(lambda: [line for line in server.log.splitlines() if "held the event loop" in line])[0]
        assert line.startswith(("__main__.Hold.GET at", "__main__.GET at"))  # Python 3.10 does not tell the class
        client.close()


def test_a_stopped_process_and_one_that_is_not_to_be_watched() -> None:
    with serve("holding", max_blocking=0.2) as server, serve("holding", max_blocking=0) as free:
        send(free, '42["hold",0.5]')
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        hold(0.6)
        os.kill(server.process.pid, signal.SIGCONT)
        send(server, '42["hold",0.01]')
        assert "event loop" not in server.log + free.log


@pytest.mark.parametrize("worker", [PLAIN, OURS], ids=["plain", "ours"])
def test_workers_of_gunicorn_are_watched(worker: str, tmp_path: Path) -> None:
    with gunicorn(worker, home=tmp_path, app="holding:application", max_blocking=0.2) as server:
        send(server, '42["hold",0.6]')
        wait_for(lambda: "holding.hold at " in server.log)


def watching() -> int:
    """How many watches there are."""
    count = 0
    for frame in sys._current_frames().values():
        step: FrameType | None = frame
        while step is not None:
            count += step.f_code is Watch._run.__code__
            step = step.f_back
    return count


def test_the_watch_ends_with_the_thread_of_its_loop() -> None:
    others = watching()  # of servers that other tests have not let go of
    counts: list[int] = []

    def live_shortly() -> None:
        Watch(Workers(), Counters(), 0.02).start()
        gevent.sleep(0.03)
        counts.append(watching())

    thread = threading.Thread(target=live_shortly)
    thread.start()
    thread.join()
    assert counts == [others + 1]
    wait_for(lambda: watching() <= others)


@pytest.mark.usefixtures("patched")
def test_the_watch_ends_with_its_server() -> None:
    others = watching()
    with ServerHere(lambda: SocketIOServer(("127.0.0.1", 0), lambda environ, start_response: []), "/"):
        assert watching() == others + 1
    wait_for(lambda: watching() <= others)
