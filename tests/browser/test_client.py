"""The browser client, webpy_socketio/static/socket.io.js, in a real browser and against real servers."""

from __future__ import annotations

import gzip
import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT, Server

STATIC = ROOT / "webpy_socketio" / "static"
HARNESS = Path(__file__).parent / "pages" / "harness.js"
GZIP_LIMIT = 9728
CLIENT = "/socket.io/socket.io.js"

Run = Callable[..., Any]


def open_page(context: Any, url: str, *scripts: str) -> Any:
    """A blank page with the harness and these scripts of the server."""
    page = context.new_page()
    page.goto(url)
    page.add_script_tag(path=str(HARNESS))
    for script in scripts:
        page.add_script_tag(url=url + script)
    return page


def evaluate(page: Any, script: str, argument: object = None) -> Any:
    """What the script returns; it may await, and gives up by itself."""
    return page.evaluate("(argument) => within((async () => {" + script + "})(), 'the whole test', 30000)", argument)


def log_of(server: Server) -> list[dict[str, Any]]:
    with urllib.request.urlopen(server.url + "/log") as response:
        return list(json.load(response))


def wait_for_log(server: Server, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The server's log once the condition holds."""
    deadline = time.monotonic() + 10
    while not condition(log := log_of(server)):
        assert time.monotonic() < deadline, log
        time.sleep(0.02)
    return log


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def errors() -> list[str]:
    """Errors that nobody caught in the page; tests that provoke some empty it."""
    return []


@pytest.fixture
def page(context: Any, server: Server, errors: list[str]) -> Iterator[Any]:
    page = open_page(context, server.url, CLIENT)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def run(page: Any) -> Run:
    return lambda script, argument=None: evaluate(page, script, argument)


# The files


def test_size() -> None:
    both = (STATIC / "socket.io.js").read_bytes() + b"\n" + (STATIC / "channels.js").read_bytes()
    assert len(gzip.compress(both, 9)) <= GZIP_LIMIT


# Transports

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_echo(run: Run, transports: list[str]) -> None:
    values = ["text", 1, None, True, {"a": [1, {"b": "ü€😀\ud83d"}]}, "\x1e", [], 1.5, "x" * 5000]
    got = run(
        """const socket = io({transports: argument.transports, forceNew: true});
        socket.emit('echo', ...argument.values);
        const got = await next(socket, 'echo');
        socket.disconnect();
        return got;""",
        {"transports": transports, "values": values[:4]},
    )
    assert got == values[:4]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_text_survives(run: Run, transports: list[str]) -> None:
    assert run(
        """const socket = io({transports: argument, forceNew: true});
        const text = 'ü€😀 \\u2028 \\x1e \\u0000 "\\\\n' + 'x'.repeat(5000);
        const got = await call(socket, 'ack', {[text]: [text]});
        return JSON.stringify(got) === JSON.stringify({[text]: [text]});""",
        transports,
    )


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_binary(run: Run, transports: list[str]) -> None:
    got = run(
        """const socket = await connected(io({transports: argument, forceNew: true}));
        const buffer = new Uint8Array([0, 1, 2, 3, 253, 254, 255, 4]).buffer;
        socket.emit('echo', buffer, {views: [new Uint8Array(buffer, 2, 3), new DataView(buffer, 1, 2)], text: 'x'},
                    new Uint16Array([258]), new Blob([new Uint8Array([9, 8])]), new ArrayBuffer(0), 'end');
        new Uint8Array(buffer).fill(77); // what is emitted must not change any more
        const [whole, {views, text}, wide, blob, empty, end] = await next(socket, 'echo');
        return [whole, ...views, wide, blob, empty].every((value) => value instanceof ArrayBuffer) &&
            [bytes(whole), views.map(bytes), bytes(wide), bytes(blob), bytes(empty), text, end];""",
        transports,
    )
    assert got == [[0, 1, 2, 3, 253, 254, 255, 4], [[2, 3, 253], [1, 2]], [2, 1], [9, 8], [], "x", "end"]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_binary_acks(run: Run, transports: list[str]) -> None:
    got = run(
        """const socket = io({transports: argument, forceNew: true});
        socket.on('question', (value, ack) => ack({answer: new Uint8Array(value)}));
        const first = await call(socket, 'ack', {deep: [new Uint8Array([1, 2])]});
        socket.emit('ask', new Uint8Array([7]).buffer);
        const [second] = await next(socket, 'answer');
        return [bytes(first.deep[0]), bytes(second.answer)];""",
        transports,
    )
    assert got == [[1, 2], [7]]


def test_large_binary_on_polling(run: Run) -> None:
    assert run(
        """const socket = io({transports: ['polling'], forceNew: true});
        const data = new Uint8Array(500000).map((_, index) => index * 7);
        const back = new Uint8Array(await call(socket, 'ack', data));
        return back.length === data.length && back.every((byte, index) => byte === data[index]);"""
    )


POUR = """
    const count = 10000;
    const received = [];
    socket.on('number', (number) => received.push(number));
    await connected(socket);
    const names = [socket.io.engine.transport.name];
    socket.emit('flood', count);
    for (let i = 0; i < count; i++) {
        socket.emit('number', i);
        if (window.release && i === argument.at) release();
        if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => received.length >= count);
    const numbers = await call(socket, 'numbers');
    names.push(socket.io.engine.transport.name);
    const inOrder = (list) => list.length === count && list.every((number, index) => number === index);
    return [inOrder(received), inOrder(numbers), names];"""


# The probe leaves when release() is called, so that the upgrade falls into the traffic.
LATE_PROBE = """const released = new Promise((resolve) => window.release = resolve);
    window.WebSocket = class extends WebSocket {
        send(data) { data === '2probe' ? released.then(() => super.send(data)) : super.send(data); } };"""


@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_traffic_in_order(run: Run, transports: list[str]) -> None:
    got = run("const socket = io({transports: argument, forceNew: true});" + POUR, transports)
    assert got == [True, True, [transports[0], transports[-1]]]


@pytest.mark.parametrize("at", [0, 1000, 5000])
def test_upgrade_under_traffic(run: Run, at: int) -> None:
    got = run(LATE_PROBE + "const socket = io({forceNew: true});" + POUR, {"at": at})
    assert got == [True, True, ["polling", "websocket"]]


def test_upgrade_is_announced_and_can_be_switched_off(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true});
        let before;
        socket.io.on('open', () => before = socket.io.engine.transport.name);
        await next(socket.io.engine, 'upgrade');
        const without = await connected(io({forceNew: true, upgrade: false}));
        await call(without, 'ack', 1);
        return [before, socket.io.engine.transport.name, without.io.engine.candidate];"""
    )
    assert got == ["polling", "websocket", None]


# WebSockets that fail in various ways, each to be installed before the client runs.
BROKEN = {
    "throws": "window.WebSocket = class { constructor() { throw new Error('blocked'); } };",
    "missing": "delete window.WebSocket;",
    "refused": """window.WebSocket = class extends WebSocket {
        constructor(url) { super(url.replace('socket.io', 'nowhere')); } };""",
    "closes after the probe": """window.WebSocket = class extends WebSocket {
        constructor(url) { super(url); this.addEventListener('message', () => this.close()); } };""",
    "silent": """window.WebSocket = class extends WebSocket { send() {} };""",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_stays_on_polling_when_the_upgrade_fails(run: Run, fault: str) -> None:
    assert run(BROKEN[fault] + "const socket = io({forceNew: true});" + POUR) == [True, True, ["polling", "polling"]]


def test_stays_on_polling_when_a_proxy_cuts_websockets(page: Any, run: Run) -> None:
    page.route_web_socket("**/*", lambda route: route.close())
    assert run("const socket = io({forceNew: true});" + POUR) == [True, True, ["polling", "polling"]]


@pytest.mark.parametrize("fault", ["throws", "refused"])
def test_falls_back_from_websocket_to_polling(run: Run, fault: str) -> None:
    got = run(
        BROKEN[fault]
        + """const socket = await connected(io({transports: ['websocket', 'polling'], forceNew: true}));
        return [socket.io.engine.transport.name, await call(socket, 'ack', 5)];"""
    )
    assert got == ["polling", 5]


def test_blocked_websocket_without_fallback_is_an_error(run: Run) -> None:
    got = run(
        BROKEN["throws"]
        + """const socket = io({transports: ['websocket'], forceNew: true, reconnection: false});
        const [error] = await next(socket, 'connect_error');
        return [error instanceof Error, error.message, socket.active];"""
    )
    assert got == [True, "websocket: blocked", True]


def test_query_headers_and_path(run: Run) -> None:
    got = run(
        """const extraHeaders = {'X-Test': 'yes'};
        const socket = io('/?a=1&b=%C3%BC', {forceNew: true, transports: ['polling'], extraHeaders});
        const {query, header} = await call(socket, 'handshake');
        const other = io({forceNew: true, query: {c: 'x&y'}, transports: ['websocket'], path: '/socket.io/'});
        const second = (await call(other, 'handshake')).query;
        return [query.a, query.b, header, second.c];"""
    )
    assert got == ["1", "ü", "yes", "x&y"]


def test_wrong_path(run: Run) -> None:
    got = run(
        """const socket = io({path: '/nowhere', reconnection: false, forceNew: true, transports: ['polling']});
        const [error] = await next(socket, 'connect_error');
        return [error.message.slice(0, 17), socket.connected];"""
    )
    assert got == ["polling: HTTP 404", False]


def test_another_origin(context: Any, start: Any) -> None:
    with start(cors_origins="*", cors_credentials="true") as server:
        page = open_page(context, server.url.replace("127.0.0.1", "localhost"), CLIENT)
        got = evaluate(
            page,
            """const sockets = [['polling'], ['websocket'], ['polling', 'websocket']].map((transports) =>
                io(argument, {transports, forceNew: true, withCredentials: true}));
            const answers = await Promise.all(sockets.map((socket) => call(socket, 'ack', 1)));
            await upgraded(sockets[2]);
            return [location.origin !== argument, ...answers];""",
            server.url,
        )
        assert got == [True, 1, 1, 1]


def test_payloads_are_split(context: Any, start: Any) -> None:
    with start(max_payload=2000) as server:
        page = open_page(context, server.url, CLIENT)
        got = evaluate(
            page,
            """const socket = await connected(io({transports: ['polling']}));
            for (let i = 0; i < 50; i++) socket.emit('number', 'é'.repeat(200) + i);
            for (let i = 0; i < 5; i++) socket.emit('number', new Uint8Array(900));
            const numbers = await call(socket, 'numbers');
            const inOrder = numbers.slice(0, 50).every((text, index) => text.endsWith('é' + index));
            return [numbers.length, inOrder, socket.connected];""",
        )
        assert got == [55, True, True]


def test_emits_of_one_go_share_a_request(server: Server, run: Run) -> None:
    run(
        """const socket = await connected(io({transports: ['polling'], forceNew: true, query: {mark: 'batch'}}));
        await call(socket, 'ack', 1);
        performance.clearResourceTimings();
        for (let i = 0; i < 100; i++) socket.emit('number', i);
        await call(socket, 'numbers');"""
    )
    requests = run(
        "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('sid=')).length"
    )
    assert requests <= 6


# Namespaces and connecting


def test_connects_with_auth(run: Run) -> None:
    got = run(
        """const plain = io({auth: {token: 'a'}, forceNew: true});
        const computed = io({auth: (answer) => setTimeout(() => answer({token: 'b'}), 10), forceNew: true});
        return [(await call(plain, 'handshake')).auth, (await call(computed, 'handshake')).auth];"""
    )
    assert got == [{"token": "a"}, {"token": "b"}]


def test_refusal(run: Run) -> None:
    got = run(
        """const socket = io('/guarded', {auth: {token: 'bad'}, reconnectionDelay: 10});
        const [error] = await next(socket, 'connect_error');
        const result = [error instanceof Error, error.message, error.data, socket.active, socket.connected];
        socket.auth.token = 'good';
        socket.connect();
        await connected(socket);
        return [...result, await call(socket, 'ack', 'in')];"""
    )
    assert got == [True, "not authorized", {"code": 42}, False, False, "in"]


def test_connecting_again_inside_connect_error(run: Run) -> None:
    assert (
        run(
            """const socket = io('/guarded', {auth: {}});
        let errors = 0;
        socket.on('connect_error', () => {
            errors += 1;
            socket.auth.token = errors === 3 ? 'good' : 'bad';
            socket.connect();
        });
        await connected(socket);
        return errors;"""
        )
        == 3
    )


def test_unknown_namespace(run: Run) -> None:
    got = run(
        """const [error] = await next(io('/nowhere'), 'connect_error');
        return error.message;"""
    )
    assert got == "Invalid namespace"


def test_namespaces_share_a_connection(run: Run) -> None:
    got = run(
        """const main = io(), other = io('/other'), again = io(), alone = io('/other', {multiplex: false});
        await Promise.all([main, other, again, alone].map(connected));
        other.emit('echo', 'other', new Uint8Array([1]));
        main.emit('echo', 'main');
        const [fromOther] = await next(other, 'echo');
        const ids = new Set([main, other, again, alone].map((socket) => socket.id));
        const engines = [main, other, again, alone].map((socket) => socket.io.engine);
        other.disconnect();
        const answer = await call(main, 'ack', 'still here');
        other.connect();
        await connected(other);
        return [fromOther, ids.size, engines[0] === engines[1], engines[0] === engines[2], engines[1] === engines[3],
                answer, other.io.engine === engines[0], other.nsp];"""
    )
    assert got == ["other", 4, True, False, False, "still here", True, "/other"]


def test_urls(run: Run, server: Server) -> None:
    got = run(
        """const host = location.host;
        const urls = [undefined, '', '/', '/other', location.origin, location.origin + '/other?x=1', '//' + host, host,
                      'ws://' + host, location.origin.toUpperCase() + '/Ä'];
        return urls.map((url) => io(url, {autoConnect: false})).map(({io: {uri}, nsp}) => [uri, nsp]);"""
    )
    url = server.url
    assert got == [
        [url, "/"],
        [url, "/"],
        [url, "/"],
        [url, "/other"],
        [url, "/"],
        [url, "/other"],
        [url, "/"],
        [url, "/"],
        [url, "/"],
        [url, "/Ä"],
    ]


def test_leaving_while_the_server_still_decides(run: Run, server: Server) -> None:
    """The server's late acceptance must neither revive the socket nor leave it behind at the server."""
    got = run(
        """const main = await connected(io());
        const slow = io('/slow', {auth: {token: 1}});
        await call(main, 'ack', 1); // the request of slow was sent before this
        slow.disconnect();
        slow.auth = {token: 2};
        slow.connect();
        const {auth} = await call(slow, 'handshake');
        await connected(main);
        const {id} = main;
        slow.disconnect();
        await call(main, 'ack', 2); // Node ends connections in which leaving and joining come together
        slow.auth = {token: 3};
        slow.connect();
        await call(main, 'ack', 3);
        slow.disconnect();
        await until(() => slow._request === null);
        await call(main, 'ack', 4);
        return [auth, slow.connected, main.id === id];"""
    )
    assert got == [{"token": 2}, False, True]
    log = wait_for_log(server, lambda log: log[-1].get("disconnect") == "/slow")
    assert {"connect": "/slow", "auth": {"token": 3}} in log


