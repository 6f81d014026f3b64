"""RFC 6455, behind an application that echoes: how a WebSocket is closed (sections 5.5.1 and 7).

The cases are modelled on section 7 of the public list of the Autobahn testsuite.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conformance.plain import PlainClient, close_frame
from tests.conformance.targets import StartServer, ours_only
from tests.conformance.wire import CLOSE, CONTINUATION, PING, TEXT, frame

pytestmark = ours_only

NORMAL, PROTOCOL_ERROR, NO_CODE = 1000, 1002, 1005
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.fixture
def client(servers: StartServer) -> Iterator[PlainClient]:
    """A WebSocket to an application that echoes."""
    opened = PlainClient(servers("plain_websockets", max_payload=8_388_608, message_log_format=""))
    yield opened
    opened.close()


def test_a_message_right_before_the_close_is_answered(client: PlainClient) -> None:
    client.send(frame(TEXT, b"last words"), close_frame(NORMAL))
    client.ends(NORMAL, ((TEXT, b"last words"),))


def test_a_large_one_too(client: PlainClient) -> None:
    client.send(frame(TEXT, b"*" * 262_144), close_frame(NORMAL), frame(PING, b"late"))
    client.ends(NORMAL, ((TEXT, b"*" * 262_144),))


@pytest.mark.parametrize("at_once", [True, False])
def test_also_if_it_is_taken_slowly(client: PlainClient, at_once: bool) -> None:
    large = b"*" * 7 * 1024 * 1024
    client.send(frame(TEXT, large), *([close_frame(NORMAL)] if at_once else []))
    time.sleep(0.2)  # the kernels' buffers are full by then
    if not at_once:
        client.send(close_frame(NORMAL))
    client.ends(NORMAL, ((TEXT, large),))


def test_a_handler_that_takes_long_does_not_hold_the_close_up(client: PlainClient) -> None:
    client.send(frame(TEXT, b'!["nap", 5]'), close_frame(NORMAL)).ends(NORMAL)


@pytest.mark.parametrize(
    "late",
    [close_frame(NORMAL), frame(PING, b"late"), frame(TEXT, b"late"), frame(CONTINUATION, b"late")],
    ids=["close", "ping", "text", "continuation"],
)
def test_nothing_after_the_close_counts(client: PlainClient, late: bytes) -> None:
    client.send(close_frame(NORMAL), late).ends(NORMAL)


def test_a_message_may_stay_without_its_end(client: PlainClient) -> None:
    client.send(frame(TEXT, b"frag", fin=False), close_frame(NORMAL), frame(CONTINUATION, b"ment")).ends(NORMAL)


def test_a_close_may_say_nothing(client: PlainClient) -> None:
    client.send(frame(CLOSE)).ends(NO_CODE)


def test_half_a_code_is_none(client: PlainClient) -> None:
    client.send(frame(CLOSE, b"\x03")).ends(PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", [b"", b"Hello World!", "Grüße".encode(), b"*" * 123])
def test_a_close_may_have_a_sentence(client: PlainClient, reason: bytes) -> None:
    client.send(close_frame(NORMAL, reason)).ends(NORMAL)


def test_it_must_not_be_too_long(client: PlainClient) -> None:
    client.send(close_frame(NORMAL, b"*" * 124)).ends(PROTOCOL_ERROR)


def test_it_must_be_text(client: PlainClient) -> None:
    *_, last = client.send(close_frame(NORMAL, b"Hello\xce\xba\xed\xa0\x80")).rest()
    assert (last.opcode, last.data[:2]) in [(CLOSE, b"\x03\xea"), (CLOSE, b"\x03\xef")]  # 1002 or 1007


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_codes_that_may_be_sent_come_back(client: PlainClient, code: int) -> None:
    client.send(close_frame(code)).ends(code)


@pytest.mark.parametrize("code", INVALID_CODES)
def test_codes_that_may_not_be_sent(client: PlainClient, code: int) -> None:
    client.send(close_frame(code)).ends(PROTOCOL_ERROR)
