"""Checks by WebSocket, and of what happens to connections on which nothing is said."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidHeader, InvalidStatus
from websockets.sync.client import ClientConnection

from .findings import (
    AFFINITY,
    BROKEN,
    GATEWAY,
    IDLE,
    LIFETIME,
    NO_PING,
    NO_WEBSOCKET,
    PUT_OUT,
    TRANSPORTS,
    UPGRADE_HEADER,
    Problem,
    Unknowable,
)
from .http_checks import ANSWER, FAILING_GATEWAYS, QUESTION, Visit, origin_problem, start
from .polling import Refusal
from .site import PATIENCE, Stopwatch, engine_code

OPEN, CLOSE, PING, PONG, UPGRADE = "0", "1", "2", "3", "5"
JOIN, DISCONNECT = "40", "41"
#: Seconds by which a heartbeat may be late.
SLACK = 1.0
#: Of nginx's timeouts, so many heartbeats long.
HEARTBEATS = 3
BAD_REQUEST, NOT_OFFERED = 3, 0


def check_websocket(visit: Visit) -> str:
    """A WebSocket opens at once, and carries packets both ways."""
    try:
        with _websocket(visit, visit.make_client().headers) as websocket:
            opening = _receive(websocket)
            if not opening.startswith(OPEN + "{"):
                raise Problem(BROKEN, f"a WebSocket began with {opening[:80]!r}")
            visit.opening = visit.opening or json.loads(opening.removeprefix(OPEN))
            _ask(websocket)
    except Problem as problem:
        if problem.cause is TRANSPORTS and visit.polls and "websocket" not in visit.opening.get("upgrades", []):
            raise Unknowable("the server offers none: the setting transports, or its WSGI server") from None
        raise
    return "opens, and carries packets both ways"


def check_upgrade(visit: Visit) -> str:
    """A client that began by long-polling changes over to a WebSocket, as browsers do."""
    if "websocket" not in visit.opening.get("upgrades", []):
        raise Unknowable("the server offers none: the setting allow_upgrades")
    with visit.make_client() as client:
        client.open()
        with _websocket(visit, client.headers, sid=client.sid) as websocket:
            websocket.send(PING + "probe")
            answer = _receive(websocket)
            if answer != PONG + "probe":
                raise Problem(BROKEN, f"the probe of an upgrade was answered {answer[:80]!r}")
            websocket.send(UPGRADE)
            _ask(websocket)
    return "a session of long-polling goes on by WebSocket"


@contextmanager
def _websocket(visit: Visit, headers: Mapping[str, str], **query: str) -> Iterator[ClientConnection]:
    """An open WebSocket. Raises Problem if none can be had."""
    path = visit.site.path
    try:
        with visit.site.websocket({"EIO": "4", "transport": "websocket", **query}, headers) as websocket:
            yield websocket
    except InvalidStatus as error:
        response = error.response
        seen = f"a WebSocket is answered {response.status_code} {response.reason_phrase}"
        body = response.body or b""
        if engine_code(body) == BAD_REQUEST:
            raise Problem(UPGRADE_HEADER, f"{seen}: the server sees an ordinary request") from None
        if engine_code(body) == NOT_OFFERED or b"Transport unknown" in body:
            raise Problem(TRANSPORTS, seen) from None
        if b"Origin not allowed" in body:
            raise origin_problem(visit, f"{seen}: Origin not allowed") from None
        if b"Session ID unknown" in body:
            raise Problem(AFFINITY, f"{seen}: Session ID unknown") from None
        cause = GATEWAY if response.status_code in FAILING_GATEWAYS else NO_WEBSOCKET
        raise Problem(cause, seen, path=path) from None
    except InvalidHeader as error:
        raise Problem(UPGRADE_HEADER, f"the answer to a WebSocket is changed on its way: {error}") from None
    except (InvalidHandshake, EOFError) as error:
        raise Problem(NO_WEBSOCKET, f"a WebSocket has no answer: {error}", path=path) from None
    except TimeoutError:
        raise Problem(NO_WEBSOCKET, f"a WebSocket has no answer within {PATIENCE:.0f} s", path=path) from None
    except ConnectionClosed as error:
        raise Problem(BROKEN, f"a WebSocket was closed at once: {error}") from None


def _receive(websocket: ClientConnection, wait: float = PATIENCE) -> str:
    """The next packet. Raises TimeoutError or ConnectionClosed."""
    packet = websocket.recv(wait)
    return packet if isinstance(packet, str) else packet.decode("utf-8", "replace")


def _ask(websocket: ClientConnection) -> None:
    websocket.send(QUESTION)
    answer = _receive(websocket)
    if not answer.startswith(ANSWER):
        raise Problem(BROKEN, f"{QUESTION!r} was answered {answer[:80]!r}")


class _Silence:
    """How it goes with a connection on which nothing is said but heartbeats."""

    def __init__(self) -> None:
        #: How it ended, in words; empty if it did not.
        self.end = ""
        #: Whether that is the server's doing.
        self.is_unwanted = False
        self.pings = 0
        #: Seconds until it ended, and since something had come, if so.
        self.seconds = self.quiet = 0.0
        self._all, self._last = Stopwatch(), Stopwatch()

    def left(self, idle: float) -> float:
        """Seconds that are still to be stayed; none if it is over."""
        return 0 if self.end else max(0, idle - self._all.seconds)

    def note(self, packet: str) -> bool:
        """Take note of a packet, and return whether it has to be answered with a PONG."""
        self._last = Stopwatch()
        if packet == PING:
            self.pings += 1
        elif packet in (CLOSE, DISCONNECT):
            self.end, self.is_unwanted = "by the server", True
        return packet == PING

    def finish(self) -> None:
        """Take note of the time."""
        self.seconds, self.quiet = self._all.seconds, self._last.seconds


def check_silence(visit: Visit) -> str:
    """A connection on which nothing is said stays open, and the heartbeat gets through."""
    watchers = {}
    if "affinity" in visit.good:
        watchers["a held poll"] = start(lambda: _stay_by_polling(visit))
    if "WebSocket" in visit.good:
        watchers["a WebSocket"] = start(lambda: _stay_by_websocket(visit))
    if not watchers:
        raise Unknowable("neither long-polling nor WebSocket works")
    silences = {what: watcher.result() for what, watcher in watchers.items()}
    for what, silence in silences.items():
        _judge(what, silence, visit)
    pings = sum(silence.pings for silence in silences.values())
    return f"still connected after {visit.idle:g} s, with {pings} heartbeat{'' if pings == 1 else 's'}"


def _judge(what: str, silence: _Silence, visit: Visit) -> None:
    interval = visit.ping_interval
    if silence.end:
        seen = f"{what} was ended ({silence.end}) {silence.seconds:.1f} s after it was opened"
        if silence.is_unwanted:
            raise Problem(PUT_OUT, seen)
        if silence.quiet < interval - SLACK / 2:
            if silence.pings:
                raise Problem(LIFETIME, seen)
            enough = max(60, HEARTBEATS * interval)
            shorter = max(1, round(silence.quiet / 2))
            known = {"seconds": silence.quiet, "interval": interval, "enough": enough, "shorter": shorter}
            raise Problem(IDLE, f"{seen}, while nothing was sent", **known)
        raise Problem(LIFETIME if silence.pings else NO_PING, seen)
    if not silence.pings and silence.seconds > interval + SLACK:
        raise Problem(
            NO_PING, f"no heartbeat came by {what} within {silence.seconds:.0f} s, one is due every {interval:g}"
        )


def _stay_by_websocket(visit: Visit) -> _Silence:
    silence = _Silence()
    with _websocket(visit, visit.make_client().headers) as websocket:
        websocket.send(JOIN)
        try:
            while left := silence.left(visit.idle):
                if silence.note(_receive(websocket, left)):
                    websocket.send(PONG)
        except TimeoutError:
            pass
        except ConnectionClosed as error:
            silence.end = f"closed with code {error.rcvd.code}" if error.rcvd else "closed without a word"
            silence.is_unwanted = error.rcvd is not None  # a proxy says no farewell
        silence.finish()
    return silence


def _stay_by_polling(visit: Visit) -> _Silence:
    silence = _Silence()
    with visit.make_client() as client:
        client.open()
        client.post(JOIN)
        try:
            while left := silence.left(visit.idle):
                for packet in client.get(left):
                    if silence.note(packet):
                        client.post(PONG)
        except TimeoutError:
            pass
        except Refusal as refusal:
            silence.end = refusal.reply.line
            silence.is_unwanted = refusal.reply.code is not None
        except (OSError, http.client.HTTPException) as error:
            silence.end = str(error) or type(error).__name__
        silence.finish()
    return silence
