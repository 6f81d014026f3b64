"""JSONP: payloads as a script call, and out of a form."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.wire.jsonp import unwrap, wrap


@pytest.mark.parametrize(
    ("payload", "index", "script"),
    [
        ("6", "7", '___eio[7]("6");'),
        ('0{"sid":"x"}', "0", '___eio[0]("0{\\"sid\\":\\"x\\"}");'),
        ("4a\nb\\nc", "2", '___eio[2]("4a\\nb\\\\nc");'),
        ("4\u2028\u2029", "2", '___eio[2]("4\\u2028\\u2029");'),
        ("4a\x1ebAQ==", "10", '___eio[10]("4a\\u001ebAQ==");'),
        ("6", 'a1")b2', '___eio[12]("6");'),
        ("6", "1]);alert(1);//", '___eio[11]("6");'),
        ("6", "\uff112٣²", '___eio[2]("6");'),
        ("6", "1\n2", '___eio[12]("6");'),
    ],
)
def test_wrap(payload: str, index: str, script: str) -> None:
    assert wrap(payload.encode(), index).decode() == script


@given(st.text(), st.text())
def test_wrapped_payload_is_the_one_string_of_the_script(payload: str, index: str) -> None:
    script = wrap(payload.encode(), index).decode("ascii")
    match = re.fullmatch(r"___eio\[([0-9]*)\]\((.*)\);", script)
    assert match is not None
    assert json.loads(match[2]) == payload
    assert not set(script) & set("\n\r\u2028\u2029")


def escape(payload: str) -> str:
    """What clients do to newlines before they send a payload as a form."""
    return payload.replace("\\n", "\\\n").replace("\n", "\\n")


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        (b"d=4hello", "4hello"),
        (b"d=", ""),
        (b"d", ""),
        (b"d=4a+b%20c", "4a b c"),
        (b"d=4%E2%82%AC", "4€"),
        (b"d=4a%26b%3Dc", "4a&b=c"),
        (b"d=4%5Cn", "4\n"),
        (b"d=4%5C%5Cn", "4\\n"),
        (b"d=4%5C%5C%5Cn", "4\\\\n"),
        (b"d=4%5C%22", '4\\"'),
        (b"d=4a%1E4b", "4a\x1e4b"),
        (b"other=1&d=4x&more=2", "4x"),
    ],
)
def test_unwrap(form: bytes, payload: str) -> None:
    assert unwrap(form) == payload.encode()


@pytest.mark.parametrize("form", [b"", b"x=1", b"D=4x", b"4hello", b"&&&", b"=d"])
def test_unwrap_without_the_field(form: bytes) -> None:
    assert unwrap(form) is None


@pytest.mark.parametrize("form", [b"a=1&" * 50, b"&" * 1_000, b"a=1&" * 50 + b"d=4x", b"d=4x" + b"&a" * 50])
def test_unwrap_of_many_fields(form: bytes) -> None:
    assert unwrap(form) in (None, b"4x")


@pytest.mark.parametrize("form", [b"\xff", b"d=\xff", b"d=%ff", b"d=%", b"d=%zz", b"d=%ed%a0%80"])
def test_unwrap_of_bytes_that_are_no_text(form: bytes) -> None:
    payload = unwrap(form)
    assert payload is None or payload.decode().isprintable()


@given(st.text().filter(lambda text: "\\\n" not in text))
def test_round_trip(payload: str) -> None:
    assert unwrap(urlencode({"d": escape(payload)}).encode()) == payload.encode()


@given(st.text("%4aF+d=&€\x00") | st.text())
def test_escapes_mean_what_they_do_in_any_form(text: str) -> None:
    (value, *_) = parse_qs("d=" + text.replace("&", "").replace("\\", ""), keep_blank_values=True)["d"]
    assert unwrap(b"d=" + text.replace("&", "").replace("\\", "").encode()) == value.encode()


@given(st.binary())
def test_any_form_is_read(form: bytes) -> None:
    payload = unwrap(form)
    assert payload is None or isinstance(payload, bytes)