def test_disconnect_by_the_page(run: Run, server: Server) -> None:
    got = run(
        """const socket = await connected(io('/other', {transports: ['polling'], forceNew: true}));
        const gone = next(socket, 'disconnect');
        socket.emit('number', 1).disconnect();
        return [(await gone)[0], socket.connected, socket.disconnected, socket.active, typeof socket.id];"""
    )
    assert got == ["io client disconnect", False, True, False, "undefined"]
    log = wait_for_log(server, lambda log: log[-1].get("disconnect") == "/other")
    assert log[-1]["reason"] == "client namespace disconnect"


GOODBYE = """
    const socket = io('/other', {transports: argument.transports, forceNew: true});
    const leave = () => { for (let i = 0; i < 100; i++) socket.emit('number', 'x'.repeat(i)); socket.disconnect(); };
    socket.once('connect', argument.moment === 'connect' ? leave : release);
    if (argument.moment === 'upgrade') socket.io.engine.once('upgrade', leave);
    if (argument.moment === 'switch') {
        const {_upgrade} = socket.io.engine;
        socket.io.engine._upgrade = function () { const result = _upgrade.call(this); leave(); return result; };
    }
    await next(socket, 'disconnect');"""


@pytest.mark.parametrize(
    ("transports", "moment"),
    [
        (["polling"], "connect"),
        (["websocket"], "connect"),
        (["polling", "websocket"], "connect"),
        (["polling", "websocket"], "switch"),
        (["polling", "websocket"], "upgrade"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_last_words_arrive(run: Run, server: Server, transports: list[str], moment: str) -> None:
    """What was emitted before disconnect() reaches the server, whatever the transports are about to do."""
    before = len(log_of(server))
    run(LATE_PROBE + GOODBYE, {"transports": transports, "moment": moment})
    log = wait_for_log(server, lambda log: any("disconnect" in line for line in log[before:]))
    assert [line for line in log[before:] if "disconnect" in line] == [
        {"disconnect": "/other", "reason": "client namespace disconnect", "numbers": 100}
    ]


def test_session_in_the_making_is_ended(run: Run) -> None:
    """A socket that leaves at once does not leave a session behind at the server."""
    assert run(
        """const sent = [];
        const {fetch} = window;
        window.fetch = (url, options) => {
            sent.push([options.method, options.body]);
            if (sent.length === 1) queueMicrotask(() => socket.disconnect());
            return fetch(url, options);
        };
        const socket = io({forceNew: true});
        await until(() => sent.length === 2);
        return sent;"""
    ) == [["GET", None], ["POST", "1"]]


def test_disconnect_before_connected(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true});
        let events = [];
        for (const event of ['connect', 'disconnect', 'connect_error']) socket.on(event, () => events.push(event));
        socket.disconnect();
        const other = await connected(io({forceNew: true}));
        await call(other, 'ack', 1);
        const quiet = events.length;
        socket.connect();
        await connected(socket);
        return [quiet, events];"""
    )
    assert got == [0, ["connect"]]


def test_disconnect_by_the_server(run: Run) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true, reconnectionDelay: 1}));
        let attempts = 0;
        socket.io.on('reconnect_attempt', () => attempts += 1);
        socket.emit('kick');
        const [reason] = await next(socket, 'disconnect');
        await call(io({forceNew: true}), 'ack', 1);
        const before = [reason, socket.active, attempts];
        socket.connect();
        await connected(socket);
        return before;"""
    )
    assert got == ["io server disconnect", False, 0]


def test_auto_connect_off(run: Run) -> None:
    got = run(
        """const socket = io({autoConnect: false, forceNew: true});
        const before = [socket.active, socket.connected, socket.io.engine === undefined];
        socket.open();
        await connected(socket);
        return [...before, socket.active, socket.id.length > 0];"""
    )
    assert got == [False, False, True, True, True]


# Events and acks


def test_listeners(run: Run, errors: list[str]) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true}));
        const seen = [];
        const a = (value) => seen.push('a' + value), b = (value) => seen.push('b' + value);
        const echo = async (value) => { socket.emit('echo', value); await call(socket, 'ack', 0); };
        socket.on('echo', a).once('echo', b);
        await echo(1);
        await echo(2);
        socket.once('echo', b).off('echo', b);
        await echo(3);
        socket.off('echo', a);
        await echo(4);
        socket.on('echo', a).on('echo', b).off('echo');
        await echo(5);
        socket.on('echo', a).off();
        await echo(6);
        const any = (...args) => seen.push(args.join());
        socket.onAny(any);
        await echo(7);
        socket.offAny(any);
        await echo(8);
        socket.on('echo', () => { throw new Error('a listener fails'); }).on('echo', a);
        await echo(9);
        return seen;"""
    )
    assert got == ["a1", "b1", "a2", "a3", "echo,7", "a9"]
    assert errors == ["a listener fails"]
    errors.clear()


def test_acks(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true});
        const first = await call(socket, 'ack', 'id 0');
        const promised = await socket.emitWithAck('ack', {a: 1});
        const timed = await new Promise((resolve) => socket.timeout(5000).emit('ack', 5, (...args) => resolve(args)));
        const both = await socket.timeout(5000).emitWithAck('ack', 6);
        return [first, promised, timed, both, socket.emit('number', 1) === socket, socket.send(1) === socket];"""
    )
    assert got == ["id 0", {"a": 1}, [None, 5], 6, True, True]


