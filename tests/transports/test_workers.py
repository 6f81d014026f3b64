"""Workers keep the promises of the Runner contract, on a real event loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.local import local

from webpy_socketio.transports.workers import Workers


@pytest.fixture
def workers() -> Workers:
    return Workers()


def in_loop(function: Callable[[], Any]) -> Any:
    """Run a function as a callback of the loop, where transports are called."""
    done = Event()
    result: list[Any] = []

    def visit() -> None:
        result.append(function())
        done.set()

    gevent.get_hub().loop.run_callback(visit)
    assert done.wait(5)
    return result[0]


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0)


def test_a_job_runs_after_the_callback_that_starts_it(workers: Workers) -> None:
    order: list[str] = []

    def visit() -> None:
        workers.start(order.append, "job")
        order.append("callback")

    in_loop(visit)
    assert order == ["callback", "job"]


def test_jobs_that_start_others_leave_the_loop_its_turn(workers: Workers) -> None:
    order: list[Any] = []

    def job(number: int) -> None:
        order.append(number)
        if number < 3:
            gevent.get_hub().loop.run_callback(order.append, f"loop after {number}")
            workers.start(job, number + 1)

    in_loop(lambda: workers.start(job, 1))
    wait_until(lambda: 3 in order)
    assert order == [1, "loop after 1", 2, "loop after 2", 3]


def test_jobs_behind_one_that_blocks_go_on(workers: Workers) -> None:
    order: list[Any] = []
    proceed = Event()

    def block(number: int) -> None:
        proceed.wait()
        order.append(number)

    def visit() -> None:
        for number in range(3):
            workers.start(block, number)
            workers.start(order.append, f"after {number}")

    in_loop(visit)
    wait_until(lambda: len(order) == 3)
    proceed.set()
    wait_until(lambda: len(order) == 6)
    assert order == ["after 0", "after 1", "after 2", 0, 1, 2]


def test_a_job_that_waits_gives_control_back(workers: Workers) -> None:
    order: list[str] = []
    proceed = Event()

    def job() -> None:
        order.append("begins")
        proceed.wait()
        order.append("ends")

    def visit() -> None:
        workers.start(job)
        order.append("after")

    in_loop(visit)
    wait_until(lambda: "begins" in order)
    proceed.set()
    wait_until(lambda: "ends" in order)
    assert order == ["after", "begins", "ends"]


def test_from_a_greenlet_jobs_start_soon_and_in_order(workers: Workers) -> None:
    order: list[int] = []
    for number in range(5):
        workers.start(order.append, number)
    assert order == []
    wait_until(lambda: len(order) == 5)
    assert order == [0, 1, 2, 3, 4]


def has_been_here() -> bool:
    """Whether this was called in the same greenlet before; to keep the greenlet itself would keep it from more jobs."""
    me = gevent.getcurrent()
    before = hasattr(me, "was_here")
    me.was_here = True
    return before


def test_a_parked_worker_is_used_again(workers: Workers) -> None:
    used: list[bool] = []

    def visit() -> None:
        for _ in range(3):
            workers.start(lambda: used.append(has_been_here()))

    for count in (3, 6):
        in_loop(visit)
        wait_until(lambda count=count: len(used) == count)
    assert used == [False] + [True] * 5


def test_so_is_one_whose_local_is_emptied_after_each_job() -> None:
    used: list[bool] = []
    emptied = local()
    workers = Workers(lambda: emptied.__dict__)

    def job() -> None:
        used.append(has_been_here())
        emptied.value = 1
        emptied.__dict__.clear()

    def visit() -> None:
        for _ in range(3):
            workers.start(job)

    in_loop(visit)
    assert used == [False, True, True]


def test_a_timeout_that_a_job_forgot_does_not_hit_the_next(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *args: None)  # it fires in a greenlet that is over
    finished: list[bool] = []

    def nap() -> None:
        gevent.sleep(0.05)
        finished.append(True)

    workers.start(lambda: gevent.Timeout(0.02).start())
    gevent.sleep(0.001)
    workers.start(nap)
    wait_until(lambda: finished)


def test_nobody_can_kill_a_job_by_the_greenlet_of_an_earlier_one(workers: Workers) -> None:
    kept: list[Any] = []
    finished: list[bool] = []

    def nap() -> None:
        gevent.sleep(0.01)
        finished.append(True)

    workers.start(lambda: kept.append(gevent.getcurrent()))
    gevent.sleep(0.001)
    workers.start(nap)
    gevent.sleep(0.001)
    gevent.kill(kept[0])
    wait_until(lambda: finished)


@pytest.mark.parametrize("has_one", [False, True])
def test_nothing_of_one_job_is_left_for_another(has_one: bool) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="clean")
    own, emptied = local(), local()
    workers = Workers(lambda: emptied.__dict__) if has_one else Workers()
    seen: list[tuple[str, bool]] = []

    def job() -> None:
        seen.append((variable.get(), hasattr(own, "value")))
        variable.set("dirty")
        own.value = own.other = 1

    def visit() -> None:
        for _ in range(4):
            workers.start(job)

    in_loop(visit)
    wait_until(lambda: len(seen) == 4)
    assert seen == [("clean", False)] * 4


@pytest.mark.parametrize("error", [ValueError("broken"), gevent.Timeout(1), SystemExit(1), KeyboardInterrupt()])
def test_a_job_that_raises_is_logged_and_its_worker_lives_on(
    workers: Workers, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    order: list[str] = []

    def visit() -> None:
        workers.start(fail)
        workers.start(order.append, "next")

    in_loop(visit)
    wait_until(lambda: bool(order))
    assert order == ["next"]
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [type(error)]
    assert caplog.records[0].levelno == logging.ERROR


def test_call_from_the_loops_own_thread(workers: Workers) -> None:
    assert workers.call(lambda: 42) == 42


def test_call_from_another_thread(workers: Workers) -> None:
    own = threading.get_ident()
    threads = gevent.get_hub().threadpool
    assert threads.apply(lambda: workers.call(threading.get_ident)) == own


def test_what_is_started_during_a_call_from_another_thread_runs_after_it(workers: Workers) -> None:
    order: list[str] = []

    def function() -> None:
        workers.start(order.append, "started")
        order.append("function")

    gevent.get_hub().threadpool.apply(lambda: workers.call(function))
    gevent.sleep(0)
    assert order == ["function", "started"]


def test_what_is_called_from_another_thread_may_wait(workers: Workers) -> None:
    def function() -> str:
        gevent.sleep(0.001)
        return "waited"

    assert gevent.get_hub().threadpool.apply(lambda: workers.call(function)) == "waited"


def test_call_brings_errors_back(workers: Workers) -> None:
    def fail() -> None:
        raise ValueError("broken")

    def attempt() -> str:
        with pytest.raises(ValueError, match="broken"):
            workers.call(fail)
        return "told"

    assert gevent.get_hub().threadpool.apply(attempt) == "told"


@pytest.fixture(autouse=True)
def no_loop_errors() -> Iterator[None]:
    hub = gevent.get_hub()
    errors: list[Any] = []
    before, hub.handle_error = hub.handle_error, lambda *args: errors.append(args)
    yield
    hub.handle_error = before
    assert errors == []
