"""Socket.IO protocol 5 over real ports, by long-polling and by WebSocket: namespaces, events, acks, attachments.

The Engine.IO part of the published Socket.IO suite (handshake, heartbeat, close, upgrade) is in ``test_engine_v4``.
"""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.conformance.invalid import (
    BROKEN_BINARY,
    BROKEN_CONNECTS,
    INVALID,
    NOT_JOINED,
    ONE,
    OTHER_NAMESPACES,
    TWO,
    holder,
    holders,
)
from tests.conformance.targets import StartServer, ours_only
from tests.conformance.wire import Client, Packet, PollingClient, let_read, open_client, open_websocket
from tests.serving import Server

# Connecting to a namespace


@pytest.mark.parametrize(
    ("packet", "prefix", "auth"),
    [
        ("40", "", "{}"),
        ("40/,", "", "{}"),
        ("40/", "", "{}"),
        ("40{}", "", "{}"),
        ('40{"token":"123"}', "", '{"token":"123"}'),
        ('40/,{"token":"123"}', "", '{"token":"123"}'),
        ("40/custom,", "/custom,", "{}"),
        ("40/custom", "/custom,", "{}"),
        ('40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'),
        ('40{"a":{"b":[1,null,"€"]}}', "", '{"a":{"b":[1,null,"€"]}}'),
    ],
)
def test_connect(client: Client, packet: str, prefix: str, auth: str) -> None:
    client.send(packet)
    accepted = str(client.receive())
    assert re.fullmatch(rf'40{prefix}{{"sid":"[A-Za-z0-9_-]{{20,}}"}}', accepted)
    client.receives(f'42{prefix}["auth",{auth}]')


def test_ids_are_fresh_and_not_the_engine_s(client: Client) -> None:
    ids = [client.join(), client.join("/custom")]
    client.send("41")
    let_read(client.server)
    ids.append(client.join())
    assert len({*ids, client.sid}) == 4


UNKNOWN_NAMESPACES = ["/random", "/custom/", "/custom?a=1", "/CUSTOM", "/Custom", "/cust", "/customs", "//", "/ ", "/€"]


@pytest.mark.parametrize("namespace", UNKNOWN_NAMESPACES)
def test_unknown_namespace(client: Client, namespace: str) -> None:
    client.send(f"40{namespace},")
    client.receives(f'44{namespace},{{"message":"Invalid namespace"}}')
    client.join()
    client.echoes()


def test_unknown_namespace_without_a_comma(client: Client) -> None:
    client.send("40/random")
    client.receives('44/random,{"message":"Invalid namespace"}')


@pytest.mark.parametrize(
    ("auth", "error"),
    [("", '{"message":"nope"}'), ('{"reason":{"code":7}}', '{"message":"nope","data":{"code":7}}')],
    ids=["message", "data"],
)
def test_refused_by_the_application(client: Client, auth: str, error: str) -> None:
    client.send(f"40/refusing,{auth}")
    client.receives(f"44/refusing,{error}")
    client.join()
    client.echoes()


def test_event_to_a_namespace_that_refused(joined: Client) -> None:
    joined.send("40/refusing,")
    joined.receives('44/refusing,{"message":"nope"}')
    joined.provoke('42/refusing,["message","x"]')
    joined.wait_closed()


@pytest.mark.parametrize("packet", BROKEN_CONNECTS)
def test_connect_with_a_broken_payload(client: Client, packet: str) -> None:
    client.provoke(packet)
    client.wait_closed()


def test_connect_twice(joined: Client) -> None:
    joined.provoke("40")
    joined.wait_closed()


@ours_only
def test_connect_twice_in_one_payload(client: Client) -> None:
    client.provoke("40", "40")
    client.drain()


# State


@pytest.mark.parametrize("packet", NOT_JOINED)
def test_first_packet_has_to_be_a_connect(client: Client, packet: str) -> None:
    client.provoke(packet)
    client.wait_closed()


def test_first_packet_may_not_be_binary(client: Client) -> None:
    client.provoke(f'451-["message",{holder(0)}]', ONE)
    client.wait_closed()


