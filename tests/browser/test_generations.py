"""Clients of all generations in pages, by JSONP, those of before 1.4 by everything; and one room that holds them all.

The room holds the clients in Node too. Its server is stopped, and killed, and started again: all of them come back.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.clients.generations import (
    NODE_CLIENTS,
    PAGE_CLIENTS,
    SCRIPT,
    TEXT,
    InNode,
    check_journey,
    expected_news,
    package_and_way,
)
from tests.conformance.targets import require_node
from tests.serving import Server, serve

MEMBERS = NODE_CLIENTS + PAGE_CLIENTS
#: This client breaks when it loses JSONP to an error, and knows of no reconnecting then: see generations.js.
FRAIL = "1.0-jsonp"
RETURNING = [name for name in MEMBERS if name != FRAIL]
BEGIN = """([name, client, ...args]) => {
    window.pending = generations[name](...(client ? [io] : []), ...args).catch((error) => ({error: String(error)}));
}"""


class Round(NamedTuple):
    """What the members of the room heard, and why they left then."""

    heard: dict[str, Any]
    gone: dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Pages of another origin may connect: that is what JSONP is for."""
    require_node()
    with serve("generations", cors_origins="*") as server:
        yield server
        assert "Traceback" not in server.log


class InPages:
    """A page for each of the clients, in contexts of their own: in each, a host gets six connections at most."""

    def __init__(self, browser: Any, server: Server, *names: str) -> None:
        self.pages = {}
        self._server = server
        for name in names or PAGE_CLIENTS:
            page = self.pages[name] = browser.new_context().new_page()
            page.goto(server.url)
            page.add_script_tag(url=f"/{package_and_way(name)[0]}.js")
            page.add_script_tag(path=str(SCRIPT))

    def begin(self, function: str, *args: Any) -> None:
        """Call a function of generations.js in all the pages."""
        for page in self.pages.values():
            page.evaluate(BEGIN, [function, False, *args])

    def begin_with_client(self, function: str, *args: Any, other_origin: bool = False) -> None:
        """Call a function with each page's client and where it finds the server: for JSONP on another origin."""
        for name, page in self.pages.items():
            way = package_and_way(name)[1]
            url = self._server.url
            if other_origin or way == "jsonp":
                url = url.replace("127.0.0.1", "localhost")
            names = [name] if function == "join" else []
            page.evaluate(BEGIN, [function, True, *names, url, way, *args])

    def results(self) -> dict[str, Any]:
        """What the pages return, by the client's name."""
        return {name: page.evaluate("pending") for name, page in self.pages.items()}

    def close(self, *names: str) -> None:
        """Close some of the pages."""
        for name in names:
            self.pages.pop(name).context.close()


@pytest.fixture(scope="module")
def journeys(browser: Any, server: Server) -> dict[str, Any]:
    """What each client in a page reports; they are on their way at the same time."""
    pages = InPages(browser, server)
    pages.begin_with_client("journey", TEXT)
    reports = pages.results()
    pages.close(*PAGE_CLIENTS)
    return reports


@pytest.fixture(scope="module")
def rounds(browser: Any, server: Server) -> Iterator[list[Round]]:
    """All the clients in one room tell the others something: at first, after a restart, and after a crash."""
    with InNode() as node:
        pages = InPages(browser, server)
        pages.begin_with_client("join")
        for name in NODE_CLIENTS:
            package, way = package_and_way(name)
            node.call("join", package, name, server.url, way)
        assert not any(pages.results().values())

        def call(function: str, *args: Any) -> dict[str, Any]:
            """Have all members do something; return their reports."""
            pages.begin(function, *args)
            reports = node.call(function, *args) or {}
            for report in pages.results().values():
                reports |= report or {}
            assert "error" not in reports, reports["error"]
            return dict(reports)

        rounds = []
        for number, ending in enumerate((signal.SIGTERM, signal.SIGKILL, None), 1):
            call("joined", number)
            call("tell")
            heard = call("heard", len(NODE_CLIENTS) + len(pages.pages) - 1)
            gone = {}
            if ending is not None:
                pages.close(*({FRAIL} & pages.pages.keys()))
                server.signal(ending)
                gone = call("gone", number)
                server.start()
            rounds.append(Round(heard, gone))
        yield rounds
        pages.close(*RETURNING[len(NODE_CLIENTS) :])


@pytest.mark.parametrize("name", PAGE_CLIENTS)
def test_journey(journeys: dict[str, Any], name: str) -> None:
    check_journey(name, journeys[name])


@pytest.mark.parametrize("name", MEMBERS)
def test_room(rounds: list[Round], name: str) -> None:
    assert rounds[0].heard[name] == expected_news(name, MEMBERS)


@pytest.mark.parametrize("name", RETURNING)
@pytest.mark.parametrize("number", [1, 2], ids=["restart", "crash"])
def test_coming_back(rounds: list[Round], number: int, name: str) -> None:
    assert rounds[number - 1].gone[name] in ("transport close", "transport error")
    assert rounds[number].heard[name] == expected_news(name, RETURNING)


@pytest.mark.parametrize("version", ["1.0", "1", "2", "4"])
def test_long_polling_from_another_origin(browser: Any, version: str) -> None:
    """The clients of before 3.0 ask with cookies, always: they need ``cors_credentials``."""
    name = f"{version}-polling"
    with serve("generations", cors_origins="*", cors_credentials=True) as server:
        pages = InPages(browser, server, name)
        pages.begin_with_client("join", other_origin=True)
        assert pages.results() == {name: None}
        pages.close(name)
