"""socket.subscribe() and socket.unsubscribe(), on our client and on the official ones."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.browser.test_client import CLIENT, evaluate, open_page
from tests.serving import Server

CHANNELS = "/socket.io/channels.js"
CLIENTS = {"ours": [CLIENT], "official 4": ["/official-4.js", CHANNELS], "official 3": ["/official-3.js", CHANNELS]}


@pytest.fixture(params=CLIENTS)
def scripts(request: pytest.FixtureRequest) -> list[str]:
    return CLIENTS[request.param]


@pytest.fixture
def page(browser: Any, server: Server, scripts: list[str]) -> Any:
    context = browser.new_context()
    page = open_page(context, server.url, *scripts)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


HEARD = """
    const heard = [];
    const listener = (name) => (...answer) => heard.push([name, ...answer]);
    const requests = async (socket) => (await call(socket, 'seen')).filter((name) => name.startsWith('__'));
"""


def test_granted_and_refused(page: Any) -> None:
    got = evaluate(
        page,
        HEARD
        + """const socket = io({forceNew: true});
        const same = socket.subscribe('room', listener('room')).subscribe('secret', listener('secret')) === socket;
        await until(() => heard.length === 2);
        socket.emit('publish', 'room', 1);
        socket.emit('publish', 'secret', 2);
        const [published] = await next(socket, 'message');
        return [same, heard, published];""",
    )
    assert got == [
        True,
        [["room", True, None], ["secret", False, {"code": "refused", "message": "no access to secret"}]],
        ["room", 1],
    ]


def test_asking_twice_sends_once(page: Any) -> None:
    got = evaluate(
        page,
        HEARD
        + """const socket = io({forceNew: true});
        socket.subscribe('room', listener(1)).subscribe('room', listener(2)).subscribe('room');
        await until(() => heard.length === 2);
        socket.subscribe('room', listener(3));
        await until(() => heard.length === 3);
        return [heard.map(([name, granted]) => [name, granted]), await requests(socket)];""",
    )
    assert got == [[[1, True], [2, True], [3, True]], ["__subscribe__"]]


def test_unsubscribe(page: Any) -> None:
    got = evaluate(
        page,
        HEARD
        + """const socket = await connected(io({forceNew: true}));
        let published = 0;
        socket.on('message', () => published += 1);
        socket.subscribe('room', listener('in')).unsubscribe('room', listener('out'));
        await until(() => heard.length === 2);
        socket.emit('publish', 'room', 1);
        await call(socket, 'ack', 1);
        socket.subscribe('room', listener('again'));
        await until(() => heard.length === 3);
        socket.emit('publish', 'room', 2);
        await until(() => published === 1);
        socket.disconnect().unsubscribe('room', listener('offline'));
        await until(() => heard.length === 4);
        socket.connect();
        await connected(socket);
        const results = heard.map(([name, granted, error]) => [name, granted, error && error.code]);
        return [results, await requests(socket)];""",
    )
    assert got == [
        [["in", False, "unsubscribed"], ["out", True, None], ["again", True, None], ["offline", True, None]],
        [],
    ]


def test_names_are_checked(page: Any) -> None:
    got = evaluate(
        page,
        """const socket = io({autoConnect: false, forceNew: true});
        return [undefined, '', 5, null].map((name) => {
            try { socket.subscribe(name); } catch (error) { return error.message; }
        });""",
    )
    assert got == ["a channel's name is a string, not empty"] * 4


def test_subscriptions_come_back(browser: Any, start: Any, scripts: list[str]) -> None:
    """Once per connection, whether the page subscribes in its connect handler or only at the beginning."""
    context = browser.new_context()
    with start() as server:
        page = open_page(context, server.url, *scripts)
        evaluate(
            page,
            HEARD
            + """window.heard = heard;
            window.socket = io({reconnectionDelay: 50, reconnectionDelayMax: 100});
            socket.on('connect', () => socket.subscribe('handler', listener('handler')));
            socket.subscribe('start', listener('start')).subscribe('secret', listener('secret'));
            socket.subscribe('left').unsubscribe('left');
            await until(() => heard.length === 3);""",
        )
        server.signal(signal.SIGKILL)
        page.wait_for_function("!socket.connected")
        server.start()
        page.wait_for_function("socket.connected")
        got = evaluate(
            page,
            HEARD
            + """const asked = await requests(socket);
            const channels = [];
            socket.on('message', ([channel]) => channels.push(channel));
            for (const channel of ['start', 'handler', 'secret', 'left']) socket.emit('publish', channel, 1);
            await call(socket, 'ack', 1);
            return [asked, channels.sort(), window.heard.map(([name, granted]) => [name, granted]).sort()];""",
        )
    context.close()
    assert got == [
        ["__subscribe__", "__subscribe__"],
        ["handler", "start"],
        [["handler", True], ["handler", True], ["secret", False], ["start", True]],
    ]


def test_with_ack_timeouts(page: Any) -> None:
    """A page's option that changes how acknowledgements look must not make a lost connection look like a refusal."""
    got = evaluate(
        page,
        HEARD
        + """const socket = io({forceNew: true, ackTimeout: 60000, reconnectionDelay: 10});
        const asked = () => new Promise((resolve) => socket.emit('seen', (...answer) => resolve(answer.pop())));
        socket.subscribe('room', listener('room')).subscribe('secret', listener('secret'));
        await until(() => heard.length === 2);
        socket.emit('drop');
        await next(socket, 'disconnect');
        await connected(socket);
        socket.unsubscribe('room', listener('out'));
        await until(() => heard.length === 3);
        const again = (await asked()).filter((name) => name === '__subscribe__');
        return [heard.map(([name, granted]) => [name, granted]), again];""",
    )
    assert got == [[["room", True], ["secret", False], ["out", True]], ["__subscribe__"]]


def test_a_refusal_after_a_reconnect_is_told(page: Any) -> None:
    """The channel stays wanted until it is refused; here the server's answer is changed under way."""
    got = evaluate(
        page,
        HEARD
        + """const socket = await connected(io({forceNew: true, reconnectionDelay: 10}));
        socket.subscribe('room', listener('room'));
        await until(() => heard.length === 1);
        const {emit} = socket;
        socket.emit = function (event, ...args) {
            return emit.call(this, event, ...args.map((value) => (value === 'room' ? 'secret' : value)));
        };
        socket.emit('drop');
        await next(socket, 'disconnect');
        await until(() => heard.length === 2);
        return heard.map(([name, granted]) => [name, granted]);""",
    )
    assert got == [["room", True], ["room", False]]


def test_listeners_removed_by_the_page(page: Any) -> None:
    got = evaluate(
        page,
        HEARD
        + """const socket = io({forceNew: true, autoConnect: false});
        socket.subscribe('a', listener('a'));
        socket.off('connect');
        socket.subscribe('b', listener('b'));
        socket.connect();
        await until(() => heard.length === 2);
        return heard.map(([name, granted]) => [name, granted]);""",
    )
    assert got == [["a", True], ["b", True]]


def test_our_client_subscribes_before_what_was_emitted(browser: Any, server: Server) -> None:
    context = browser.new_context()
    page = open_page(context, server.url, CLIENT, CHANNELS)
    got = evaluate(
        page,
        """const socket = io({autoConnect: false});
        socket.emit('number', 1);
        socket.subscribe('room');
        socket.connect();
        return call(socket, 'seen');""",
    )
    context.close()
    assert got == ["__subscribe__", "number", "seen"]
