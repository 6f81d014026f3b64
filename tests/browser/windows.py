"""Windows of a browser on the chat example, and what people do in them."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

try:
    from playwright.sync_api import expect
except ImportError:
    if os.environ.get("CI") == "true":
        raise  # where the tools have to be, their absence must not pass for success
    pytest.skip("playwright is missing", allow_module_level=True)

expect.set_options(timeout=15_000)

#: A script for a browser that has none.
NO_WEBSOCKET = "window.WebSocket = function () { throw new Error('blocked') };"


class Window:
    """A browser window of somebody, with cookies of their own."""

    def __init__(self, browser: Any, url: str, script: str = "", **options: Any) -> None:
        self.context = browser.new_context(base_url=url, **options)
        if script:
            self.context.add_init_script(script)
        self.problems: list[str] = []
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)
        self.text = self.page.get_by_label("Message", exact=True)
        self.name = self.page.get_by_label("Your name")
        self.people = self.page.locator("#people .who")
        self.words = self.page.locator("#messages .words")
        self.connection = self.page.locator("#connection")

    def _note(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.problems.append(message.text)

    def open(self, path: str = "/rooms/1") -> Window:
        self.page.goto(path)
        return self

    def join(self, name: str) -> Window:
        self.name.fill(name)
        self.page.get_by_role("button", name="Join").click()
        return self

    def enter(self, name: str, path: str = "/rooms/1") -> Window:
        self.open(path).join(name)
        expect(self.text).to_be_focused()
        return self

    def say(self, text: str) -> None:
        self.text.fill(text)
        self.text.press("Enter")

    def announce(self, text: str, room: str = "Everybody in any room") -> None:
        self.open("/system")
        self.page.get_by_label("For").select_option(label=room)
        self.text.fill(text)
        self.page.get_by_role("button", name="Send").click()

    def add_room(self, name: str) -> str:
        """Open a room and return the path of its page."""
        self.open("/")
        self.page.get_by_label("Name of the room").fill(name)
        self.page.get_by_role("button", name="Open room").click()
        expect(self.name).to_be_visible()
        return re.sub(r"^\w+://[^/]+", "", self.page.url)
