"""Conversations that are well-formed, or nearly: what is in them, and in which order, is hypothesis' choice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.wire import open_websocket
from tests.faults.attacks import Attacker
from tests.faults.exchanges import UPGRADE, frame, head
from tests.faults.sizes import scaled
from tests.faults.watching import Watch
from tests.serving import Server, serve

ACK = re.compile(rb"43(?:/[^,]*,)?(\d+)\[")

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
placeholders = st.fixed_dictionaries({"_placeholder": st.booleans(), "num": st.integers(-1, 3) | st.text(max_size=2)})
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20) | placeholders,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
names = st.sampled_from(
    ["message", "say", "ask", "wait", "number", "__subscribe__", "__unsubscribe__", "connect", "disconnect",
     "newListener", "", "__proto__", "no such event"]
) | st.text(max_size=10) | values  # fmt: skip
namespaces = st.sampled_from(["", "/,", "/chat,", "/game-1,", "/game-2,", "/nobody,"])
identifiers = st.just("") | st.integers(0, 2**53).map(str) | st.from_regex(r"[0-9]{1,20}", fullmatch=True)
texts = st.builds(
    lambda kind, count, namespace, number, data: f"{kind}{count}{namespace}{number}{data}",
    st.sampled_from("22222233450106"),
    st.sampled_from(["", "", "", "0-", "1-", "2-", "11-"]),
    namespaces,
    identifiers,
    st.builds(lambda name, args: json.dumps([name, *args]), names, st.lists(values, max_size=4))
    | values.map(json.dumps),
)
messages = st.lists(texts | st.binary(max_size=20) | st.sampled_from(["0", "0/chat,", "0/game-1,"]), max_size=12)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("faults", ack_timeout=0.1, connect_timeout=1, message_log_format="None", recovery=True,
               recovery_window=1) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def watch(server: Server) -> Watch:
    with open_websocket(server).connection:  # what the first client makes is no leak
        pass
    return Watch(server)


def as_frame(message: Any) -> bytes:
    return frame(1, b"4" + message.encode("utf-8", "surrogatepass")) if isinstance(message, str) else frame(2, message)


def test_conversations(server: Server, watch: Watch) -> None:
    attacker = Attacker(server.port)

    @settings(max_examples=scaled(150), database=None, print_blob=True)
    @given(messages)
    def check(said: list[Any]) -> None:
        """Nothing breaks, and no more is acknowledged than was asked."""
        data = head(b"GET", b"EIO=4&transport=websocket", UPGRADE) + frame(1, b"40")
        answer = attacker.exchange(data + b"".join(map(as_frame, said)) + frame(8, b""))
        watch.check_log(said)
        asked = Counter(number for text in said if isinstance(text, str) for number in re.findall(r"\d+", text))
        acknowledged = Counter(str(int(number)) for number in ACK.findall(answer))
        assert all(any(int(number) == int(each) for each in asked) for number in acknowledged), answer

    check()
    watch.settle()