def test_answering_the_server(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true});
        socket.on('question', (value, ack) => { ack(value + 1); ack('twice'); });
        const answers = [];
        socket.on('answer', (answer) => answers.push(answer));
        socket.emit('ask', 1).emit('ask', 2);
        await until(() => answers.length === 2);
        return answers;"""
    )
    assert got == [2, 3]


def test_ack_timeouts(run: Run) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true}));
        const start = performance.now();
        const error = await new Promise((resolve) => socket.timeout(200).emit('silent', resolve));
        const took = performance.now() - start;
        const message = await socket.timeout(10).emitWithAck('silent').catch((error) => error.message);
        const usual = io({forceNew: true, ackTimeout: 10});
        const third = await usual.emitWithAck('silent').catch((error) => error.message);
        return [error instanceof Error, error.message, took > 190 && took < 2000, message, third];"""
    )
    assert got == [True, "operation has timed out", True, "operation has timed out", "operation has timed out"]


def test_ack_timeout_while_disconnected_withdraws_the_event(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true, autoConnect: false});
        const message = await socket.timeout(10).emitWithAck('number', 1).catch((error) => error.message);
        socket.emit('number', 2);
        socket.connect();
        return [message, await call(socket, 'numbers')];"""
    )
    assert got == ["operation has timed out", [2]]


def test_acks_of_a_lost_connection(run: Run) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true}));
        const results = [];
        socket.emit('silent', () => results.push('never'));
        socket.timeout(60000).emit('silent', (error) => results.push(error.message));
        socket.emitWithAck('silent').catch((error) => results.push(error.message));
        socket.disconnect();
        socket.emit('ack', 'buffered', (value) => results.push(value));
        socket.connect();
        await until(() => results.length === 3);
        return results;"""
    )
    assert got == ["socket has been disconnected", "socket has been disconnected", "buffered"]


