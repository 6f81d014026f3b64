"""Clients of every generation, in Node and in pages: which there are, how to drive them, what they have to report."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.serving import CLIENTS

SCRIPT = CLIENTS / "generations.js"
#: What ``tests/apps/generations.py`` sends too: escapes, quotes, line ends of JavaScript, characters of 2 to 4 bytes.
TEXT = "€ é 😀 \u2028\u2029 \\ \\n \" ' \n </script> %41+&=\x00"
#: In Node these would lack what they had there: an XMLHttpRequest that reads binary, and Buffers of then.
ONLY_IN_PAGES = ("1.0", "1.3")
IN_NODE = ("1", "2.0", "2", "3", "4.0", "4.5", "4")
WITH_JSONP = (*ONLY_IN_PAGES, "1", "2.0", "2", "3", "4.0")
WAYS = ("polling", "websocket", "upgrade")

#: The clients of a test as the version, in the words of package.json, and the way to the server.
NODE_CLIENTS = [f"{version}-{way}" for version in IN_NODE for way in WAYS]
PAGE_CLIENTS = [f"{version}-{way}" for version in ONLY_IN_PAGES for way in WAYS]
PAGE_CLIENTS += [f"{version}-jsonp" for version in WITH_JSONP]


def package_and_way(name: str) -> tuple[str, str]:
    """The package of a client, and its way to the server."""
    version, _, way = name.partition("-")
    return f"socket.io-client-{version}", way


class InNode:
    """A Node process with any number of clients."""

    def __init__(self) -> None:
        command = ["node", "--no-deprecation", str(SCRIPT)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=CLIENTS, stdin=pipe, stdout=pipe, text=True)

    def call(self, function: str, *args: Any) -> Any:
        """Call a function of generations.js."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([function, *args]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def __enter__(self) -> InNode:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._process:
            self._process.kill()


def check_journey(name: str, report: dict[str, Any]) -> None:
    """Compare what a client reports of its journey with what it has to report."""
    expected = _expected_journey(name)
    if name.startswith(ONLY_IN_PAGES) and "leaving" in report:
        # They close the connection without waiting until their goodbye is sent.
        assert report["leaving"][1] in ("client namespace disconnect", "transport close", "transport error")
        report = {**report, "leaving": expected["leaving"]}
    assert report == expected


def _expected_journey(name: str) -> dict[str, Any]:
    version, _, way = name.partition("-")
    passes_query = version not in ("1.0", "1.3")  # with a namespace; their handshake has it
    report: dict[str, Any] = {
        "brought": [{}, None],
        "sameId": version < "3",
        "message": ["hello"],
        "event": [1, "2", {"three": [True, None, []]}],
        "nothing": [],
        "textUp": _doubled(TEXT) if version == "1" and way in ("polling", "jsonp") else TEXT,
        "textDown": TEXT,
        "long": 100_000,
        "binary": [[1, 2, 255], [0]],
        "transport": "websocket" if way == "upgrade" else way,
        "ack": [1, "2"],
        "emptyAck": [],
        "binaryAck": [[7, 8]],
        "question": ["how", {"are": "you"}],
        "binaryQuestion": [[9]],
        "order": True,
        "broadcast": ["to all", [3, 4]],
        "custom": {
            "auth": {"token": "abc"} if passes_query else {},
            "query": ["abc"],
            "reason": "io server disconnect",
        },
        "refused": "nope",
        "unknown": "Invalid namespace",
        "leaving": ["io client disconnect", "client namespace disconnect"],
        "kicked": "io server disconnect",
    }
    if name == "1.0-jsonp":  # it breaks when it has to close, see generations.js
        del report["custom"]["reason"], report["leaving"], report["kicked"]
    return report


def expected_news(name: str, others: list[str]) -> dict[str, list[Any]]:
    """What a member of the room has to hear of the others, if each tells a text and something binary."""
    return {other: ["text", TEXT, [1, 2, 255], TEXT] for other in others if other != name}


def _doubled(text: str) -> str:
    """What arrives of a text that is UTF-8 twice, when nobody can know that."""
    return text.encode().decode("latin-1")
