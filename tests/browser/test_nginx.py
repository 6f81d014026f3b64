"""The chat behind nginx, as people in browsers see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.windows import NO_WEBSOCKET, Window, expect
from tests.nginx.recipes import RECIPES, Nginx, behind_nginx
from tests.serving import ROOT

PROTOCOL = "performance.getEntriesByType('navigation')[0].nextHopProtocol"


@pytest.fixture(params=RECIPES)
def nginx(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nginx]:
    """The example behind a recipe."""
    monkeypatch.setenv("CHAT_DATABASE", str(tmp_path / "chat.sqlite3"))
    with behind_nginx(request.param, ROOT / "example" / "main_app.py") as nginx:
        yield nginx


def test_two_people_talk(browser: Any, nginx: Nginx) -> None:
    windows = [Window(browser, nginx.url, script, ignore_https_errors=True) for script in ("", NO_WEBSOCKET)]
    anna, ben = windows
    for each in windows:
        # The processes of a cluster do not hear each other: both people have to be with the same one.
        each.context.add_cookies([{"name": "route", "value": "abc", "url": nginx.url}])
    anna.enter("Anna")
    ben.enter("Ben")
    anna.say("Hello Ben")
    expect(ben.words).to_have_text(["Hello Ben"])
    ben.say("Hello Anna")
    for each in windows:
        expect(each.words).to_have_text(["Hello Ben", "Hello Anna"])
        expect(each.people).to_have_text(["Anna", "Ben"])
    kinds = [each.page.evaluate("socket.io.engine.transport.name") for each in windows]
    assert kinds == ["websocket", "polling"]
    assert anna.page.evaluate(PROTOCOL) == ("h2" if nginx.tls else "http/1.1")
    for each in windows:
        assert each.problems == []
        each.context.close()
    assert "[error]" not in nginx.log
