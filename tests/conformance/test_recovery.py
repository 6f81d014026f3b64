"""Connection state recovery on the wire, as in Node's server, and where it goes further."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conformance.targets import ours_only
from tests.conformance.wire import Client, PollingClient, WebSocketClient, open_client, open_websocket, upgrade
from tests.serving import Server, serve

pytestmark = ours_only  # Node's application of these tests has recovery switched off
CONNECT = re.compile(r'40(/\w+,)?\{"sid":"([^"]+)","pid":"([^"]+)"\}')
WINDOW = 60

Opener = Callable[[], Client]


class Visit:
    """A client that joined a namespace: what it was told, and the offset of the last event it received."""

    def __init__(self, client: Client, namespace: str = "", **auth: Any) -> None:
        self.client = client
        self.namespace = namespace
        self.offset: str | None = None
        self.before: list[Any] = []
        client.send(f"40{namespace}" + (json.dumps(auth, separators=(",", ":")) if auth else ""))
        while not (match := CONNECT.fullmatch(packet := str(client.receive()))):
            self.before.append(self.read(packet))
        self.sid, self.pid = match[2], match[3]

    def read(self, packet: str) -> list[Any]:
        """An event's values, without its offset, which is noted."""
        *values, self.offset = json.loads(packet.removeprefix(f"42{self.namespace}"))
        assert isinstance(self.offset, str)
        return values

    def hears(self, *values: Any) -> None:
        """Receive an event."""
        assert self.read(str(self.client.receive())) == list(values)

    def says(self, event: str, *args: Any) -> None:
        """Send an event."""
        self.client.send(f"42{self.namespace}" + json.dumps([event, *args]))

    def asks(self, event: str) -> Any:
        """Send an event and return what acknowledges it."""
        self.client.send(f'42{self.namespace}7["{event}"]')
        answer = str(self.client.receive())
        assert answer.startswith(f"43{self.namespace}7")
        return json.loads(answer.removeprefix(f"43{self.namespace}7"))[0]

    def returns(self, client: Client, **auth: Any) -> Visit:
        """Come back on another connection, with what this one knew."""
        known = {"pid": self.pid} if self.offset is None else {"pid": self.pid, "offset": self.offset}
        return Visit(client, self.namespace, **known, **auth)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("recovery", recovery="true", recovery_window=WINDOW) as server:
        yield server


@pytest.fixture(params=["polling", "websocket"])
def opened(request: pytest.FixtureRequest, server: Server) -> Iterator[Opener]:
    """Opens connections of one transport."""
    with ExitStack() as stack:

        def open_one() -> Client:
            client = open_client(request.param, server)
            stack.callback(client.close)
            return client

        yield open_one


@pytest.fixture
def witness(server: Server) -> Iterator[Visit]:
    client = open_websocket(server)
    yield Visit(client)
    client.close()


def lose(client: Client) -> None:
    """Break the connection, as a network does."""
    if isinstance(client, WebSocketClient):
        client.connection.socket.shutdown(socket.SHUT_RDWR)
        return
    assert isinstance(client, PollingClient)
    client.hold_get().abort()


def counts(server: Server) -> dict[str, int]:
    with urllib.request.urlopen(f"{server.url}/counts") as answer:
        return dict(json.load(answer))


def test_events_carry_an_offset(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened())
    witness.says("tell", 1, "two")
    visit.hears("told", 1, "two")
    first = visit.offset
    witness.says("tell", 3)
    visit.hears("told", 3)
    assert visit.offset != first


def test_missed_events_come_before_the_connect_packet(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened(), name="Alice")
    witness.says("tell", "received")
    visit.hears("told", "received")
    lose(visit.client)
    witness.says("tell", "missed")
    witness.says("tell", "too")
    assert witness.asks("who")[0] is None  # the others have been sent by now
    again = visit.returns(opened())
    assert again.before == [["told", "missed"], ["told", "too"]]
    assert (again.sid, again.pid) == (visit.sid, visit.pid)
    assert again.asks("who") == ["Alice", ["all"], True]
    witness.says("tell", "after")
    again.hears("told", "after")


