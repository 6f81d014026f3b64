"""What a server that is mistreated must not show: leaks, tracebacks, and clients that notice something."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.conformance.wire import open_client
from tests.serving import Server

PATIENCE = 10.0
#: Seconds between two numbers of a well-behaved client.
PAUSE = 0.02
#: A number that does not count.
NOTHING = -1
#: Deadlines of the server itself and of those who ask it.
FEW = 40
#: Bytes by which a process may grow although it keeps nothing: its memory gets into another order.
SLACK = 4_000_000


class Watch:
    """Looks at a server that runs tests/apps/faults.py."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None) -> None:
        self.server = server
        self._context = context
        self._read = 0
        self.page("numbers")  # what a first page makes is not counted as a leak
        self.page("state")
        #: What there is while nothing happens.
        self.before = self.page("state")

    def page(self, name: str) -> dict[str, Any]:
        """Ask the application for numbers."""
        arguments: Any = ("127.0.0.1", self.server.port, PATIENCE)
        if self._context is None:
            connection = http.client.HTTPConnection(*arguments[:2], timeout=PATIENCE)
        else:
            connection = http.client.HTTPSConnection(*arguments[:2], timeout=PATIENCE, context=self._context)
        try:
            connection.request("GET", f"/{name}", headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return dict(json.loads(body))
        finally:
            connection.close()

    def settle(self, seconds: float = PATIENCE) -> None:
        """Wait until there is nothing more than before."""
        deadline = time.monotonic() + seconds
        while more := self._more():
            assert time.monotonic() < deadline, f"left behind: {more}"
            time.sleep(0.1)

    def memory(self) -> int:
        """The server's bytes of memory when everything is over, and no deadline is left that could keep something."""
        self.settle()
        end = time.monotonic() + PATIENCE
        while (numbers := self.page("numbers"))["deadlines"] > FEW:
            assert time.monotonic() < end, f"left behind: {numbers['deadlines']} deadlines"
            time.sleep(0.25)  # each look makes a deadline, too
        return int(numbers["rss"])

    def _more(self) -> dict[str, str]:
        now = self.page("state")
        return {name: f"{was} -> {now[name]}" for name, was in self.before.items() if now[name] > was}

    def check_log(self, what: object) -> None:
        """The log has no traceback that was not there before."""
        log = self.server.log
        new, self._read = log[self._read :], len(log)
        place = new.find("Traceback")
        assert place < 0, f"{what}:\n{new[max(0, place - 500) : place + 4000]}"
        assert self.server.process is not None and self.server.process.poll() is None, f"{what}: the server ended"


class Bystander:
    """A well-behaved client: it sends numbers to the others of its kind, each when the last has been acknowledged."""

    def __init__(self, way: str, server: Server) -> None:
        self.sent = 0
        self.received: list[int] = []
        self.problem: Exception | None = None
        self._client = open_client(way, server)
        self._client.send("40")
        self._ask(["__subscribe__", "well-behaved"])

    def run(self, stop: threading.Event, all_sent: threading.Barrier, expected: Callable[[], int]) -> None:
        """Send until told to stop, then receive until everything that was expected has come."""
        try:
            while not stop.wait(PAUSE) or not self.sent:
                self._ask(["number", self.sent])
                self.sent += 1
            all_sent.wait(PATIENCE)
            while len(self.received) < expected():
                self._ask(["number", NOTHING])
            self._client.close()
        except Exception as error:
            self.problem = error

    def _ask(self, event: list[Any]) -> None:
        """Send an event, and take what comes until its acknowledgement."""
        self._client.send("420" + json.dumps(event))
        while not (packet := str(self._client.receive())).startswith("430"):
            if packet == "2":
                self._client.send("3")
            elif packet.startswith('42["message",'):
                value = json.loads(packet[2:])[1]
                self.received += [] if value == NOTHING else [value]
        assert json.loads(packet[3:])[0] in (True, event[1]), packet


class Bystanders:
    """Two of them, one by each transport, for as long as something else goes on: they must not notice it."""

    def __init__(self, server: Server) -> None:
        self._stop, self._all_sent = threading.Event(), threading.Barrier(2)
        first, second = self._all = Bystander("polling", server), Bystander("websocket", server)
        self._pairs = (first, second), (second, first)
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        """Nothing has happened to them."""
        assert [repr(each.problem) for each in self._all] == ["None", "None"]

    def __enter__(self) -> Bystanders:
        self._threads = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in self._pairs]
        for thread in self._threads:
            thread.start()
        return self

    def _run(self, each: Bystander, other: Bystander) -> None:
        each.run(self._stop, self._all_sent, lambda: other.sent)

    def __exit__(self, kind: object, *rest: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self.check()
        for each, other in self._pairs:
            assert each.received == list(range(other.sent)), "something was lost, or came in another order"
