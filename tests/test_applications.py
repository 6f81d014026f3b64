"""Applications by name: what is found, and what is said when there is nothing to find."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from webpy_socketio import SettingsError
from webpy_socketio.applications import load_application

Write = Callable[[str], None]

WEBPY = """
import web
class index:
    def GET(self):
        return "here"
app = web.application(("/", "index"), globals())
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the module ``some_app`` into the current directory, which is on no path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield (tmp_path / "some_app.py").write_text
    sys.modules.pop("some_app", None)


@pytest.mark.parametrize("name", ["some_app", "some_app:", "some_app:application"])
def test_the_application_is_the_default(write: Write, name: str) -> None:
    write("def application(environ, start_response): ...")
    assert load_application(name).__name__ == "application"


def test_an_application_of_webpy_is_taken_for_its_wsgi_function(write: Write) -> None:
    write(WEBPY)
    started: list[str] = []
    found = load_application("some_app:app")
    answer = found({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, headers: started.append(status))
    assert (b"".join(answer), started) == (b"here", ["200 OK"])


@pytest.mark.parametrize("name", ["some_other_app", "some_other_app.deep:app"])
def test_a_module_that_does_not_exist(write: Write, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"there is no module 'some_other_app', neither in {tmp_path} nor"):
        load_application(name)


@pytest.mark.parametrize("name", ["some_app.py:application", "./some_app.py", "some_app.py"])
def test_a_file_instead_of_a_module(write: Write, name: str) -> None:
    with pytest.raises(SettingsError, match=r"for a file some_app\.py write some_app:APP"):
        load_application(name)


def test_a_misspelt_application(write: Write) -> None:
    write("def application(environ, start_response): ...")
    with pytest.raises(SettingsError, match=r"some_app has no 'aplication'\. Did you mean some_app:application\?"):
        load_application("some_app:aplication")


def test_a_module_without_an_application(write: Write) -> None:
    write("x = 1")
    with pytest.raises(SettingsError, match=r"has no 'application'\. Write application = app\.wsgifunc\(\) in it"):
        load_application("some_app")


def test_what_is_no_application(write: Write) -> None:
    write("application = 5")
    with pytest.raises(SettingsError, match="some_app:application: 5 is no WSGI application"):
        load_application("some_app:application")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("x = (", "SyntaxError: '(' was never closed"),
    ],
)
def test_a_module_that_fails_is_shown_where(write: Write, text: str, error: str) -> None:
    write(text)
    with pytest.raises(SettingsError) as caught:
        load_application("some_app")
    story = str(caught.value)
    assert story.startswith("some_app cannot be imported:\n")
    assert story.endswith(error)
    assert "some_app.py" in story
    assert "importlib" not in story and "applications.py" not in story
