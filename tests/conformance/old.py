"""Engine.IO revision 3 as its clients put it on the wire: payloads with lengths, and a raw client that polls."""

from __future__ import annotations

import json

from tests.conformance.wire import Address, Answer, Exchange, polling_query, request, target

BINARY = "application/octet-stream"


def payload(*packets: str) -> bytes:
    """Packets as a text payload: each after its length in UTF-16 code units."""
    return "".join(f"{len(packet.encode('utf-16-le')) // 2}:{packet}" for packet in packets).encode()


def text_packet(packet: bytes) -> bytes:
    """A text packet in a binary payload: its length has a byte for each digit."""
    return b"\x00" + bytes(int(digit) for digit in str(len(packet))) + b"\xff" + packet


class OldClient:
    """A polling session of revision 3, each request on a connection of its own."""

    def __init__(self, server: Address, **query: str) -> None:
        self.server = server
        self.opening = request(server, "GET", polling_query(EIO="3", **query))
        length, _, packet = self.opening.text.partition(":")
        assert (int(length), packet[0]) == (len(packet), "0")
        self.handshake = json.loads(packet[1:])
        self.sid = str(self.handshake["sid"])
        self.query = polling_query(EIO="3", sid=self.sid)
        self.target = target(self.query, server.path)

    def hold_get(self) -> Exchange:
        """Start a GET and leave it pending."""
        return Exchange(self.server).start("GET", self.target, {})

    def get(self) -> Answer:
        """Poll once, and wait."""
        return self.hold_get().answer()

    def post(self, body: bytes, content_type: str = "text/plain;charset=UTF-8") -> Answer:
        """Post a body, and wait."""
        return Exchange(self.server).start("POST", self.target, {"Content-Type": content_type}, body).answer()


def join(client: OldClient) -> None:
    """Take the connection to the main namespace, which comes unasked, and what its handler sends."""
    body = client.get().body
    while b'["auth"' not in body:
        body += client.get().body
    assert body == payload("40", '42["auth",{}]')
