"""Connection state recovery: what a page sees of a connection that was really lost, through a proxy that cuts it."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.browser.conftest import STARTS, Start
from tests.browser.test_client import CLIENT, TRANSPORTS, evaluate, log_of, open_page, wait_for_log
from tests.browser.test_client_channels import CLIENTS
from tests.proxy import CuttingProxy
from tests.serving import Server

SERVERS = ["node", "python"]
RECOVERING = {name: CLIENTS[name] for name in ("ours", "official 4")}

# A socket whose page remembers what happened to it, and which CONNECT packets it has sent.
WATCHED = """
    window.requests = [];
    const {send} = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
        if (String(data).startsWith('40')) requests.push(data);
        send.call(this, data);
    };
    window.watched = (namespace, options) => {
        const socket = io(namespace, {reconnectionDelay: 10, reconnectionDelayMax: 50, ...options});
        socket.seen = [];
        socket.values = [];
        socket.sids = [];
        socket.on('connect', () => {
            socket.sids.push(socket.id);
            socket.seen.push(socket.recovered ? 'recovered' : 'new');
        });
        socket.on('disconnect', (reason) => socket.seen.push('lost'));
        socket.on('message', ([channel, value]) => {
            value = value instanceof ArrayBuffer ? bytes(value) : value;
            socket.values.push(value);
            socket.seen.push(socket.connected ? value : 'too early');
        });
        return socket;
    };
    window.joined = (socket, channel) => within(new Promise((resolve) => socket.subscribe(channel, resolve)), channel);
"""


class Scene(NamedTuple):
    """A page behind a proxy, and one that reaches the server always."""

    server: Server
    proxy: CuttingProxy
    page: Any
    other: Any

    def run(self, script: str, argument: object = None) -> Any:
        """Run in the page that loses its connections."""
        return evaluate(self.page, script, argument)

    def publish(self, script: str, namespace: str = "/") -> None:
        """Let the other page call publish(channel, value)."""
        evaluate(
            self.other,
            """const socket = io(argument);
            const publish = (channel, value) => socket.emit('publish', channel, value);
            """
            + script
            + "; await call(socket, 'ack', 1);",
            namespace,
        )

    def tell(self, value: str | int) -> None:
        """Publish in the room of the page's first socket, and wait until it has it."""
        self.publish(f"publish('room', {json.dumps(value)})")
        self.page.wait_for_function("(value) => sockets[0].values.includes(value)", arg=value)

    def lose(self, sockets: int = 1) -> None:
        """Cut the connection, and return when both ends know."""
        before = disconnects(log_of(self.server))
        self.proxy.refuse()
        self.proxy.cut()
        wait_for_log(self.server, lambda log: disconnects(log) >= before + sockets)
        self.page.wait_for_function("sockets.every((socket) => !socket.connected)")

    def come_back(self) -> None:
        self.proxy.release()
        self.page.wait_for_function("sockets.every((socket) => socket.connected)")

    def lose_and_come_back(self) -> None:
        self.lose()
        self.come_back()

    def subscriptions(self) -> list[str]:
        """The channels that the server was asked for, in order."""
        return [line["subscribe"] for line in log_of(self.server) if "subscribe" in line]


def disconnects(log: list[dict[str, Any]]) -> int:
    return sum("disconnect" in line for line in log)


Play = Callable[..., Scene]


