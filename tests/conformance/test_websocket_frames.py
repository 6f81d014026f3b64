"""RFC 6455, behind an application that echoes: frames, pings, reserved bits, opcodes, fragments, and sizes.

The cases are those of the public list of the Autobahn testsuite, sections 1 to 5, 9 and 10, restated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.plain import PlainClient
from tests.conformance.targets import StartServer, ours_only
from tests.conformance.wire import BINARY, CONTINUATION, PING, PONG, TEXT, frame

pytestmark = ours_only

SIZES = [0, 125, 126, 127, 128, 65_535, 65_536]
PROTOCOL_ERROR, TOO_BIG = 1002, 1009
MEGABYTE = 1 << 20
HELLO = b"Hello"

Connect = Callable[..., PlainClient]


@pytest.fixture
def connect(servers: StartServer) -> Iterator[Connect]:
    """Opens WebSockets to an application that echoes."""
    clients: list[PlainClient] = []

    def new(**settings: object) -> PlainClient:
        options = {"max_payload": 8 * MEGABYTE, "message_log_format": ""} | settings
        clients.append(PlainClient(servers("plain_websockets", **options)))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> PlainClient:
    """One."""
    return connect()


# 1: sizes.


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", SIZES)
def test_messages_of_any_size_come_back(client: PlainClient, opcode: int, size: int) -> None:
    client.echoes(opcode, b"*" * size if opcode == TEXT else b"\xfe" * size)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_may_arrive_in_pieces(client: PlainClient, opcode: int) -> None:
    client.send(frame(opcode, b"*" * 65_536), chop=997)
    client.expect(opcode, b"*" * 65_536)


# 2: pings and pongs.


@pytest.mark.parametrize("data", [b"", b"Hello, world!", bytes((0, 255, 254, 253, 0, 255)), b"\xfe" * 125])
@pytest.mark.parametrize("chop", [0, 1])
def test_pings_are_answered_with_what_they_carry(client: PlainClient, data: bytes, chop: int) -> None:
    client.send(frame(PING, data), chop=chop)
    client.expect(PONG, data)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_control_frames_are_short(client: PlainClient, opcode: int) -> None:
    client.send(frame(opcode, b"x" * 126)).ends(PROTOCOL_ERROR)


@pytest.mark.parametrize("data", [b"", b"unsolicited"])
def test_pongs_that_nobody_asked_for_do_no_harm(client: PlainClient, data: bytes) -> None:
    client.send(frame(PONG, data))
    client.answers(b"ping")
    client.echoes()


@pytest.mark.parametrize("chop", [0, 1])
def test_ten_pings_have_ten_pongs_in_their_order(client: PlainClient, chop: int) -> None:
    client.send(*(frame(PING, b"ping %d" % number) for number in range(10)), chop=chop)
    for number in range(10):
        client.expect(PONG, b"ping %d" % number)


# 3 and 4: reserved bits and opcodes.


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, 8])
def test_reserved_bits_end_it_after_the_answers_to_what_came_before(
    client: PlainClient, reserved: int, opcode: int
) -> None:
    client.send(frame(TEXT, HELLO), frame(opcode, b"", reserved=reserved), frame(PING, b"late"))
    client.ends(PROTOCOL_ERROR, ((TEXT, HELLO),))


@pytest.mark.parametrize("data", [b"", b"reserved"])
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_end_it(client: PlainClient, opcode: int, data: bytes) -> None:
    client.send(frame(TEXT, HELLO), frame(opcode, data), frame(PING, b"late"))
    client.ends(PROTOCOL_ERROR, ((TEXT, HELLO),))


def test_frames_of_a_client_are_masked(client: PlainClient) -> None:
    client.send(frame(TEXT, HELLO, masked=False)).ends(PROTOCOL_ERROR)


# 5: fragments.


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_control_frames_have_no_fragments(client: PlainClient, opcode: int) -> None:
    client.send(frame(opcode, b"a", fin=False), frame(CONTINUATION, b"b")).ends(PROTOCOL_ERROR)


@pytest.mark.parametrize("chop", [0, 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_are_one_message(client: PlainClient, opcode: int, chop: int) -> None:
    client.send(frame(opcode, b"frag", fin=False), frame(CONTINUATION, b"ment"), chop=chop)
    client.expect(opcode, b"fragment")


@pytest.mark.parametrize("chop", [0, 1])
def test_a_ping_between_fragments_is_answered_before_the_message(client: PlainClient, chop: int) -> None:
    client.send(frame(TEXT, b"frag", fin=False), frame(PING, b"ping"), frame(CONTINUATION, b"ment"), chop=chop)
    client.expect(PONG, b"ping")
    client.expect(TEXT, b"fragment")


def test_five_fragments_with_two_pings(client: PlainClient) -> None:
    client.send(frame(TEXT, b"1", fin=False), frame(CONTINUATION, b"2", fin=False), frame(PING, b"first"))
    client.expect(PONG, b"first")
    client.send(*(frame(CONTINUATION, data, fin=False) for data in (b"3", b"4")), frame(PING, b"second"))
    client.expect(PONG, b"second")
    client.send(frame(CONTINUATION, b"5"))
    client.expect(TEXT, b"12345")


@pytest.mark.parametrize("chop", [0, 1])
@pytest.mark.parametrize("fin", [False, True])
def test_there_must_be_something_to_continue(client: PlainClient, fin: bool, chop: int) -> None:
    client.send(frame(CONTINUATION, b"of nothing", fin=fin), frame(TEXT, HELLO), chop=chop).ends(PROTOCOL_ERROR)


def test_a_message_is_over_with_its_last_fragment(client: PlainClient) -> None:
    frames = [frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b"), frame(CONTINUATION, b"c", fin=False)]
    client.send(*frames, frame(TEXT, HELLO)).ends(PROTOCOL_ERROR, ((TEXT, b"ab"),))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_no_message_begins_within_another(client: PlainClient, opcode: int) -> None:
    client.send(frame(TEXT, b"a", fin=False), frame(opcode, HELLO)).ends(PROTOCOL_ERROR)


# 9 and 10: large messages.


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_large_messages_come_back(client: PlainClient, opcode: int) -> None:
    client.echoes(opcode, b"*" * 4 * MEGABYTE)


@pytest.mark.parametrize("size", [64, 1024, 65_536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_large_messages_may_come_in_many_fragments(client: PlainClient, opcode: int, size: int) -> None:
    data = b"*" * (size * 64)
    first, *rest = (data[start : start + size] for start in range(0, len(data), size))
    middle = [frame(CONTINUATION, part, fin=False) for part in rest[:-1]]
    client.send(frame(opcode, first, fin=False), *middle, frame(CONTINUATION, rest[-1]))
    client.expect(opcode, data)


def test_a_large_message_may_arrive_in_small_pieces(client: PlainClient) -> None:
    client.send(frame(BINARY, b"*" * MEGABYTE), chop=1300)
    client.expect(BINARY, b"*" * MEGABYTE)


@pytest.mark.parametrize("size", [0, 16, 64, 1024])
def test_many_messages_at_once_come_back_in_order(client: PlainClient, size: int) -> None:
    messages = [b"%d" % number + b"*" * size for number in range(500)]
    client.send(*(frame(TEXT, message) for message in messages))
    for message in messages:
        client.expect(TEXT, message)


def test_a_message_above_the_limit_is_refused_when_its_length_is_known(connect: Connect) -> None:
    client = connect(max_payload=1000)
    client.echoes(BINARY, b"*" * 1000)
    client.send(frame(BINARY, b"*" * 1001)[:10])
    client.ends(TOO_BIG)


def test_so_is_one_whose_fragments_are_too_much_together(connect: Connect) -> None:
    client = connect(max_payload=1000)
    client.send(frame(BINARY, b"*" * 999, fin=False), frame(CONTINUATION, b"*" * 2, fin=False)).ends(TOO_BIG)
