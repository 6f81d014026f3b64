"""Engine.IO protocol 4 by long-polling: payloads, GET and POST, the size limit, JSONP."""

from __future__ import annotations

import json

import pytest

from tests.conformance.invalid import BROKEN_BASE64, BROKEN_PAYLOADS
from tests.conformance.phrases import (
    LIMIT,
    ONE_BINARY,
    ONE_BINARY_BACK,
    echo,
    event,
    sized,
)
from tests.conformance.targets import differs, ours_only
from tests.conformance.wire import (
    RS,
    Answer,
    Exchange,
    PollingClient,
    WebSocketClient,
    as_base64,
    chunks,
    let_read,
    target,
)
from tests.serving import Server

# Payloads of polling


def test_several_packets_come_back_in_one_payload(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("1"), event("2"), event("3"))
    assert polling.get().text == RS.join([echo("1"), echo("2"), echo("3")])


def test_text_and_binary_in_one_payload(polling: PollingClient) -> None:
    polling.join()
    answer = polling.post(f'{event("x")}{RS}451-["message",{{"_placeholder":true,"num":0}}]{RS}bAQIDBA==')
    assert answer.body == b"ok"
    expected = f'{echo("x")}{RS}451-["message-back",{{"_placeholder":true,"num":0}}]{RS}bAQIDBA=='
    assert polling.get().text == expected


def test_payload_is_utf8(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("€ 😀 ü"))
    assert polling.get().body == echo("€ 😀 ü").encode()


@ours_only
@pytest.mark.parametrize("rest", ["", "x", f'x{RS}42["announce","after"]', f'{RS}42["announce","after"]'])
def test_packets_before_a_malformed_one_are_delivered(
    polling: PollingClient, witness: WebSocketClient, rest: str
) -> None:
    polling.join()
    polling.post(f'42["announce","before"]{RS}{rest}')
    witness.receives('42["message","before"]')
    polling.wait_closed()
    witness.echoes()


@ours_only
def test_packets_after_a_close_are_dropped(polling: PollingClient, witness: WebSocketClient) -> None:
    polling.join()
    polling.post(f'42["announce","before"]{RS}1{RS}42["announce","after"]')
    witness.receives('42["message","before"]')
    assert polling.get().status == 400
    witness.echoes()


@pytest.mark.parametrize("body", BROKEN_PAYLOADS)
def test_malformed_payload(polling: PollingClient, body: str) -> None:
    held = polling.hold_get()
    let_read(polling.server)
    assert polling.post(body).status == differs(400, node=200)
    answer = held.answer()
    assert (answer.status, answer.body) == (200, b"1")
    assert polling.is_unknown()


@ours_only
@pytest.mark.parametrize("text", BROKEN_BASE64)
def test_base64_that_is_not_clean(polling: PollingClient, text: str) -> None:
    polling.join()
    assert polling.post(f'451-["message",{{"_placeholder":true,"num":0}}]{RS}b{text}').status == 400
    polling.wait_closed()


# GET and POST


