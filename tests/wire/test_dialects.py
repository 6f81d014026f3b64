"""Which dialect a client asks for, and what it is told in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webpy_socketio.wire import engine_v4
from webpy_socketio.wire.dialects import V4, V4_BASE64, Dialect, find_dialect
from webpy_socketio.wire.packets import SocketPacket
from webpy_socketio.wire.socketio import encode_packet


@pytest.mark.parametrize(("revision", "base64_only", "dialect"), [("4", False, V4), ("4", True, V4_BASE64)])
def test_find(revision: str, base64_only: bool, dialect: Dialect) -> None:
    assert find_dialect(revision, base64_only) is dialect
    assert dialect.revision == revision
    assert dialect.base64_only is base64_only
    assert dialect.codec is engine_v4


@pytest.mark.parametrize("revision", ["", "0", "5", "04", "4.0", " 4", "\uff14", "-4", "44", "None"])
def test_not_spoken(revision: str) -> None:
    assert find_dialect(revision, False) is None
    assert find_dialect(revision, True) is None


def test_compared_by_identity() -> None:
    copy = replace(V4)
    assert copy != V4
    assert len({V4, V4_BASE64, copy}) == 3


def text_of(packet: SocketPacket) -> str:
    """The packet as it is sent."""
    return encode_packet(packet, 10).text.decode()


@pytest.mark.parametrize(("namespace", "text"), [("/", '0{"sid":"abc"}'), ("/admin", '0/admin,{"sid":"abc"}')])
def test_connect(namespace: str, text: str) -> None:
    assert text_of(V4.connect(namespace, "abc")) == text


@pytest.mark.parametrize(
    ("namespace", "data", "text"),
    [
        ("/random", None, '4/random,{"message":"Invalid namespace"}'),
        ("/", {"code": 1}, '4{"message":"Invalid namespace","data":{"code":1}}'),
        ("/", 0, '4{"message":"Invalid namespace","data":0}'),
        ("/", "", '4{"message":"Invalid namespace","data":""}'),
        ("/", False, '4{"message":"Invalid namespace","data":false}'),
    ],
)
def test_connect_error(namespace: str, data: Any, text: str) -> None:
    assert text_of(V4.connect_error(namespace, "Invalid namespace", data)) == text
