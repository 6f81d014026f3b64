"""Engine.IO protocol 4 by WebSocket: frames whole, in pieces, and broken."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.invalid import BROKEN_FRAMES
from tests.conformance.phrases import (
    LIMIT,
    ONE_BINARY,
    ONE_BINARY_BACK,
    echo,
    event,
    sized,
)
from tests.conformance.targets import differs
from tests.conformance.wire import (
    BINARY,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    WebSocketClient,
    chunks,
    frame,
    open_websocket,
    send_raw,
    target,
    upgrade_request,
    websocket_query,
)
from tests.serving import Server
from webpy_socketio.reasons import PARSE_ERROR


@pytest.mark.parametrize("data", [b"\x01\x02\x03\x04", b"", b"4text", bytes(range(256))], ids=len)
def test_binary_frame_is_the_data_alone(websocket: WebSocketClient, data: bytes) -> None:
    websocket.send(ONE_BINARY, data)
    websocket.receives(ONE_BINARY_BACK, data)


def test_text_frame_with_base64_is_understood(websocket: WebSocketClient) -> None:
    websocket.send(ONE_BINARY, "bAQIDBA==")
    websocket.receives(ONE_BINARY_BACK, b"\x01\x02\x03\x04")


def test_websocket_that_wants_base64(calm: Server) -> None:
    socket = open_websocket(calm, b64="1")
    socket.join()
    socket.send(ONE_BINARY, b"\x01\x02\x03\x04")
    socket.receives(ONE_BINARY_BACK, "bAQIDBA==")


def test_fragments_are_put_together(websocket: WebSocketClient) -> None:
    first, second, third = chunks(event("fragment of €").encode(), 14)
    websocket.send_bytes(frame(TEXT, first, fin=False) + frame(CONTINUATION, second, fin=False))
    websocket.send_bytes(frame(PING, b"between"))
    websocket.send_bytes(frame(CONTINUATION, third))
    websocket.receives(echo("fragment of €"))


def test_fragmented_binary(websocket: WebSocketClient) -> None:
    websocket.send(ONE_BINARY)
    websocket.send_bytes(frame(BINARY, b"\x01\x02", fin=False) + frame(CONTINUATION, b"\x03"))
    websocket.receives(ONE_BINARY_BACK, b"\x01\x02\x03")


def test_frame_in_single_bytes(websocket: WebSocketClient) -> None:
    for byte in chunks(frame(TEXT, event("slow").encode()), 1):
        websocket.send_bytes(byte)
    websocket.receives(echo("slow"))


def test_many_frames_in_one_write(websocket: WebSocketClient) -> None:
    texts = [str(number) for number in range(100)]
    websocket.send_bytes(b"".join(frame(TEXT, event(text).encode()) for text in texts))
    websocket.receives(*map(echo, texts))


def test_ping_frame_is_answered(websocket: WebSocketClient) -> None:
    assert websocket.connection.ping("are you there").wait(5)
    websocket.echoes()


@pytest.mark.parametrize("data", [b"", b"x" * 125], ids=["empty", "longest"])
def test_pong_frame_carries_the_data_of_the_ping(calm: Server, data: bytes) -> None:
    stream = send_raw(calm, upgrade_request(target(websocket_query())))
    head = stream.recv(4096)
    stream.sendall(frame(PING, data))
    while bytes([0x80 | PONG, len(data)]) + data not in head:
        head += stream.recv(4096)
    stream.close()


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in BROKEN_FRAMES], ids=[row[0] for row in BROKEN_FRAMES])
def test_broken_frame(websocket: WebSocketClient, data: bytes, code: int) -> None:
    websocket.send_bytes(data)
    assert websocket.wait_closed() == code


def test_server_says_why_it_closes(websocket: WebSocketClient) -> None:
    websocket.provoke("abc")
    assert websocket.wait_closed() == differs(PARSE_ERROR.code, node=NO_STATUS)


def test_close_frame_is_answered(websocket: WebSocketClient) -> None:
    websocket.connection.close(4321, "bye")
    with pytest.raises(ConnectionClosed) as closed:
        websocket.receive()
    assert closed.value.rcvd is not None


def test_compression_is_not_negotiated(calm: Server) -> None:
    extension = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    stream = send_raw(calm, upgrade_request(target(websocket_query()), extension))
    head = stream.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-extensions" not in head.lower()
    stream.close()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_largest_websocket_message(narrow: Server, pieces: int) -> None:
    socket = open_websocket(narrow)
    socket.join()
    socket.send_bytes(fragmented(sized(LIMIT), pieces))
    assert str(socket.receive()).startswith('42["message-back","xxx')


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_websocket_message_over_the_limit(narrow: Server, pieces: int) -> None:
    socket = open_websocket(narrow)
    socket.join()
    socket.send_bytes(fragmented(sized(LIMIT + 1), pieces))
    assert socket.wait_closed() == 1009


def fragmented(data: bytes, pieces: int) -> bytes:
    """A text message in so many frames."""
    parts = list(chunks(data, -(-len(data) // pieces)))
    opcodes = [TEXT] + [CONTINUATION] * (len(parts) - 1)
    last = len(parts) - 1
    return b"".join(frame(opcodes[n], part, fin=n == last) for n, part in enumerate(parts))
