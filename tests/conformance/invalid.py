"""What no server may take: packets, sequences of packets, and WebSocket frames that break the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.targets import ours_only
from tests.conformance.wire import CONTINUATION, PING, RS, TEXT, frame

ONE = b"\x01\x02\x03"
TWO = b"\x04\x05\x06\x07"


def holder(number: Any) -> str:
    """The place of an attachment."""
    return f'{{"_placeholder":true,"num":{number}}}'


def holders(count: int) -> str:
    """The places of so many attachments."""
    return ",".join(holder(number) for number in range(count))


#: Engine.IO packets that end a session.
BROKEN_ENGINE = ["2", "2probe", "", "7", "9", "a", "abc", " 4", "\u0664", "€", "B", "-1"]

#: Bodies of a POST that are no payload.
BROKEN_PAYLOADS = ["", RS, "abc", f"{RS}3", f"3{RS}", f"3{RS}{RS}3"]

#: Texts that are not clean base64.
BROKEN_BASE64 = ["AQID_-==", "AQIDBA", "AQ*IDBA=", "A", "=", "AQIDBA==x", "AQ ID"]

#: CONNECT packets whose payload is not an object.
BROKEN_CONNECTS = [
    "40[]",
    '40["x"]',
    "40null",
    '40"token"',
    "40true",
    "40{",
    "40{}x",
    "40{'a':1}",
    "40/custom,[]",
    "40/custom,null",
    '40{"a":NaN}',
]

#: Packets of namespaces that a client of "/" has not joined.
OTHER_NAMESPACES = [
    '42/custom,["message","x"]',
    "41/custom,",
    "43/custom,0[]",
    '42/random,["message","x"]',
    '44{"message":"x"}',
]

#: Packets that may not come before a CONNECT.
NOT_JOINED = [
    '42["message","x"]',
    '420["message","x"]',
    "41",
    "430[]",
    pytest.param(f'451-["message",{holder(0)}]', marks=ours_only),
    pytest.param(f"461-0[{holder(0)}]", marks=ours_only),
    *OTHER_NAMESPACES,
]

#: Packets that a client of "/" may not send.
INVALID = [
    "4",
    "4abc",
    "47",
    "4-1",
    "4\u0662[]",
    "42{}",
    '42"message"',
    "42null",
    "42[]",
    "42[null]",
    "42[true]",
    '42[{"a":1}]',
    '42[["message"]]',
    "42[",
    '42["message"',
    '42["message",]',
    '42["message"]]',
    '42["message"]x',
    "42['message']",
    '42["message",NaN]',
    '42["message",Infinity]',
    '42["message",-Infinity]',
    '42["message",01]',
    '42["message",.5]',
    '42["message","\n"]',
    '42["message",undefined]',
    "42abc[]",
    '42abc["message-with-ack"]',
    '42-1["message-with-ack"]',
    '42\u0661["message-with-ack"]',
    '42["connect"]',
    '42["connect_error"]',
    '42["disconnect"]',
    '42["disconnecting"]',
    '42["newListener"]',
    '42["removeListener"]',
    "41{}",
    "41[]",
    '41"bye"',
    "43{}",
    "430{}",
    "430null",
    '430"x"',
    "430[",
    '44{"message":"x"}',
    '44"x"',
    pytest.param("42", marks=ours_only),
    pytest.param("420", marks=ours_only),
    pytest.param("42/custom,", marks=ours_only),
]

#: Binary packets, with their attachments, that a client of "/" may not send.
BROKEN_BINARY: list[Any] = [
    ["45"],
    ["46"],
    ["45-"],
    ['45["message"]'],
    ['45-["message"]'],
    ['450-["message"]'],
    ["450-"],
    ["460-0[]"],
    ['45-1-["message"]'],
    ['451.5-["message"]'],
    ['451["message"]'],
    ['45a-["message"]'],
    ['45\u0661-["message"]'],
    ["4511-" + f'["message",{holders(11)}]'],
    ["45999999999999999999-" + f'["message",{holder(0)}]'],
    [f'451-["message",{holder(1)}]', ONE],
    [f'451-["message",{holder(-1)}]', ONE],
    [f'451-["message",{holder(1e9)}]', ONE],
    ['451-["message",{"_placeholder":true}]', ONE],
    ['451-["message",{"_placeholder":true,"num":"0"}]', ONE],
    ['451-["message",{"_placeholder":true,"num":null}]', ONE],
    ['451-["message",{"_placeholder":true,"num":true}]', ONE],
    ['451-["message",{"_placeholder":true,"num":[0]}]', ONE],
    [f'451-[{holder(0)},"x"]', ONE],
    [f'451-{{"a":{holder(0)}}}', ONE],
    ['451-["connect"]', ONE],
    [f'451-["message",{holder(0)}]', '42["message","x"]'],
    [f'452-["message",{holders(2)}]', ONE, '42["message","x"]'],
    [f'451-["message",{holder(0)}]', "41"],
    [f'451-["message",{holder(0)}]', f'451-["message",{holder(0)}]'],
    [f'451-["message",{holder(0)}]', "40/custom,"],
    [ONE],
    [f"461-0{holder(0)}", ONE],
    pytest.param(["451-"], marks=ours_only),
    pytest.param(['45 1-["message"]'], marks=ours_only),
    pytest.param([f'451-["message",{holder(0.5)}]', ONE], marks=ours_only),
]

#: What is wrong, the bytes, and the close code that answers them.
BROKEN_FRAMES = [
    ("unmasked", frame(TEXT, b"3", masked=False), 1002),
    ("reserved bit", frame(TEXT, b"3", reserved=4), 1002),
    ("unknown opcode", frame(3, b""), 1002),
    ("continuation of nothing", frame(CONTINUATION, b"3"), 1002),
    ("message inside a message", frame(TEXT, b"3", fin=False) + frame(TEXT, b"3"), 1002),
    ("fragmented ping", frame(PING, b"", fin=False), 1002),
    ("long ping", frame(PING, b"x" * 126), 1002),
    ("invalid UTF-8", frame(TEXT, b"3\xff"), 1007),
    ("surrogate in UTF-8", frame(TEXT, b"3\xed\xa0\x80"), 1007),
    ("unfinished UTF-8", frame(TEXT, b"3\xe2\x82"), 1007),
]
