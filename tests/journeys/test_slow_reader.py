"""One client that never reads beside others to whom much is sent: the server's memory stays within the bound."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.wire import PATIENCE, TEXT, PollingClient, frame, target, upgrade_request, websocket_query
from tests.serving import Server, serve

#: How much each of the readers is sent.
MEGABYTES = int(os.environ.get("FLOOD_MEGABYTES", "40"))
SIZE = 4096
READERS = 3
#: Bytes that may wait, and pieces between two looks: less, so that who reads has always room.
BOUND = 1_000_000
ROUND = 50
#: What garbage and the allocator take beside.
SLACK = 3_000_000


class Reader:
    """A WebSocket of our own making: it reads when it is told to, and a million pieces in no time."""

    def __init__(self, server: Server, channel: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.sock.sendall(upgrade_request(target(websocket_query(), server.path)))
        self._file = self.sock.makefile("rb", 1 << 20)
        while self._file.readline().strip():
            pass
        self.send("40")
        assert self.text().startswith("0")
        assert self.text().startswith("40")
        assert self.ask("__subscribe__", channel) is True

    def send(self, text: str) -> None:
        """Send a message."""
        self.sock.sendall(frame(TEXT, text.encode()))

    def text(self) -> str:
        """The next message; pings are left out. Raises EOFError at a close frame, or if there is nothing more."""
        while True:
            head = self._file.read(2)
            if len(head) < 2 or head[0] & 15 != TEXT:
                raise EOFError
            size = head[1]
            if size > 125:
                size = int(struct.unpack("!H", self._file.read(2))[0])
            data = self._file.read(size)
            if len(data) < size:
                raise EOFError
            if data != b"2":
                return data.decode()
            self.send("3")

    def number(self) -> int:
        """The number of the next piece, which is whole."""
        name, number, text = json.loads(self.text()[2:])
        assert (name, text) == ("piece", "x" * SIZE)
        return int(number)

    def ask(self, event: str, *args: Any) -> Any:
        """Send an event, and return what it is acknowledged with; nothing may come before."""
        self.send(f"420{json.dumps([event, *args])}")
        answer = self.text()
        assert answer.startswith("430"), answer
        return json.loads(answer[3:])[0]

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.sock.close()


def used_bytes(server: Server) -> int:
    """The server's resident memory."""
    assert server.process is not None
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Flood:
    """A server that floods readers, and one client that does not read."""

    def __init__(self, server: Server, channel: str) -> None:
        self.server = server
        self.channel = channel
        self.sent = 0
        self.readers = [Reader(server, channel) for _ in range(READERS)]
        self.control = Reader(server, "control")
        self.cast(1)  # what is taken for the first time is not given back
        self.silent = Reader(server, channel)
        self.before = self.peak = used_bytes(server)

    def cast(self, megabytes: float) -> None:
        """Send so much to everybody who reads, who must get all of it, in order."""
        until = self.sent + round(megabytes * 1e6 / SIZE)
        while self.sent < until:
            assert self.control.ask("flood", self.channel, self.sent, ROUND, SIZE) is True
            for reader in self.readers:
                for number in range(self.sent, self.sent + ROUND):
                    assert reader.number() == number
            self.sent += ROUND
            if hasattr(self, "peak"):
                self.peak = max(self.peak, used_bytes(self.server))

    def left(self) -> list[int]:
        """The numbers of what the silent one finds when it reads at last."""
        self.silent.sock.settimeout(0.5)
        numbers = []
        try:
            while True:
                numbers.append(self.silent.number())
        except (EOFError, TimeoutError, ConnectionError):
            return numbers

    def close(self) -> None:
        """Hang up."""
        for reader in (*self.readers, self.control, self.silent):
            reader.close()


@pytest.fixture
def flood(request: pytest.FixtureRequest) -> Iterator[Flood]:
    policy, channel = request.param
    settings = {"max_outbox_bytes": BOUND, "overflow": policy, "overflow_timeout": 0.2, "ping_interval": 600}
    with serve("flood", **settings, message_log_format="") as server:
        made = Flood(server, channel)
        yield made
        made.close()


@pytest.mark.parametrize(
    "flood",
    [("disconnect", "any"), ("drop_oldest", "any"), ("drop_newest", "any"), ("wait", "any"), ("disconnect", "latest")],
    indirect=True,
    ids=lambda parameter: parameter[0] if parameter[1] == "any" else parameter[1],
)
def test_memory_stays_within_the_bound_and_the_others_get_everything(
    flood: Flood, request: pytest.FixtureRequest
) -> None:
    first = flood.sent
    flood.cast(MEGABYTES)
    counts = flood.control.ask("counts")
    assert flood.peak - flood.before < BOUND + SLACK
    assert counts["waiting"] <= BOUND
    request.node.user_properties.append(("growth", flood.peak - flood.before))
    numbers = flood.left()
    policy = request.node.callspec.id
    overflowed, lost = counts["overflowed"], flood.sent - first - len(numbers)
    assert numbers == sorted(set(numbers)) or policy == "latest"
    if policy in ("disconnect", "wait"):
        assert overflowed == {"disconnect": 1} | ({"wait": 1} if policy == "wait" else {})
        assert counts["ended"] == {"slow": 1}
        assert numbers == list(range(first, first + len(numbers)))
    else:
        assert overflowed == {policy: lost}
        assert counts["ended"] == {}
    if policy == "drop_newest":
        assert numbers == list(range(first, first + len(numbers)))
    elif policy == "drop_oldest":
        assert numbers[-1] == flood.sent - 1
    elif policy == "latest":
        assert set(numbers[-100:]) == set(range(flood.sent - 100, flood.sent))


def polled(server: Server, channel: str) -> list[int]:
    """What a polling client finds at its next poll, when 1,000 pieces were sent to a channel since the last."""
    client, control = PollingClient(server), Reader(server, "control")
    client.send("40", f'420["__subscribe__","{channel}"]')
    while not client.receive().startswith("430"):  # type: ignore[arg-type]
        pass
    for first in range(0, 1000, ROUND):
        assert control.ask("flood", channel, first, ROUND, SIZE) is True
    numbers = [json.loads(packet[2:])[1] for packet in client.poll()]
    client.close()
    control.close()
    return numbers


def test_between_two_polls_it_is_the_same() -> None:
    with serve("flood", overflow="drop_oldest", max_outbox_packets=300, message_log_format="") as server:
        assert polled(server, "any") == list(range(700, 1000))
        assert polled(server, "latest") == list(range(900, 1000))
