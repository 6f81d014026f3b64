"""RFC 7692, behind an application that echoes: what is agreed on, and messages compressed with it.

The cases are modelled on sections 12 and 13 of the public list of the Autobahn testsuite.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_client

from tests.conformance.plain import Frame, PlainClient
from tests.conformance.targets import StartServer, ours_only
from tests.conformance.wire import BINARY, CONTINUATION, PATIENCE, PING, PONG, TEXT, frame
from tests.serving import Server

pytestmark = ours_only

SIZES = [0, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072]
LIMIT = 1_000_000
#: What a client may offer, and what it is answered.
OFFERS = {
    "permessage-deflate": "",
    "permessage-deflate; client_max_window_bits": "",
    "permessage-deflate; server_no_context_takeover": "",
    "permessage-deflate; client_no_context_takeover": "",
    "permessage-deflate; server_max_window_bits=9": "; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=15": "; server_max_window_bits=15",
    "permessage-deflate; client_max_window_bits=9": "; client_max_window_bits=9",
    "unknown, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10": (
        "; server_max_window_bits=10"
    ),
}
NOTHING_TO_AGREE_ON = [
    "", "x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=8", "permessage-deflate; unknown=1",
    "permessage-deflate; server_max_window_bits=16", "permessage-deflate;;", "\xff",
]  # fmt: skip
TEXTS = ["*", "Grüße ", json.dumps({"id": 17, "name": "Ann", "tags": ["a", "b"]})]

Open = Callable[[str], PlainClient]


@pytest.fixture(scope="module")
def server(servers: StartServer) -> Server:
    """One that compresses."""
    return servers("plain_websockets", websocket_compression="yes", message_log_format="", max_payload=LIMIT)


@pytest.fixture
def open_with(server: Server) -> Iterator[Open]:
    """Opens a WebSocket with an offer."""
    clients: list[PlainClient] = []

    def new(offer: str = "permessage-deflate") -> PlainClient:
        headers = {"Sec-WebSocket-Extensions": offer} if offer else {}
        clients.append(PlainClient(server, headers=headers))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


def compress(data: bytes, bits: int = 15) -> bytes:
    """A message as a client compresses it."""
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def decompress(received: Frame | None, bits: int = 15) -> bytes:
    """What is in a compressed frame, read with a window of some size."""
    assert received is not None
    assert (received.fin, received.reserved) == (True, 4)
    return zlib.decompressobj(wbits=-bits).decompress(received.data + b"\x00\x00\xff\xff")


@pytest.mark.parametrize(("offer", "agreed"), OFFERS.items())
def test_what_is_agreed_on(open_with: Open, offer: str, agreed: str) -> None:
    client = open_with(offer)
    answer = client.opening.headers["Sec-WebSocket-Extensions"]
    both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert answer == both + agreed
    bits = int(agreed.rpartition("=")[2]) if "server_max" in agreed else 15
    for _ in range(2):  # nothing refers to what came before
        client.send(frame(TEXT, compress(b"hello " * 10_000, 9), reserved=4))
        assert decompress(client.frame(), bits) == b"hello " * 10_000


@pytest.mark.parametrize("offer", NOTHING_TO_AGREE_ON)
def test_without_an_agreement_nothing_is_compressed(open_with: Open, offer: str) -> None:
    client = open_with(offer)
    assert client.opening.status == 101
    assert client.opening.headers["Sec-WebSocket-Extensions"] is None
    client.echoes(TEXT, b"hello " * 1000)
    client.send(frame(TEXT, compress(b"hello"), reserved=4)).ends(1002)


def test_it_is_off_unless_asked_for(servers: StartServer) -> None:
    client = PlainClient(servers("plain_websockets"), headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    assert client.opening.headers["Sec-WebSocket-Extensions"] is None
    client.close()


@pytest.fixture(params=[{}, {"server_max_window_bits": 9}, {"client_max_window_bits": 9}], ids=str)
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[ClientConnection]:
    """The client of websockets, with windows of some sizes."""
    url = f"ws://127.0.0.1:{server.port}/ws/"
    extensions = [ClientPerMessageDeflateFactory(**request.param)]
    with connect_client(url, extensions=extensions, compression=None, proxy=None, max_size=None) as opened:
        assert opened.protocol.extensions
        yield opened


@pytest.mark.parametrize("text", TEXTS, ids=["same", "words", "json"])
def test_messages_of_any_size_come_back(client: ClientConnection, text: str) -> None:
    for size in SIZES:
        message = (text * (size // len(text) + 1))[:size]
        client.send(message)
        assert client.recv(PATIENCE) == message
        client.send(message.encode())
        assert client.recv(PATIENCE) == message.encode()


def test_so_do_many_in_many_fragments(client: ClientConnection) -> None:
    for _ in range(100):
        client.send([*TEXTS, *TEXTS])
        assert client.recv(PATIENCE) == "".join(TEXTS * 2)


def test_what_gets_no_shorter_is_sent_as_it_is(open_with: Open) -> None:
    client = open_with()
    client.echoes(TEXT, b"short")
    client.echoes(BINARY, bytes(range(256)))


def test_clients_may_send_without_compressing(open_with: Open) -> None:
    client = open_with()
    client.send(frame(TEXT, b"hello " * 1000))
    assert decompress(client.frame()) == b"hello " * 1000


def test_pings_between_compressed_fragments(open_with: Open) -> None:
    client, data = open_with(), compress(b"hello")
    client.send(frame(TEXT, data[:3], fin=False, reserved=4), frame(PING, b"?"), frame(CONTINUATION, data[3:]))
    client.expect(PONG, b"?")
    client.expect(TEXT, b"hello")


@pytest.mark.parametrize("opcode", [PING, CONTINUATION, 8])
def test_only_messages_are_compressed_and_only_their_first_frames_say_so(open_with: Open, opcode: int) -> None:
    client = open_with()
    client.send(frame(TEXT, b"", fin=False), frame(opcode, b"", reserved=4)).ends(1002)


def test_what_cannot_be_decompressed_ends_it(open_with: Open) -> None:
    open_with().send(frame(TEXT, b"\xff" * 10, reserved=4)).ends(1002)


def test_text_is_looked_at_after_it_was_decompressed(open_with: Open) -> None:
    open_with().send(frame(TEXT, compress(b"\xed\xa0\x80"), reserved=4)).ends(1007)


def test_the_limit_is_for_what_comes_out(open_with: Open) -> None:
    client = open_with()
    client.send(frame(BINARY, compress(bytes(LIMIT)), reserved=4))
    assert decompress(client.frame()) == bytes(LIMIT)
    client.send(frame(BINARY, compress(bytes(LIMIT + 1)), reserved=4)).ends(1009)


def test_also_in_fragments(open_with: Open) -> None:
    data = compress(bytes(LIMIT * 50))
    parts = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    frames = [
        frame(CONTINUATION if n else BINARY, part, fin=False, reserved=0 if n else 4) for n, part in enumerate(parts)
    ]
    open_with().send(*frames).ends(1009)