def test_buffering_and_volatile(run: Run) -> None:
    got = run(
        """const socket = io({forceNew: true});
        socket.emit('number', 1).volatile.emit('number', 2).emit('number', 3);
        await connected(socket);
        await call(socket, 'ack', 1);
        await upgraded(socket);
        socket.volatile.emit('number', 4);
        return call(socket, 'numbers');"""
    )
    assert got == [1, 3, 4]


def test_reserved_names(run: Run) -> None:
    got = run(
        """const socket = io({autoConnect: false, forceNew: true});
        const names = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'];
        return names.map((name) => { try { socket.emit(name); } catch (error) { return error.message; } });"""
    )
    assert len(got) == 6
    assert all("reserved event name" in message for message in got)


def test_a_value_that_cannot_be_sent_fails_the_caller(run: Run) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true}));
        const circle = {}; circle.self = circle;
        let message;
        try { socket.emit('ack', circle, () => {}); } catch (error) { message = error.message; }
        return [message.length > 0, await call(socket, 'ack', 'fine')];"""
    )
    assert got == [True, "fine"]


# Losing the connection


def test_server_restarts(context: Any, start: Any) -> None:
    """Killed without a word, the server is found again, with what was emitted meanwhile and the channels."""
    with start() as server:
        page = open_page(context, server.url, CLIENT)
        evaluate(
            page,
            """const seen = window.seen = {};
            window.sockets = TRANSPORTS.map((transports) => {
                const socket = io({transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 200});
                const events = seen[transports.join('+')] = [];
                socket.on('connect', () => events.push('connect'));
                socket.on('disconnect', (reason, details) => events.push(reason, details instanceof Error));
                socket.io.once('reconnect_attempt', () => events.push('attempt'));
                socket.io.once('reconnect_error', () => events.push('error'));
                socket.io.on('reconnect', (attempts) => events.push('reconnect', attempts > 1));
                socket.subscribe('room');
                return socket;
            });
            await Promise.all(sockets.map(connected));
            await upgraded(sockets[2]);""".replace("TRANSPORTS", json.dumps(TRANSPORTS)),
        )
        server.signal(signal.SIGKILL)
        page.wait_for_function("sockets.every((socket) => !socket.connected)")
        page.wait_for_function("Object.values(seen).every((events) => events.includes('error'))")
        page.evaluate("sockets.forEach((socket) => socket.emit('ack', 'kept', () => socket.kept = true))")
        server.start()
        page.wait_for_function("sockets.every((socket) => socket.connected && socket.kept)")
        seen = page.evaluate("seen")
        assert {name: events[1] in ("transport close", "transport error") for name, events in seen.items()} == {
            "polling": True,
            "websocket": True,
            "polling+websocket": True,
        }
        for events in seen.values():
            assert events[:1] + events[2:] == ["connect", True, "attempt", "error", "reconnect", True, "connect"] or (
                events[:1] + events[2:] == ["connect", True, "attempt", "error", "connect", "reconnect", True]
            )
        evaluate(
            page,
            """const got = Promise.all(sockets.map((socket) => next(socket, 'message')));
            sockets[0].emit('publish', 'room', 'news');
            await got;""",
        )


def test_gives_up_reconnecting(context: Any, start: Any) -> None:
    with start() as server:
        page = open_page(context, server.url, CLIENT)
        evaluate(
            page,
            """window.socket = io({reconnectionAttempts: 2, reconnectionDelay: 10, transports: ['websocket']});
            window.events = [];
            for (const event of ['reconnect_attempt', 'reconnect_error', 'reconnect_failed']) {
                socket.io.on(event, () => events.push(event));
            }
            await connected(socket);""",
        )
        server.signal(signal.SIGKILL)
        page.wait_for_function("events.includes('reconnect_failed')")
        assert page.evaluate("events") == ["reconnect_attempt", "reconnect_error"] * 2 + ["reconnect_failed"]
        server.start()
        assert evaluate(page, "socket.connect(); return call(socket, 'ack', 'back')") == "back"


def test_first_connection_fails_then_succeeds(context: Any, start: Any) -> None:
    with start() as server:
        page = open_page(context, server.url, CLIENT)
        server.signal(signal.SIGKILL)
        evaluate(
            page,
            """window.socket = io({reconnectionDelay: 50, reconnectionDelayMax: 100});
            const [error] = await next(socket, 'connect_error');
            if (!(error instanceof Error) || !socket.active) throw error;""",
        )
        server.start()
        assert evaluate(page, "return call(socket, 'ack', 'at last')") == "at last"


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_connection_dropped_by_the_server(run: Run, transports: list[str]) -> None:
    got = run(
        """const socket = io({transports: argument, forceNew: true, reconnectionDelay: 10});
        await connected(socket);
        if (argument.length > 1) await upgraded(socket);
        socket.emit('drop');
        const [reason] = await next(socket, 'disconnect');
        await connected(socket);
        return [reason, await call(socket, 'ack', 1)];""",
        transports,
    )
    assert got == ["transport close", 1]


def test_silent_server_is_dropped(context: Any, start: Any) -> None:
    with start(ping_interval=0.3, ping_timeout=1) as server:
        page = open_page(context, server.url, CLIENT)
        evaluate(
            page,
            """window.sockets = ['polling', 'websocket'].map((name) => io({transports: [name], forceNew: true}));
            window.pings = 0;
            window.reasons = [];
            sockets.forEach((socket) => {
                socket.io.on('ping', () => pings += 1);
                socket.on('disconnect', (reason) => reasons.push(reason));
            });
            await Promise.all(sockets.map(connected));
            await until(() => pings >= 8);
            if (reasons.length) throw new Error(reasons);""",
        )
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            page.wait_for_function("reasons.length === 2")
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert page.evaluate("reasons") == ["ping timeout", "ping timeout"]
        page.wait_for_function("sockets.every((socket) => socket.connected)")


def test_closing_the_engine(run: Run) -> None:
    """As a page does to try out its own reconnecting."""
    got = run(
        """const socket = await connected(io({forceNew: true, reconnectionDelay: 10}));
        const events = [];
        socket.io.engine.on('close', (reason) => events.push(reason));
        socket.on('disconnect', (reason) => events.push(reason));
        socket.io.engine.close();
        await connected(socket);
        return events;"""
    )
    assert got == ["forced close", "forced close"]


def test_disconnect_and_connect_in_a_listener(run: Run) -> None:
    got = run(
        """const socket = await connected(io({forceNew: true, reconnectionDelay: 60000}));
        socket.once('disconnect', () => socket.disconnect().connect());
        socket.emit('drop');
        await next(socket, 'connect');
        return call(socket, 'ack', 1);"""
    )
    assert got == 1


def test_nonsense_from_the_server(run: Run) -> None:
    got = run(
        """const reasons = [];
        const binary = (number) => '451-["x",{"_placeholder":true,"num":' + number + '}]\\x1e';
        for (const nonsense of ['9', '', '4', '49', '42{}', '42["connect"]', '42["x"', '42["x",NaN]', 'b', 'b!',
                                'bAA==', binary(0) + '41', binary(1) + 'bAA==']) {
            const socket = await connected(io({forceNew: true, transports: ['websocket'], reconnection: false}));
            const gone = next(socket, 'disconnect');
            const {engine} = socket.io;
            for (const packet of nonsense.split('\\x1e')) engine._receive(engine.transport, packet);
            reasons.push((await gone)[0]);
        }
        return reasons;"""
    )
    assert got == ["parse error"] * 13


def test_opening_times_out(run: Run, page: Any) -> None:
    page.route("**/socket.io/?*", lambda route: None)
    got = run(
        """const socket = io({timeout: 50, reconnection: false, forceNew: true});
        const [error] = await next(socket, 'connect_error');
        return error.message;"""
    )
    assert got == "timeout"


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="+".join)
def test_leaving_the_page_is_told_at_once(context: Any, start: Any, transports: list[str]) -> None:
    with start() as server:
        page = open_page(context, server.url, CLIENT)
        evaluate(page, "window.socket = await connected(io({transports: argument}));", transports)
        page.goto("about:blank")
        log = wait_for_log(server, lambda log: any("disconnect" in line for line in log))
        assert next(line["reason"] for line in log if "disconnect" in line).startswith("transport")


def test_return_from_the_back_forward_cache(run: Run) -> None:
    """The events of the browser are imitated: headless Chromium keeps no such cache."""
    got = run(
        """const socket = await connected(io({forceNew: true, reconnection: false}));
        const {id} = socket;
        const gone = next(socket, 'disconnect');
        window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}));
        const [reason] = await gone;
        window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}));
        await connected(socket);
        return [reason, socket.id !== id, await call(socket, 'ack', 1)];"""
    )
    assert got == ["transport close", True, 1]


# The page API of 2012


def test_api_of_2012(run: Run, server: Server) -> None:
    got = run(
        """const {hostname, port} = location;
        const results = [];
        for (const args of [[], [null, {resource: 'socket.io'}], [hostname, {port, secure: false}],
                            [hostname, {transports: ['xhr-polling', 'jsonp-polling']}]]) {
            const socket = new io.Socket(...args);
            const messages = [];
            socket.on('message', (message) => messages.push(message));
            if (socket.active) throw new Error('connected too early');
            socket.send('early');
            socket.connect();
            await connected(socket);
            socket.send('text');
            socket.send({a: 1});
            socket.send(['x', 'y']);
            socket.send(7);
            await until(() => messages.length === 5);
            const gone = next(socket, 'disconnect');
            socket.disconnect();
            await gone;
            results.push(messages);
        }
        return results;"""
    )
    assert got == [["early", "text", {"a": 1}, ["x", "y"], 7]] * 4


def test_addresses_of_2012(run: Run, server: Server) -> None:
    got = run(
        """return [[], ['example.org'], ['example.org', {port: 81}], [null, {secure: true, port: 443}],
                   ['example.org', {resource: 'live'}], ['example.org:82', {port: 81}], ['https://example.org/x'],
                  ].map((args) => {
            const {io: {uri, opts}} = new io.Socket(...args);
            return uri + opts.path;
        });"""
    )
    port = server.port
    assert got == [
        f"http://127.0.0.1:{port}/socket.io",
        f"http://example.org:{port}/socket.io",
        "http://example.org:81/socket.io",
        "https://127.0.0.1/socket.io",
        f"http://example.org:{port}/live",
        "http://example.org:82/socket.io",
        "https://example.org/socket.io",
    ]


def test_everything_is_an_io_socket(run: Run) -> None:
    got = run(
        """io.Socket.prototype.patched = function () { return this.nsp; };
        const manager = new io.Manager({autoConnect: false});
        return [io('/other', {autoConnect: false}).patched(), new io.Socket().patched(), manager.socket('/x').patched(),
                io('/y', {autoConnect: false}) instanceof io.Socket, io.connect === io, io.protocol];"""
    )
    assert got == ["/other", "/", "/x", True, True, 5]