@pytest.fixture(scope="session", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    """The server's make."""
    return str(request.param)


@pytest.fixture(scope="session")
def start(kind: str) -> Start:
    return partial(STARTS[kind], recovery="true")


@pytest.fixture
def errors() -> list[str]:
    """Errors that nobody caught in the page; tests that provoke some empty it."""
    return []


@pytest.fixture
def play(browser: Any, start: Start, errors: list[str]) -> Iterator[Play]:
    """Sets the scene: a server with these settings, and a page behind the proxy that has run a script."""
    with contextlib.ExitStack() as stack:

        def play(script: str, argument: object = None, scripts: list[str] | None = None, **settings: object) -> Scene:
            server = stack.enter_context(start(**settings))
            proxy = stack.enter_context(CuttingProxy(server.port))
            context = browser.new_context()
            stack.callback(context.close)
            page = open_page(context, proxy.url, *(scripts or [CLIENT]))
            page.on("pageerror", lambda error: errors.append(str(error)))
            evaluate(page, WATCHED + script, argument)
            return Scene(server, proxy, page, open_page(context, server.url, CLIENT))

        yield play
    assert errors == []


IN_A_ROOM = """
    window.sockets = [watched('/', {transports: argument || ['websocket']})];
    const [socket] = sockets;
    await connected(socket);
    if (argument && argument.length > 1) await upgraded(socket);
    await joined(socket, 'room');"""


# Recovered


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.parametrize("scripts", RECOVERING.values(), ids=RECOVERING)
def test_nothing_is_lost(play: Play, transports: list[str], scripts: list[str]) -> None:
    """The official client is the measure."""
    scene = play(IN_A_ROOM, transports, scripts)
    scene.tell("before")
    scene.lose()
    scene.publish("for (let i = 0; i < 20; i++) publish('room', i % 3 ? i : new Uint8Array([i, 255]))")
    scene.run("for (let i = 0; i < 3; i++) { sockets[0].emit('number', i); sockets[0].volatile.emit('number', -1); }")
    scene.come_back()
    scene.tell("after")
    missed = [i if i % 3 else [i, 255] for i in range(20)]
    assert scene.run("return sockets[0].seen") == ["new", "before", "lost", *missed, "recovered", "after"]
    assert scene.run("return new Set(sockets[0].sids).size") == 1
    assert scene.run("return call(sockets[0], 'numbers')") == [0, 1, 2]
    assert scene.subscriptions() == ["room"]


def test_again_and_again(play: Play) -> None:
    scene = play(IN_A_ROOM)
    scene.tell("first")
    for round_ in range(3):
        scene.lose_and_come_back()  # missing nothing
        scene.lose()
        scene.publish(f"publish('room', {round_})")
        scene.come_back()
    pauses = [["lost", "recovered", "lost", round_, "recovered"] for round_ in range(3)]
    assert scene.run("return sockets[0].seen") == ["new", "first", *itertools.chain(*pauses)]
    assert scene.subscriptions() == ["room"]


def test_nothing_was_sent_before(play: Play, kind: str) -> None:
    """There is no offset to give yet; Node's server then begins anew."""
    scene = play(IN_A_ROOM)
    scene.lose()
    scene.publish("publish('room', 1)")
    scene.come_back()
    scene.tell(2)
    known = kind == "python"
    assert scene.run("return sockets[0].seen") == ["new", "lost", *([1, "recovered"] if known else ["new"]), 2]
    assert scene.subscriptions() == ["room"] * (1 if known else 2)
    assert scene.run("return requests.length") == 2
    assert "offset" not in scene.run("return requests[1]")


NAMESPACES = """
    window.sockets = [['/', {}], ['/other', {}], ['/guarded', {auth: (give) => give({token: 'good'})}]]
        .map(([namespace, options]) => watched(namespace, {transports: argument, ...options}));
    await Promise.all(sockets.map((socket) => joined(socket, 'room')));"""


@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_namespaces_of_one_connection(play: Play, transports: list[str]) -> None:
    """Each is recovered for itself, with its own messages."""
    scene = play(NAMESPACES, transports)
    assert scene.run("return sockets.every(({io}) => io === sockets[0].io)")
    for namespace in ("/", "/other"):
        scene.publish("publish('room', 'first')", namespace)
    scene.run("sockets[2].emit('publish', 'room', 'first')")
    scene.page.wait_for_function("sockets.every((socket) => socket.values.length === 1)")
    scene.lose(3)
    for namespace in ("/", "/other"):
        scene.publish(f"publish('room', '{namespace}'); publish('room', new Uint8Array([1]))", namespace)
    scene.come_back()
    seen = ["new", "first", "lost"]
    assert scene.run("return sockets.map((socket) => socket.seen)") == [
        [*seen, "/", [1], "recovered"],
        [*seen, "/other", [1], "recovered"],
        [*seen, "recovered"],
    ]
    assert scene.subscriptions() == ["room"] * 3


def test_one_namespace_alone(play: Play) -> None:
    scene = play("window.sockets = [watched('/other')]; await joined(sockets[0], 'room')")
    scene.publish("publish('room', 1)", "/other")
    scene.page.wait_for_function("sockets[0].values.length === 1")
    scene.lose()
    scene.publish("publish('room', 2)", "/other")
    scene.publish("publish('room', 'of another namespace')")
    scene.come_back()
    assert scene.run("return sockets[0].seen") == ["new", 1, "lost", 2, "recovered"]


def test_auth_is_sent_along(play: Play) -> None:
    """And wins, should it have the same keys."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.page.evaluate("sockets[0].auth = {token: 'x', offset: 'mine'}")
    scene.lose_and_come_back()
    assert scene.run("const {pid, ...rest} = JSON.parse(requests[1].slice(2)); return [typeof pid, rest]") == [
        "string",
        {"token": "x", "offset": "mine"},
    ]


def test_a_connection_that_falls_silent(play: Play) -> None:
    """What was written to it is not lost, though the server knew no better."""
    scene = play(IN_A_ROOM, ping_interval=1, ping_timeout=2)
    scene.tell(1)
    scene.proxy.hold()
    scene.publish("publish('room', 2)")
    wait_for_log(scene.server, lambda log: any(line.get("reason") == "ping timeout" for line in log))
    scene.page.wait_for_function("!sockets[0].connected")
    scene.publish("publish('room', 3)")
    scene.proxy.cut()
    scene.come_back()
    assert scene.run("return sockets[0].seen") == ["new", 1, "lost", 2, 3, "recovered"]


def test_lost_again_while_recovering(play: Play) -> None:
    """The messages have come, the answer has not: they wait for it, and are not asked for twice."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.lose()
    scene.publish("publish('room', 2)")
    scene.run(
        """const {io} = sockets[0], {_receive} = io;
        io._receive = function (data) {
            if (data[0] !== '0') return _receive.call(io, data);
            io._receive = _receive;
            io.engine.close('transport close');
            window.interrupted = true;
        };"""
    )
    before = disconnects(log_of(scene.server))
    scene.proxy.release()
    scene.page.wait_for_function("window.interrupted")
    wait_for_log(scene.server, lambda log: disconnects(log) > before)
    scene.page.wait_for_function("sockets[0].connected")
    assert scene.run("return sockets[0].seen") == ["new", 1, "lost", 2, "recovered"]


def test_a_listener_leaves_amid_what_was_missed(play: Play) -> None:
    """The rest waits for the next connection, which is a new one."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.run("const [socket] = sockets; socket.on('message', ([, value]) => value === 2 && socket.disconnect())")
    scene.lose()
    scene.publish("publish('room', 2); publish('room', 3)")
    scene.run("sockets[0].emit('number', 7)")
    scene.proxy.release()
    log = wait_for_log(
        scene.server, lambda log: any(line.get("reason") == "client namespace disconnect" for line in log)
    )
    assert [line["numbers"] for line in log if line.get("reason") == "client namespace disconnect"] == [1]
    assert scene.run("return sockets[0].seen") == ["new", 1, "lost", 2, "lost"]
    scene.run("sockets[0].connect()")
    scene.page.wait_for_function("sockets[0].connected")
    assert scene.run("return sockets[0].seen.slice(-2)") == [3, "new"]


# Channels


@pytest.mark.parametrize("scripts", RECOVERING.values(), ids=RECOVERING)
def test_channels_changed_at_the_wrong_moment(play: Play, kind: str, scripts: list[str]) -> None:
    """What the server did not hear of, it is told after the recovery."""
    scene = play(
        """window.sockets = [watched('/', {transports: ['websocket']})];
        const [socket] = sockets;
        await Promise.all(['stays', 'lost', 'away', 'back'].map((channel) => joined(socket, channel)));""",
        None,
        scripts,
    )
    scene.publish("publish('stays', 1)")
    scene.page.wait_for_function("sockets[0].values.length === 1")
    scene.proxy.hold()
    scene.run(
        """window.answers = [];
        const answer = (name) => (...results) => answers.push([name, ...results]);
        sockets[0].subscribe('asked', answer('asked')).unsubscribe('lost', answer('lost'));"""
    )
    scene.lose()
    scene.run(
        """const answer = (name) => (...results) => answers.push([name, ...results]);
        sockets[0].subscribe('new', answer('new')).unsubscribe('away', answer('away'))
            .unsubscribe('back').subscribe('back', answer('back')).subscribe('stays', answer('stays'));"""
    )
    scene.come_back()
    scene.page.wait_for_function("answers.length === 5")
    answers = scene.page.evaluate("answers.map(([name, granted]) => [name, granted])")
    assert sorted(answers) == [[name, True] for name in ("asked", "away", "back", "new", "stays")]
    wait_for_log(scene.server, lambda log: sum("unsubscribe" in line for line in log) >= 2)
    scene.publish("for (const name of ['stays', 'lost', 'away', 'back', 'asked', 'new']) publish(name, name)")
    assert scene.run("await call(sockets[0], 'ack', 1); return sockets[0].seen.slice(2)") == [
        "lost",
        "recovered",
        "stays",
        "back",
        "asked",
        "new",
    ]
    again = ["back"] if kind == "node" else []  # which our server knows that it follows, and asks no handler
    assert sorted(scene.subscriptions()) == sorted(["stays", "lost", "away", "back", "asked", "new", *again])


def test_an_answer_for_another_connection(play: Play) -> None:
    """The server's question died with its connection, though the socket's id lives on."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.run(
        """const [socket] = sockets;
        socket.on('question', (value, answer) => window.answer = answer).emit('ask', 1);
        await until(() => window.answer);"""
    )
    scene.lose_and_come_back()
    assert scene.run(
        """const sent = [], {engine} = sockets[0].io, {write} = engine;
        engine.write = (...packets) => { sent.push(...packets); write.apply(engine, packets); };
        answer('late');
        return [sockets[0].recovered, sent];"""
    ) == [True, []]


