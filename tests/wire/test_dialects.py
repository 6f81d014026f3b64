"""Which dialect a client asks for, and what it is told in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webpy_socketio.wire import engine_v2, engine_v3, engine_v4
from webpy_socketio.wire.dialects import (
    V2,
    V2_BASE64,
    V3,
    V3_BASE64,
    V3_EARLY,
    V3_EARLY_BASE64,
    V4,
    V4_BASE64,
    Dialect,
    find_dialect,
)
from webpy_socketio.wire.packets import SocketPacket
from webpy_socketio.wire.socketio import encode_packet

STAMP = "1402000000000-12"  # of a poll in 2014
CODECS = {"4": engine_v4, "3": engine_v3, "2": engine_v2}


@pytest.mark.parametrize("stamp", ["", "Lxyz123", "Lxyz123.4", STAMP])
@pytest.mark.parametrize(
    ("revision", "base64_only", "dialect"),
    [("4", False, V4), ("4", True, V4_BASE64), ("3", False, V3), ("3", True, V3_BASE64), ("2", False, V2),
     ("2", True, V2_BASE64)],
)  # fmt: skip
def test_find(revision: str, base64_only: bool, dialect: Dialect, stamp: str) -> None:
    if (revision, stamp) == ("3", STAMP):
        dialect = V3_EARLY_BASE64 if base64_only else V3_EARLY
    assert find_dialect(revision, base64_only, stamp) is dialect
    assert dialect.revision == revision
    assert dialect.base64_only is base64_only
    assert dialect.codec is (engine_v2 if (revision, stamp) == ("3", STAMP) else CODECS[revision])
    assert dialect.only_binary_payloads is (dialect.codec is engine_v2)


@pytest.mark.parametrize("stamp", ["1402000000000", "1402000000000.12", "1402000000000-", "-12", "14-1", "L402-1",
                                   "1402000000000-12x", "\uff11402000000000-12"])  # fmt: skip
def test_a_later_client_keeps_its_polls_out_of_caches_otherwise(stamp: str) -> None:
    assert find_dialect("3", False, stamp) is V3


@pytest.mark.parametrize("revision", ["", "0", "1", "5", "04", "4.0", " 4", "\uff14", "-4", "44", "None"])
def test_not_spoken(revision: str) -> None:
    assert find_dialect(revision, False) is None
    assert find_dialect(revision, True) is None
    assert find_dialect(revision, False, STAMP) is None


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
