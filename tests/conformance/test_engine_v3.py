"""Engine.IO revision 3 on the wire: the rows of the protocol document that differ from revision 4."""

from __future__ import annotations

import json
import time

import pytest

from tests.conformance.old import BINARY, OldClient, join, payload, text_packet
from tests.conformance.targets import ours_only
from tests.conformance.wire import WebSocketClient, polling_query, request
from tests.serving import Server

pytestmark = ours_only  # Node's server under test has revision 3 switched off
ECHO = b'52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


@pytest.fixture
def old(calm: Server) -> OldClient:
    client = OldClient(calm)
    join(client)
    return client


def test_handshake(calm: Server) -> None:
    client = OldClient(calm)
    assert client.opening.content_type == "text/plain;charset=utf-8"
    assert client.handshake["upgrades"] == ["websocket"]


def test_several_packets_in_one_payload(old: OldClient) -> None:
    assert old.post(payload('42["message","one"]', '42["message","two"]')).body == b"ok"
    assert old.get().body == payload('42["message-back","one"]', '42["message-back","two"]')


def test_text_is_counted_in_utf_16_and_answered_in_ascii(old: OldClient) -> None:
    assert old.post(payload('42["message","€😀"]')).status == 200
    assert old.get().body == payload(r'42["message-back","\u20ac\ud83d\ude00"]')


def test_binary_payloads_both_ways(old: OldClient) -> None:
    header = b"4" + ECHO
    attachments = b"\x01\x05\xff\x04\x01\x02\x03\x04" + b"\x01\x02\xff\x04\x09"
    assert old.post(text_packet(header) + attachments, BINARY).body == b"ok"
    answer = old.get()
    assert answer.content_type == BINARY
    assert answer.body == text_packet(header.replace(b'"message"', b'"message-back"')) + attachments


def test_base64_if_the_client_asks_for_it(calm: Server) -> None:
    client = OldClient(calm, b64="1")
    join(client)
    attachments = ("b4AQIDBA==", "b4CQ==")
    assert client.post(payload("4" + ECHO.decode(), *attachments)).body == b"ok"
    answer = client.get()
    assert answer.content_type == "text/plain;charset=utf-8"
    assert answer.body == payload("4" + ECHO.decode().replace('"message"', '"message-back"'), *attachments)


@pytest.mark.parametrize("query", [{"EIO": "2"}, {"EIO": "3", "t": "1402000000000-0"}])
def test_clients_of_before_1_4_read_binary_payloads_only(calm: Server, query: dict[str, str]) -> None:
    opening = request(calm, "GET", polling_query(**query))
    assert opening.content_type == BINARY
    head, _, packet = opening.body.partition(b"\xff")
    assert head == b"\x00" + bytes(map(int, str(len(packet))))
    query |= {"sid": json.loads(packet[1:])["sid"], "t": "1402000000000-1"}
    doubled = '42["message","€"]'.encode().decode("latin-1")
    posted = request(calm, "POST", polling_query(**query), {}, payload(doubled))
    assert posted.body == b"ok"
    received = b""
    while b"back" not in received:
        answer = request(calm, "GET", polling_query(**query))
        assert answer.content_type == BINARY
        received += answer.body
    assert received.endswith(text_packet(rb'42["message-back","\u20ac"]'))


def test_the_client_pings(old: OldClient) -> None:
    assert old.post(b"1:2").body == b"ok"
    assert old.get().body == b"1:3"
    assert old.post(b"1:3").body == b"ok"
    assert old.get().status == 400


def test_a_client_that_does_not_ping_is_given_up(strict: Server) -> None:
    client = OldClient(strict)
    time.sleep(0.5)
    assert client.get().code == 1


@pytest.mark.parametrize("body", [b"abc", b"", b"3:4a", b"1:9"])
def test_malformed_payload(old: OldClient, body: bytes) -> None:
    assert old.post(body).status == 400
    assert old.get().code == 1


def test_close(old: OldClient) -> None:
    held = old.hold_get()
    assert held.is_silent(0.05)
    assert old.post(b"1:1").body == b"ok"
    assert held.answer().body == b"1:6"
    assert old.get().code == 1


def test_another_revision_for_the_same_session(old: OldClient) -> None:
    assert request(old.server, "GET", {**old.query, "EIO": "4"}).code == 3


def test_websocket(calm: Server) -> None:
    client = WebSocketClient(calm, EIO="3")
    client.receives("40", '42["auth",{}]')
    client.send("4" + ECHO.decode(), b"\x04\x01\x02", b"\x04")
    client.receives("4" + ECHO.decode().replace('"message"', '"message-back"'), b"\x04\x01\x02", b"\x04")
    client.send("2")
    client.receives("3")
    client.close()


def test_upgrade(old: OldClient) -> None:
    candidate = WebSocketClient(old.server, EIO="3", sid=old.handshake["sid"])
    candidate.send("2probe")
    candidate.receives("3probe")
    assert old.get().body == b"1:6"
    candidate.send("5", '42["message","moved"]')
    candidate.receives('42["message-back","moved"]')
    assert old.get().code == 3
    candidate.close()


def test_namespace_with_credentials_in_its_query(calm: Server) -> None:
    client = WebSocketClient(calm, EIO="3")
    client.receives("40", '42["auth",{}]')
    client.send("40/custom?token=abc&uid=1,")
    client.receives("40/custom,", '42/custom,["auth",{"token":"abc","uid":"1"}]')
    client.send("40/nope,", "40/refusing,")
    client.receives('44/nope,"Invalid namespace"', '44/refusing,"nope"')
    client.send("40")
    client.send('42["message","still here"]')
    client.receives('42["message-back","still here"]')
    client.close()


def test_jsonp(calm: Server) -> None:
    opening = request(calm, "GET", polling_query(EIO="3", j="0", b64="1"))
    assert opening.content_type == "text/javascript;charset=utf-8"
    opened = json.loads(opening.text.removeprefix("___eio[0](").removesuffix(");"))
    sid = json.loads(opened.partition(":")[2][1:])["sid"]
    query = polling_query(EIO="3", j="1", sid=sid)
    packet = '42["message","a\\\\nb"]'
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"d={len(packet) - 1}%3A" + packet.replace('"', "%22").replace("\\\\", "%5C%5C")
    assert request(calm, "POST", query, form, body).body == b"ok"
    text = request(calm, "GET", query).text
    while "message-back" not in text:
        text = request(calm, "GET", query).text
    answer = json.loads(text.removeprefix("___eio[1](").removesuffix(");"))
    assert answer.endswith('["message-back","a\\nb"]')