# Not recovered


def anew(scene: Scene) -> None:
    """The socket has come back as another, in its channel again, and remembers nothing of the old session."""
    scene.tell("after")
    assert scene.run("return [sockets[0].recovered, new Set(sockets[0].sids).size]") == [False, 2]
    assert scene.run("return sockets[0].seen.slice(-3)") == ["lost", "new", "after"]


@pytest.mark.parametrize("scripts", RECOVERING.values(), ids=RECOVERING)
@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_too_late(play: Play, transports: list[str], scripts: list[str]) -> None:
    window = 0.1
    scene = play(IN_A_ROOM, transports, scripts, recovery_window=window)
    scene.tell(1)
    scene.lose()
    end = time.time() + window
    scene.publish("publish('room', 'lost for ever')")
    scene.page.wait_for_function(f"Date.now() > {end * 1000 + 10}")
    scene.come_back()
    anew(scene)
    assert scene.run("return sockets[0].values") == [1, "after"]
    assert scene.subscriptions() == ["room", "room"]


@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_server_restarts(play: Play, transports: list[str]) -> None:
    scene = play(IN_A_ROOM, transports)
    scene.tell(1)
    scene.server.signal(signal.SIGKILL)
    scene.page.wait_for_function("!sockets[0].connected")
    scene.server.start()
    scene.page.wait_for_function("sockets[0].connected")
    scene.page.wait_for_function("sockets[0].seen.length === 4")
    anew(scene)