def test_nothing_was_ever_sent(opened: Opener) -> None:
    visit = Visit(opened())
    lose(visit.client)
    again = visit.returns(opened())
    assert (again.sid, again.pid, again.before) == (visit.sid, visit.pid, [])


def test_the_first_events_were_missed(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened())
    lose(visit.client)
    witness.says("tell", "first")
    witness.asks("who")
    assert visit.returns(opened()).before == [["told", "first"]]


def test_the_old_connection_still_looks_alive(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened(), name="Alice")
    again = visit.returns(opened())
    assert again.sid == visit.sid
    visit.client.wait_closed()
    witness.says("tell", "once")
    again.hears("told", "once")
    assert again.asks("who") == ["Alice", ["all"], True]


def test_what_the_old_connection_was_sent_and_never_received(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened())
    witness.says("tell", "lost on the way")
    witness.asks("who")
    again = visit.returns(opened())  # without its offset: it was not received
    assert again.before == [["told", "lost on the way"]]


def test_handlers_notice_nothing(opened: Opener, server: Server, witness: Visit) -> None:
    visit = Visit(opened())
    before = counts(server)
    lose(visit.client)
    again = visit.returns(opened())
    assert again.sid == visit.sid
    assert counts(server) == before


@pytest.mark.parametrize("auth", [{"pid": "unknown"}, {"pid": 5}, {"pid": None, "offset": "x"}, {"offset": "x"}])
def test_a_stranger_starts_anew(opened: Opener, auth: dict[str, Any]) -> None:
    assert Visit(opened(), **auth).asks("who") == [None, ["all"], False]


@pytest.mark.parametrize("offset", ["", "unknown", 5, None, "x" * 100_000, "9" * 30])
def test_an_offset_that_is_none_of_ours_gets_everything_since_the_connection(
    opened: Opener, witness: Visit, offset: Any
) -> None:
    visit = Visit(opened())
    witness.says("tell", 1)
    visit.hears("told", 1)
    lose(visit.client)
    again = Visit(opened(), pid=visit.pid, offset=offset)
    assert (again.sid, again.before) == (visit.sid, [["told", 1]])


def test_an_offset_of_the_future_gets_nothing(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened())
    witness.says("tell", 1)
    visit.hears("told", 1)
    lose(visit.client)
    again = Visit(opened(), pid=visit.pid, offset=f"{visit.offset}00")
    assert (again.sid, again.before) == (visit.sid, [])


def test_a_pid_belongs_to_its_namespace(opened: Opener) -> None:
    visit = Visit(opened())
    lose(visit.client)
    assert Visit(opened(), "/second,", pid=visit.pid).sid != visit.sid
    assert visit.returns(opened()).sid == visit.sid


def test_each_namespace_comes_back_by_itself(opened: Opener, witness: Visit) -> None:
    client = opened()
    main, second = Visit(client), Visit(client, "/second,")
    client.send('42/second,["tell","nobody"]')
    lose(client)
    witness.says("tell", "main only")
    witness.asks("who")
    again = opened()
    assert (main.returns(again).sid, second.returns(again).sid) == (main.sid, second.sid)


def test_a_second_namespace_after_the_first_was_taken_over(opened: Opener) -> None:
    client, again = opened(), opened()
    main, second = Visit(client), Visit(client, "/second,")
    assert (main.returns(again).sid, second.returns(again).sid) == (main.sid, second.sid)


def test_a_client_that_left_by_itself_is_not_awaited(opened: Opener, server: Server) -> None:
    client = opened()
    visit = Visit(client)
    client.send("41")
    client.send("40")
    assert visit.returns(opened()).sid != visit.sid


def test_a_client_that_was_put_out_cannot_come_back(opened: Opener) -> None:
    client = opened()
    visit = Visit(client)
    visit.says("out")
    client.receives("41")
    assert visit.returns(opened()).sid != visit.sid


def test_a_client_that_broke_the_rules_cannot_come_back(opened: Opener) -> None:
    client = opened()
    visit = Visit(client)
    client.provoke("4abc")
    assert visit.returns(opened()).sid != visit.sid


def test_a_page_that_was_closed_is_not_awaited(server: Server) -> None:
    client = open_websocket(server)
    visit = Visit(client)
    client.connection.close(1001)
    back = open_websocket(server)
    assert visit.returns(back).sid != visit.sid
    back.close()


