"""Tokens on pages: how our client, and the official ones with channels.js, find, give and renew them."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.browser.test_client import HARNESS
from tests.samples import on_port, python_samples
from tests.serving import ROOT, Server, free_port, serve

SECRETS = "a secret of the tests, another secret of the tests"
CLIENTS = {"ours": {}, "official 4": {"client": "/official-4.js"}, "official 3": {"client": "/official-3.js"}}
HELPERS = """
    const told = [];
    const listener = (name) => (granted, error) => told.push([name, granted, error ? error.code : null]);
    const make = async (channel, more) =>
        (await fetch('/token?' + new URLSearchParams({channel, ...more}))).text();
    const again = async (socket) => {
        socket.emit('drop');
        await next(socket, 'disconnect');
        await connected(socket);
    };
    const both = async (socket) => {
        const { channels } = await call(socket, 'who');
        return channels.length === 2 ? channels.sort() : both(socket);
    };
    const fresh = () => io({forceNew: true, reconnectionDelay: 10});
"""

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("tokens", subscriptions="closed", secrets=SECRETS, cors_origins="*") as running:
        yield running
        assert "Traceback" not in running.log
        assert "a secret of" not in running.log


@pytest.fixture
def errors() -> list[str]:
    """Errors that nobody caught in the page; tests that provoke some empty it."""
    return []


@pytest.fixture(params=CLIENTS)
def run(request: pytest.FixtureRequest, browser: Any, server: Server, errors: list[str]) -> Iterator[Run]:
    """Opens a page with tokens for some channels, runs a script in it, and returns what that returns."""
    context = browser.new_context()

    def open_and_run(script: str, *channels: str, namespace: str = "/") -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        query = [*CLIENTS[request.param].items(), ("namespace", namespace), *(("channel", name) for name in channels)]
        page.goto(f"{server.url}/?{urlencode(query)}")
        # As a script of the page's, the harness would break its policy.
        whole = f"within((async () => {{ {HELPERS} {script} }})(), 'the whole test', 30000)"
        return page.evaluate(f"() => {{ {HARNESS.read_text()} return {whole}; }}")

    yield open_and_run
    context.close()
    assert errors == []


def test_the_page_brings_its_tokens(run: Run) -> None:
    got = run(
        """const socket = fresh();
        for (const channel of ['room-42', 'room-43', 'constructor']) socket.subscribe(channel, listener(channel));
        await until(() => told.length === 3);
        return [told, await call(socket, 'who')];""",
        "room-42",
    )
    assert got == [
        [["room-42", True, None], ["room-43", False, "token_required"], ["constructor", False, "token_required"]],
        {"user": None, "channels": ["room-42"]},
    ]


def test_no_name_breaks_out(run: Run) -> None:
    names = ["</script><script>alert(1)</script>", "<!--<script>", "\u2028'\"\\", "\u20ac \U0001f600"]
    got = run(
        f"""const socket = fresh();
        for (const name of {json.dumps(names)}) socket.subscribe(name, listener(name));
        await until(() => told.length === {len(names)});
        return [told, document.body.innerText.trim()];""",
        *names,
    )
    assert got == [[[name, True, None] for name in names], ""]


def test_a_namespace_has_tokens_of_its_own(run: Run) -> None:
    got = run(
        """const main = fresh(), other = io('/other', {forceNew: true});
        main.subscribe('room-42', listener('main'));
        await until(() => told.length === 1);
        other.subscribe('room-42', listener('other'));
        await until(() => told.length === 2);
        return told;""",
        "room-42",
        namespace="/other",
    )
    assert got == [["main", False, "token_required"], ["other", True, None]]


def test_the_tokens_of_a_page_are_for_its_own_host(run: Run) -> None:
    got = run(
        """const url = location.origin.replace('127.0.0.1', 'localhost');
        const other = io(url, {forceNew: true}), ours = fresh();
        other.subscribe('room-42', listener('other'));
        await until(() => told.length === 1);
        ours.subscribe('room-42', listener('ours'));
        await until(() => told.length === 2);
        other.subscribe('room-42', {token: await make('room-42')}, listener('given'));
        await until(() => told.length === 3);
        return told;""",
        "room-42",
    )
    assert got == [["other", False, "token_required"], ["ours", True, None], ["given", True, None]]


def test_a_token_is_given_to_subscribe(run: Run) -> None:
    got = run(
        """const socket = fresh(), token = await make('room-42', {user: 'alice'});
        socket.subscribe('room-41', {token}, listener('41')).subscribe('room-42', {token}, listener('42'));
        socket.subscribe('room-43', {}, listener('43')).subscribe('room-44', undefined, listener('44'));
        const bob = await make('room-45', {user: 'bob'});
        socket.subscribe('room-45', {token: bob}, listener('45'));
        await until(() => told.length === 5);
        let problem;
        try { socket.subscribe('room-46', {token: 5}); } catch (error) { problem = error.message; }
        return [told, await call(socket, 'who'), problem];"""
    )
    assert got == [
        [
            ["41", False, "token_other_channel"],
            ["42", True, None],
            ["43", False, "token_required"],
            ["44", False, "token_required"],
            ["45", False, "token_other_user"],
        ],
        {"user": "alice", "channels": ["room-42"]},
        "a token is a string",
    ]


def test_a_token_may_come_while_the_answer_is_waited_for(run: Run) -> None:
    got = run(
        """const token = await make('room-42'), socket = await connected(fresh());
        socket.subscribe('room-42', listener('first')).subscribe('room-42', {token}, listener('second'));
        await until(() => told.length === 2);
        return told;"""
    )
    assert got == [["first", True, None], ["second", True, None]]


def test_tokens_are_used_again_after_a_reconnect(run: Run) -> None:
    got = run(
        """const socket = fresh(), token = await make('given');
        socket.subscribe('given', {token}, listener('given')).subscribe('of the page', listener('of the page'));
        await until(() => told.length === 2);
        await again(socket);
        return (await call(socket, 'who')).channels.sort();""",
        "of the page",
    )
    assert got == ["given", "of the page"]


def test_an_expired_token_is_renewed_by_the_page(run: Run) -> None:
    got = run(
        """const asked = [];
        io.token = async (...args) => { asked.push(args); return make(args[0]); };
        const socket = fresh();
        socket.subscribe('of the page', listener('of the page')).subscribe('missing', listener('missing'));
        await until(() => told.length === 2);
        socket.emit('age', 4000);
        await again(socket);
        const channels = await both(socket);
        await again(socket); // with those that the page gave
        return [told.sort(), asked.sort(), channels, await both(socket)];""",
        "of the page",
    )
    assert got == [
        [["missing", True, None], ["of the page", True, None]],
        [["missing", "/"], ["missing", "/"], ["of the page", "/"]],
        ["missing", "of the page"],
        ["missing", "of the page"],
    ]


def test_an_expired_token_that_nobody_renews_is_told(run: Run) -> None:
    got = run(
        """const socket = fresh();
        socket.subscribe('room-42', listener('room-42'));
        await until(() => told.length === 1);
        socket.emit('age', 4000);
        await again(socket);
        await until(() => told.length === 2);
        return [told, (await call(socket, 'who')).channels];""",
        "room-42",
    )
    assert got == [[["room-42", True, None], ["room-42", False, "token_expired"]], []]


def test_a_page_that_has_no_better_token_is_asked_once(run: Run) -> None:
    got = run(
        """const asked = [], answers = {none: undefined, null: null, bad: 'nonsense', other: make('another')};
        io.token = async (channel) => { asked.push(channel); return answers[channel]; };
        const socket = fresh();
        for (const channel in answers) socket.subscribe(channel, listener(channel));
        await until(() => told.length === 4);
        return [told.sort(), asked];"""
    )
    assert got == [
        [
            ["bad", False, "token_invalid"],
            ["none", False, "token_required"],
            ["null", False, "token_required"],
            ["other", False, "token_other_channel"],
        ],
        ["none", "null", "bad", "other"],
    ]


def test_a_page_that_fails_to_renew_sees_its_errors(run: Run, errors: list[str]) -> None:
    got = run(
        """let reported = 0;
        addEventListener('error', () => reported += 1);
        const fail = (channel) => { throw new Error('broken for ' + channel); };
        io.token = (channel) => channel === 'at once' ? fail(channel) : Promise.resolve(channel).then(fail);
        fresh().subscribe('at once', listener('at once')).subscribe('later', listener('later'));
        await until(() => told.length === 2 && reported === 2);
        return told;"""
    )
    assert got == [["at once", False, "token_required"], ["later", False, "token_required"]]
    assert sorted(error.partition("broken for ")[2] for error in errors) == ["at once", "later"]
    errors.clear()


def test_what_happens_while_the_page_renews(run: Run) -> None:
    """It leaves the channel, or the connection is lost and comes back: nothing is asked twice or too late."""
    got = run(
        """const gates = [];
        io.token = (channel) => new Promise((resolve) => gates.push(async () => resolve(await make(channel))));
        const socket = fresh();
        socket.subscribe('left', listener('left')).subscribe('lost', listener('lost'));
        await until(() => gates.length === 2);
        socket.unsubscribe('left');
        await again(socket);
        await until(() => gates.length === 3); // 'lost' was asked for anew
        for (const open of gates) await open();
        await until(() => told.length === 2);
        return [told, (await call(socket, 'who')).channels];"""
    )
    assert got == [[["left", False, "unsubscribed"], ["lost", True, None]], ["lost"]]


def test_a_token_that_comes_while_there_is_no_connection_is_kept(run: Run) -> None:
    got = run(
        """let open;
        io.token = (channel) => new Promise((resolve) => open = async () => resolve(await make(channel)));
        const socket = fresh();
        socket.subscribe('room-42', listener('room-42'));
        await until(() => open);
        socket.disconnect();
        await open();
        io.token = undefined;
        socket.connect();
        await until(() => told.length);
        return told;"""
    )
    assert got == [["room-42", True, None]]


def test_the_sample_of_the_documents(browser: Any, tmp_path: Path) -> None:
    """Alice sees that her order is paid, and cannot see another."""
    [code] = [code for code in python_samples(ROOT / "docs" / "security.rst") if "subscribe_token" in code]
    port = free_port()
    script = tmp_path / "orders.py"
    script.write_text(on_port(code, port))
    context = browser.new_context()
    with Server([sys.executable, str(script)], port, {"PYTHONUNBUFFERED": "1"}, tmp_path) as server:
        page = context.new_page()
        assert page.goto(server.url + "/orders/7").status == 403
        context.add_cookies([{"name": "user", "value": "alice", "url": server.url}])
        page.goto(server.url + "/orders/7")
        page.evaluate("new Promise((resolve) => socket.subscribe('order-7', resolve))")
        page.evaluate("fetch('/orders/8/pay', {method: 'POST'}).then(() => fetch('/orders/7/pay', {method: 'POST'}))")
        page.wait_for_function("document.getElementById('state').textContent === 'paid'")
        refusal = page.evaluate(
            "new Promise((resolve) => socket.emit('__subscribe__', 'order-8', (answer) => resolve(answer.error.code)))"
        )
        assert refusal == "token_required"
        assert "Traceback" not in server.log
    context.close()


def test_only_a_page_that_has_tokens_says_so(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/?channel=room-42") as answer:
        text = answer.read().decode()
    assert text.count("<script") == 2
    assert '<script type="application/json" class="socketio-tokens">[["/", "room-42", "' in text
    with urllib.request.urlopen(server.url) as answer:
        assert "socketio-tokens" not in answer.read().decode()