def test_the_old_offset_is_forgotten(play: Play) -> None:
    """It means nothing to a new session, and need not even exist in its server."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.server.signal(signal.SIGKILL)
    scene.page.wait_for_function("!sockets[0].connected")
    scene.server.start()
    scene.page.wait_for_function("sockets[0].connected")
    scene.lose_and_come_back()
    assert [
        list(request) for request in scene.run("return requests.slice(1).map((text) => JSON.parse(text.slice(2)))")
    ] == [
        ["pid", "offset"],
        ["pid"],
    ]


LEAVING = {
    "by the page": "sockets[0].disconnect()",
    "by the server": "sockets[0].emit('kick'); await next(sockets[0], 'disconnect')",
}


@pytest.mark.parametrize("way", LEAVING)
def test_leaving_is_for_good(play: Play, way: str) -> None:
    """Even where the server has kept an older state."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.lose_and_come_back()
    scene.run(LEAVING[way] + "; sockets[0].connect(); await connected(sockets[0]);")
    anew(scene)
    assert scene.run("return requests.pop()") == "40"


def test_a_packet_that_cannot_be_read(play: Play) -> None:
    """It must not be sent again and again."""
    scene = play(IN_A_ROOM)
    scene.tell(1)
    scene.lose()
    scene.publish("publish('room', 'poison')")
    scene.run(
        """const {io} = sockets[0], {_receive} = io;
        io._receive = (data) => _receive.call(io, data.includes('poison') ? '2["connect"]' : data);"""
    )
    scene.come_back()
    anew(scene)


def test_a_server_without_recovery(play: Play) -> None:
    scene = play(IN_A_ROOM, recovery="false")
    scene.publish("publish('room', 'text'); publish('room', 'text')")
    scene.page.wait_for_function("sockets[0].values.length === 2")
    scene.lose_and_come_back()
    anew(scene)
    assert scene.run("return requests") == ["40", "40"]