def test_a_connection_that_was_closed_without_a_code_is_awaited(server: Server) -> None:
    client = open_websocket(server)
    visit = Visit(client)
    client.connection.close()
    back = open_websocket(server)
    assert visit.returns(back).sid == visit.sid
    back.close()


def test_by_polling_and_back_by_websocket_after_an_upgrade(server: Server, witness: Visit) -> None:
    polling = PollingClient(server)
    visit = Visit(polling)
    moved = upgrade(polling)
    witness.says("tell", "after the upgrade")
    visit.client = moved
    visit.hears("told", "after the upgrade")
    lose(moved)
    witness.says("tell", "missed")
    witness.asks("who")
    back = open_websocket(server)
    assert visit.returns(back).before == [["told", "missed"]]
    back.close()


def test_events_of_one_client_stay_in_order(opened: Opener) -> None:
    visit = Visit(opened())
    for number in (1, 2):
        visit.says("slow", number)
    again = visit.returns(opened())
    again.says("slow", 3)
    assert again.asks("order") == [1, 2, 3]


def test_binary_events_and_acknowledgements(opened: Opener, witness: Visit) -> None:
    visit = Visit(opened())
    lose(visit.client)
    witness.client.send('451-["tell",{"_placeholder":true,"num":0}]', b"\x01\x02")
    witness.asks("who")
    client = opened()
    client.send(f'40{{"pid":"{visit.pid}"}}')
    header = str(client.receive())
    assert re.fullmatch(r'451-\["told",\{"_placeholder":true,"num":0\},"[^"]+"\]', header)
    assert client.receive() == b"\x01\x02"
    assert CONNECT.fullmatch(str(client.receive()))


def test_clients_of_before_get_neither_pid_nor_offset(server: Server, witness: Visit) -> None:
    old = open_websocket(server, EIO="3")
    old.receives("40")
    witness.says("tell", "all")
    old.receives('42["told","all"]')
    old.close()


def test_without_the_setting_there_is_nothing_of_it() -> None:
    with serve("recovery") as server:
        client = open_websocket(server)
        client.send('40{"pid":"x","offset":"y"}')
        assert re.fullmatch(r'40\{"sid":"[^"]+"\}', str(client.receive()))
        client.close()


def test_window_and_bounds() -> None:
    with serve("recovery", recovery="true", recovery_window=0.4, max_recovery_clients=2) as server:
        visits = []
        for _ in range(3):
            client = open_websocket(server)
            visits.append(Visit(client))
            lose(client)
        back = open_websocket(server)
        last = visits[-1].returns(back)
        assert last.sid == visits[-1].sid
        while counts(server).get("finish", 0) < 2:  # one was given up at once, the other when its time was over
            pass
        first = open_websocket(server)
        assert visits[0].returns(first).sid != visits[0].sid
        first.close()
        back.close()


def test_what_is_not_kept_is_not_pretended() -> None:
    with serve("recovery", recovery="true", max_recovery_bytes=20_000) as server:
        talker, idle, busy = open_websocket(server), open_websocket(server), open_websocket(server)
        witness, calm, listener = Visit(talker), Visit(idle, "/second,"), Visit(busy, name="Bob")
        lose(busy)
        lose(idle)
        for number in range(20):
            witness.says("tell", number, "x" * 1000)
        witness.asks("who")
        before = counts(server)
        back, other = open_websocket(server), open_websocket(server)
        again = listener.returns(back)
        assert again.sid != listener.sid
        assert (again.pid != listener.pid, again.before) == (True, [])
        assert again.asks("who") == [None, ["all"], False]
        after = counts(server)
        assert after["connect"] == before["connect"] + 1
        assert after["finish"] == before.get("finish", 0) + 1
        assert calm.returns(other).sid == calm.sid  # nothing of what is gone was for it
        for client in (back, other, talker):
            client.close()


def test_a_stopping_server_ends_those_that_are_away() -> None:
    with serve("recovery", recovery="true") as server:
        client = open_websocket(server)
        Visit(client)
        lose(client)
        server.stop()
        assert "Traceback" not in server.log
        assert "DISCONNECT: transport close" in server.log
