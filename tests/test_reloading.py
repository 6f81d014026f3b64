"""``serve --reload``: the process that keeps the listening socket, and the ones that come and go."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.hosting import is_alive
from tests.serving import Server, serve_by_name, wait_for
from webpy_socketio.cli import main

APPLICATION = """
import os
def application(environ, start_response):
    start_response("200 OK", [("X-Process", str(os.getpid()))])
    return [b"{answer}"]
"""


class Project:
    """A directory with an application that is being worked on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server: Server

    def write(self, text: str) -> None:
        (self.directory / "worked_on.py").write_text(text)

    def answer(self, answer: str) -> None:
        self.write(APPLICATION.format(answer=answer))

    def get(self) -> str:
        return requests.get(self.server.url, timeout=10).text

    @property
    def serving_process(self) -> int:
        return int(requests.get(self.server.url, timeout=10).headers["X-Process"])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An application that is served with --reload."""
    project = Project(tmp_path)
    project.answer("one")
    with serve_by_name("worked_on", "--reload", cwd=tmp_path) as project.server:
        assert project.get() == "one"
        yield project


def test_a_change_is_served_and_no_request_is_refused_meanwhile(project: Project) -> None:
    first = project.serving_process
    project.answer("two")
    wait_for(lambda: project.get() == "two", 15)  # each request is answered, by the old process or by the new
    assert project.serving_process != first
    assert not is_alive(first)
    assert "worked_on.py changed: starting anew" in project.server.log


def test_a_mistake_is_shown_and_mended_by_the_next_change(project: Project) -> None:
    project.write("application = (")
    wait_for(lambda: "waiting for a change" in project.server.log, 15)
    assert "SyntaxError: '(' was never closed" in project.server.log
    project.answer("three")
    assert project.get() == "three"  # the connection has been waiting in the socket that was kept


def test_other_files_change_nothing(project: Project) -> None:
    first = project.serving_process
    (project.directory / "notes.txt").write_text("no code")
    project.answer("four")
    wait_for(lambda: project.serving_process != first, 15)
    assert "notes.txt" not in project.server.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both(project: Project, number: int) -> None:
    serving = project.serving_process
    assert project.server.signal(number) == 0
    assert not is_alive(serving)


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert main(["serve", "plain", "--reload"]) == 1
    assert 'pip install "webpy-socketio[reload]"' in capsys.readouterr().err


def test_an_address_in_use_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "plain", "--reload", "--port", str(project.server.port)]) == 1
    assert f"cannot listen on 127.0.0.1:{project.server.port}: Address already in use" in capsys.readouterr().err