def test_get_waits_for_something_to_send(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    assert held.is_silent(0.05)
    polling.send(event("x"))
    assert held.answer().text == echo("x")


def test_second_get_ends_the_session(polling: PollingClient) -> None:
    first = polling.hold_get()
    let_read(polling.server)
    second = polling.get()
    assert (second.status, second.body) == (400, b"")
    assert first.answer()[::2] == (200, b"1")
    assert polling.is_unknown()


def test_aborted_get_ends_the_session(polling: PollingClient) -> None:
    held = polling.hold_get()
    let_read(polling.server)
    held.abort()
    let_read(polling.server)
    assert polling.get().status == 400
    assert polling.is_unknown()


def test_post_is_answered_ok(polling: PollingClient) -> None:
    answer = polling.post("3")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.content_type in ("text/html", "text/plain", "text/plain;charset=utf-8")
    assert answer.headers["Content-Length"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"


def test_get_is_not_cached(polling: PollingClient) -> None:
    polling.send("40")
    answer = polling.get()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "text/plain;charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_second_post_ends_the_session(polling: PollingClient) -> None:
    first = polling.begin_post(100)
    first.send(b"3")
    let_read(polling.server)
    second = polling.post("3")
    assert (second.status, second.body) == (400, b"")
    assert first.was_dropped()
    assert polling.is_unknown()


def test_post_that_breaks_off_ends_the_session(polling: PollingClient) -> None:
    half = polling.begin_post(100)
    half.send(b"3")
    let_read(polling.server)
    half.abort()
    let_read(polling.server)
    assert polling.is_unknown()


def test_octet_stream_ends_the_session(polling: PollingClient) -> None:
    answer = polling.post(b"3", content_type="application/octet-stream")
    assert (answer.status, answer.body) == (400, b"")
    assert polling.is_unknown()


CONTENT_TYPES = [
    "text/plain;charset=UTF-8",
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "text/html; charset=iso-8859-1",
    "nonsense",
    None,
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_other_content_types_are_read_as_utf8_text(polling: PollingClient, content_type: str | None) -> None:
    polling.join()
    assert polling.post(event("ü+%41&d=€"), content_type=content_type).body == b"ok"
    polling.receives(echo("ü+%41&d=€"))


def test_chunked_post(polling: PollingClient) -> None:
    polling.join()
    assert polling.post(chunks(event("in pieces").encode(), 5)).body == b"ok"
    polling.receives(echo("in pieces"))


def test_posts_are_delivered_in_order(polling: PollingClient) -> None:
    polling.join()
    for number in range(20):
        polling.send(*(f'42["count",{number * 10 + step}]' for step in range(10)))
    polling.send('420["counted"]')
    polling.receives(f"430[{json.dumps(list(range(200)), separators=(',', ':'))}]")


# Size limit


def test_largest_post(narrow: Server) -> None:
    client = PollingClient(narrow)
    assert client.handshake["maxPayload"] == LIMIT
    client.join()
    assert client.post(sized(LIMIT)).body == b"ok"
    assert str(client.receive()).startswith('42["message-back","xxx')


@pytest.mark.parametrize("way", ["whole", "chunked"])
def test_post_over_the_limit(narrow: Server, way: str) -> None:
    client = PollingClient(narrow)
    client.join()
    body = sized(LIMIT + 1)
    answer = client.post(body if way == "whole" else chunks(body, 100))
    told = f"max_payload: a POST has at most {LIMIT:,} bytes".encode()
    assert (answer.status, answer.body) == (413, differs(told, node=b""))
    client.echoes()


def test_limit_counts_bytes(narrow: Server) -> None:
    client = PollingClient(narrow)
    client.join()
    assert client.post(event("€" * 400)).status == 413
    client.echoes()


# JSONP


def unwrapped(answer: Answer, index: str) -> str:
    """The payload inside a JSONP answer."""
    start, end = f"___eio[{index}](", ");"
    text = answer.text
    assert text.startswith(start) and text.endswith(end), text
    assert answer.content_type == differs("text/javascript;charset=utf-8", node="text/plain;charset=utf-8")
    return str(json.loads(text[len(start) : -len(end)]))


def jsonp_client(server: Server, index: str = "7") -> PollingClient:
    """A session by JSONP polling."""
    client = PollingClient(server, j=index)
    client.handshake = json.loads(unwrapped(client.opening, "".join(filter(str.isdigit, index)))[1:])
    client.sid = client.handshake["sid"]
    return client


def jsonp_post(client: PollingClient, **fields: str) -> Answer:
    """Post a form, as the page's iframe does."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = target(fields).removeprefix("/socket.io/?") if fields else "other=1"
    return Exchange(client.server).start("POST", client.target(), form, body.encode()).answer()


def test_jsonp_session(calm: Server) -> None:
    client = jsonp_client(calm)
    assert jsonp_post(client, d="40")[::2] == (200, b"ok")
    assert unwrapped(client.get(), "7").startswith('40{"sid":')


def test_jsonp_index_is_digits_only(calm: Server) -> None:
    assert unwrapped(jsonp_client(calm, 'a1")b2').opening, "12").startswith("0{")


JSONP_TEXTS = ['a"b', "a\\\\b", "€ 😀", "a\\nb", "</script>", "\u2028\u2029", "a+b&c=d%"]


@pytest.mark.parametrize("text", JSONP_TEXTS)
def test_jsonp_text(calm: Server, text: str) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    packet = f'42["message",{json.dumps(text)}]'
    jsonp_post(client, d=packet.replace("\\n", "\\\\n"))
    answer = client.get()
    assert json.loads(unwrapped(answer, "7")[2:]) == ["message-back", text]
    assert not {"\u2028", "\u2029"} & set(answer.text)


def test_jsonp_newline_between_packets(calm: Server) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    assert jsonp_post(client, d='42["message",\\n"x"]').body == b"ok"
    assert unwrapped(client.get(), "7") == echo("x")


def test_jsonp_binary_is_base64(calm: Server) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    jsonp_post(client, d=f"{ONE_BINARY}{RS}{as_base64(b'0123456789')}")
    assert unwrapped(client.get(), "7") == f"{ONE_BINARY_BACK}{RS}{as_base64(b'0123456789')}"


def test_jsonp_form_without_data_is_ignored(calm: Server) -> None:
    client = jsonp_client(calm)
    assert jsonp_post(client)[::2] == (200, b"ok")
    assert jsonp_post(client, d="40").body == b"ok"
    assert unwrapped(client.get(), "7").startswith("40{")