@pytest.mark.parametrize("packet", OTHER_NAMESPACES)
def test_packet_of_a_namespace_that_was_not_joined(joined: Client, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


@pytest.mark.parametrize("first", ["4abc", "4", "47", "4a", '4["message"]'])
def test_invalid_handshake(client: Client, first: str) -> None:
    client.provoke(first)
    client.wait_closed()


def test_disconnect_leaves_the_connection_open(joined: Client) -> None:
    joined.send("41")
    let_read(joined.server)
    joined.join()
    joined.echoes()


@ours_only
def test_leaving_and_joining_in_one_breath(joined: Client) -> None:
    joined.send("41", "40", '42["message","x"]')
    assert str(joined.receive()).startswith('40{"sid":')
    joined.receives('42["auth",{}]', '42["message-back","x"]')
    joined.echoes()


def test_disconnect_of_one_namespace(joined: Client) -> None:
    joined.join("/custom")
    joined.send("41/custom,")
    let_read(joined.server)
    joined.echoes()
    joined.join("/custom")
    joined.send("41/custom")
    joined.echoes()


@pytest.mark.parametrize("namespace", ["", "/custom,"], ids=["main", "custom"])
def test_event_after_the_client_left(joined: Client, namespace: str) -> None:
    joined.join("/custom")
    joined.send(f"41{namespace}")
    let_read(joined.server)
    joined.provoke(f'42{namespace}["message","x"]')
    joined.wait_closed()


@ours_only
def test_disconnect_twice(joined: Client) -> None:
    joined.provoke("41", "41")
    joined.wait_closed()


@pytest.mark.parametrize("namespace", ["", "/custom,"], ids=["main", "custom"])
def test_server_puts_a_client_out(joined: Client, namespace: str) -> None:
    joined.join("/custom")
    joined.send(f'42{namespace}["leave"]')
    joined.receives(f"41{namespace}")
    joined.join("/custom" if namespace else "/")
    joined.echoes()


LATE = ['42["message","late"]', '420["message-with-ack","late"]', "430[]", "41"]


@ours_only
@pytest.mark.parametrize("late", LATE)
def test_packets_under_way_when_the_server_put_the_client_out(joined: Client, late: str) -> None:
    joined.send('42["leave"]')
    joined.receives("41")
    joined.send(late)
    joined.join()
    joined.echoes()


@ours_only
def test_binary_event_under_way_when_the_server_put_the_client_out(joined: Client) -> None:
    joined.send('42["leave"]')
    joined.receives("41")
    joined.send(f'451-["message",{holder(0)}]', ONE)
    joined.join()
    joined.echoes()


# Connect timeout


@pytest.fixture
def impatient(servers: StartServer) -> Server:
    """A server that soon gives up on clients that join nothing."""
    return servers(connect_timeout=0.3)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("tries", ["", "40/random,"], ids=["silent", "refused"])
def test_client_that_joins_nothing(impatient: Server, transport: str, tries: str) -> None:
    started = time.monotonic()
    client = open_client(transport, impatient)
    if tries:
        client.send(tries)
        client.receives('44/random,{"message":"Invalid namespace"}')
    client.wait_closed()
    assert 0.25 < time.monotonic() - started < 5


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_client_that_left_everything_may_stay(impatient: Server, transport: str) -> None:
    client = open_client(transport, impatient)
    client.join()
    client.send("41")
    time.sleep(0.4)
    client.join()
    client.echoes()


def test_no_handshake_with_a_short_heartbeat(strict: Server) -> None:
    socket = open_websocket(strict)
    socket.receives("2")
    socket.wait_closed()


def test_disconnect_is_not_answered(quick: Server) -> None:
    socket = open_websocket(quick)
    socket.join()
    socket.send("41")
    socket.receives("2")


def test_leaving_a_namespace_after_a_ping(quick: Server) -> None:
    socket = open_websocket(quick)
    socket.join()
    socket.receives("2")
    socket.send("3")
    socket.join("/custom")
    socket.send("41/custom")
    socket.echoes("message to main namespace")


# Events


ARGUMENTS = [
    '1,"2",{"3":[true]}',
    '"€ 😀"',
    "null",
    "true,false",
    "[],{},[[]]",
    "0,-1,1.5,-0.25",
    '{"b":1,"a":2,"__proto__":3}',
    '"\\"\\\\\\n"',
    '""',
    "9007199254740991",
    '"' + "x" * 70_000 + '"',
    ",".join(str(number) for number in range(1000)),
    f"{holder(0)}",
    '{"_placeholder":false,"num":0}',
    '{"_placeholder":"true"}',
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda text: text[:20])
def test_event(joined: Client, arguments: str) -> None:
    joined.send(f'42["message",{arguments}]')
    joined.receives(f'42["message-back",{arguments}]')


def test_event_without_arguments(joined: Client) -> None:
    joined.send('42["message"]')
    joined.receives('42["message-back"]')


def test_event_with_the_namespace_spelled_out(joined: Client) -> None:
    joined.send('42/,["message","x"]')
    joined.receives('42["message-back","x"]')


def test_spaces_in_json_do_no_harm(joined: Client) -> None:
    joined.send('42[ "message" , 1 ] ')
    joined.receives('42["message-back",1]')


@pytest.mark.parametrize("packet", ['42["nobody"]', "42[1]", "42[1.5,2]", '42["error"]', '42[""]', '42["__proto__"]'])
def test_event_that_nobody_handles(joined: Client, packet: str) -> None:
    joined.send(packet)
    joined.echoes()


@pytest.mark.parametrize("packet", INVALID)
def test_invalid_packet(joined: Client, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


@pytest.mark.parametrize("packet", ['42/custom["message","x"]', '42/custom["message"]'])
def test_namespace_without_a_comma_swallows_the_rest(joined: Client, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


# Acknowledgements


@pytest.mark.parametrize("number", ["0", "1", "456", "999999999999999"])
@pytest.mark.parametrize("arguments", ["", ',1,"2",{"3":[false]}', ",null"], ids=["none", "several", "null"])
def test_ack(joined: Client, number: str, arguments: str) -> None:
    joined.send(f'42{number}["message-with-ack"{arguments}]')
    joined.receives(f"43{number}[{arguments.removeprefix(',')}]")


def test_leading_zeros_of_an_id(joined: Client) -> None:
    joined.send('42007["message-with-ack",1]')
    joined.receives("437[1]")


@ours_only
@pytest.mark.parametrize("number", ["1000000000000000", "9" * 30, "1" * 5000], ids=len)
def test_id_that_is_too_long(joined: Client, number: str) -> None:
    joined.provoke(f'42{number}["message-with-ack",1]')
    joined.wait_closed()


def test_acks_may_share_an_id(joined: Client) -> None:
    joined.send('427["message-with-ack",1]', '427["message-with-ack",2]')
    joined.receives("437[1]", "437[2]")


@ours_only
@pytest.mark.parametrize("event", ['["nobody"]', '["nobody",1]', "[5]", '["error"]'])
def test_ack_of_an_event_that_nobody_handles(joined: Client, event: str) -> None:
    joined.send(f"427{event}")
    packet = str(joined.receive())
    assert packet.startswith("437[")
    error = json.loads(packet[3:])[0]["error"]
    assert error["code"] == "no_handler"
    assert isinstance(error["message"], str)


@ours_only
def test_ack_of_a_handler_that_fails(joined: Client) -> None:
    joined.send('427["fail"]')
    packet = str(joined.receive())
    assert packet.startswith('437[{"error":{')
    assert "a mistake in a handler" not in packet
    joined.echoes()


@ours_only
def test_ack_of_an_event_that_is_turned_down(joined: Client) -> None:
    joined.send('427["refuse",{"why":1}]')
    error = json.loads(str(joined.receive()).removeprefix("437"))[0]["error"]
    assert (error["message"], error["data"]) == ("not today", {"why": 1})
    joined.echoes()


def asked(client: Client, arguments: str = "") -> int:
    """Have the server ask, and return the id of its question."""
    client.send(f'42["ask"{arguments}]')
    question = re.fullmatch(r'42([0-9]{1,15})\["question"(.*)\]', str(client.receive()))
    assert question and question[2] == arguments
    return int(question[1])


@pytest.mark.parametrize(
    ("answer", "arguments"),
    [("[]", ""), ('["x"]', ',"x"'), ('[1,"2",{"3":[true]}]', ',1,"2",{"3":[true]}'), ("[null]", ",null")],
)
def test_ack_by_the_client(joined: Client, answer: str, arguments: str) -> None:
    number = asked(joined, ',"how are you",{"n":1}')
    joined.send(f"43{number}{answer}")
    joined.receives(f'42["answered"{arguments}]')


@ours_only
def test_ack_by_the_client_without_a_payload(joined: Client) -> None:
    joined.send(f"43{asked(joined)}")
    joined.receives('42["answered"]')


def test_questions_may_be_answered_out_of_order(joined: Client) -> None:
    first, second = asked(joined), asked(joined)
    assert first != second
    joined.send(f'43{second}["second"]', f'43{first}["first"]')
    joined.receives('42["answered","second"]', '42["answered","first"]')


def test_binary_ack_by_the_client(joined: Client) -> None:
    joined.send(f"461-{asked(joined)}[{holder(0)}]", ONE)
    joined.receives(f'451-["answered",{holder(0)}]', ONE)


IGNORED_ACKS = ["430[]", "4399[1]", "43[]", "43[1]", '43999999999999999["x"]']


@pytest.mark.parametrize("packet", IGNORED_ACKS)
def test_ack_that_was_not_asked_for(joined: Client, packet: str) -> None:
    joined.send(packet)
    joined.echoes()


def test_second_ack_is_ignored(joined: Client) -> None:
    number = asked(joined)
    joined.send(f"43{number}[1]", f"43{number}[2]")
    joined.receives('42["answered",1]')
    joined.echoes()


def test_ack_after_a_new_connection_is_ignored(joined: Client) -> None:
    number = asked(joined)
    joined.send("41")
    let_read(joined.server)
    joined.join()
    joined.send(f"43{number}[1]")
    joined.echoes()


# Attachments


def test_binary_event(joined: Client) -> None:
    joined.send(f'452-["message",{holders(2)}]', ONE, TWO)
    joined.receives(f'452-["message-back",{holders(2)}]', ONE, TWO)


def test_binary_ack(joined: Client) -> None:
    joined.send(f'452-789["message-with-ack",{holders(2)}]', ONE, TWO)
    joined.receives(f"462-789[{holders(2)}]", ONE, TWO)


def test_binary_event_to_a_namespace_spelled_out(joined: Client) -> None:
    joined.send(f'451-/,["message",{holder(0)}]', ONE)
    joined.receives(f'451-["message-back",{holder(0)}]', ONE)


@pytest.mark.parametrize(
    ("arguments", "attachments", "back"),
    [
        (f'{{"a":[{holder(0)},{{"b":{holder(1)}}}]}}', [ONE, TWO], None),
        (f"1,{holder(0)},null", [b""], None),
        (f"{holder(1)},{holder(0)}", [ONE, TWO], (holders(2), [TWO, ONE])),
        (f"{holder(0)},{holder(0)}", [ONE], (holders(2), [ONE, ONE])),
        (f'{{"_placeholder":true,"num":0,"more":1}},{holder(1)}', [ONE, TWO], (holders(2), [ONE, TWO])),
        (f'{{"num":0,"_placeholder":true}}', [ONE], (holder(0), [ONE])),  # noqa: F541
        (f'{{"_placeholder":false,"num":0}},{holder(0)}', [ONE], None),
        (f'{{"_placeholder":1,"num":0}},{holder(0)}', [ONE], None),
        (holders(10), [bytes([number]) for number in range(10)], None),
    ],
)
def test_places_of_attachments(
    joined: Client, arguments: str, attachments: list[bytes], back: tuple[str, list[bytes]] | None
) -> None:
    joined.send(f'45{len(attachments)}-["message",{arguments}]', *attachments)
    expected, data = back or (arguments, attachments)
    joined.receives(f'45{len(data)}-["message-back",{expected}]', *data)


def test_attachment_without_a_place(joined: Client) -> None:
    joined.send('451-["message","x"]', ONE)
    joined.receives('42["message-back","x"]')


def test_pong_between_attachments(joined: Client) -> None:
    joined.send(f'452-["message",{holders(2)}]', "3", ONE, "3", TWO)
    joined.receives(f'452-["message-back",{holders(2)}]', ONE, TWO)


def test_attachments_in_posts_of_their_own(polling: PollingClient) -> None:
    polling.join()
    for packet in (f'452-["message",{holders(2)}]', ONE, TWO):
        polling.send(packet)
    polling.receives(f'452-["message-back",{holders(2)}]', ONE, TWO)


@pytest.mark.parametrize("packets", BROKEN_BINARY, ids=str)
def test_broken_binary_packet(joined: Client, packets: list[Packet]) -> None:
    joined.provoke(*packets)
    joined.wait_closed()


def test_attachment_too_many(joined: Client) -> None:
    joined.send(f'451-["message",{holder(0)}]', ONE)
    joined.receives(f'451-["message-back",{holder(0)}]', ONE)
    joined.provoke(TWO)
    joined.wait_closed()


# Endings as a client by polling sees them


def test_second_session_does_not_notice(polling: PollingClient, calm: Server) -> None:
    other = open_websocket(calm)
    other.join()
    polling.join()
    polling.provoke("42{}")
    assert polling.wait_closed() == 0
    other.echoes()
    other.close()
