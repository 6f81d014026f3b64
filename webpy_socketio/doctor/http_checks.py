"""Checks by HTTP: from the site's name to long-polling."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ..transports.probe import FIRST, PAUSE
from ..transports.probe import NAME as PROBE
from .findings import (
    ACCESS,
    AFFINITY,
    BODY_SIZE,
    BROKEN,
    BUFFERING,
    CERTIFICATE,
    CORS,
    DOWN,
    ELSEWHERE,
    GATEWAY,
    GENERATION,
    HELD_BACK,
    HOST_HEADER,
    NAME,
    NOT_TLS,
    ORIGIN,
    STOPPING,
    UNREACHABLE,
    WRONG_PATH,
    Problem,
    Unknowable,
)
from .polling import NOWHERE, UNKNOWN_SESSION, PollingClient, Refusal
from .site import Reply, Site, Stopwatch

T = TypeVar("T")

#: Joins nothing, and is always answered.
QUESTION = f"40{NOWHERE},"
ANSWER = f"44{NOWHERE},"
#: Requests of two sessions that a balancer of two servers would all have to send the right way by chance.
SESSIONS, ROUNDS = 2, 4
#: Seconds after which an answer is late.
LATE = 2.0
#: Seconds until a poll is on its way to the server.
SETTLE = 0.2
#: A larger request is not tried, whatever the server takes.
LARGEST = 10_000_000
MEGABYTE = 1_048_576
#: What Engine.IO's error codes mean in the answer to a handshake.
UNKNOWN_TRANSPORT = 0
ENGINE_CAUSES = {3: STOPPING, 5: GENERATION}
REDIRECTS, FAILING_GATEWAYS, KEPT_OUT = range(300, 400), (502, 503, 504), (401, 403, 407)


class Visit:
    """An examination under way: what is examined, and what has been learnt of it so far."""

    def __init__(self, site: Site, origin: str, idle: float | None) -> None:
        self.site = site
        #: The origin that was asked for, and the one that is sent: none if that is refused.
        self.wished_origin = origin
        self.origin: str | None = None
        #: Whether that is needed to reach the same server again.
        self.keeps_cookies = False
        #: Whether the server offers long-polling.
        self.polls = True
        #: What the server says of itself in a handshake.
        self.opening: dict[str, Any] = {}
        #: Names of the checks that found nothing wrong.
        self.good: set[str] = set()
        self._idle = idle

    def make_client(self) -> PollingClient:
        """A client that does as a browser would."""
        return PollingClient(self.site, self.origin, self.keeps_cookies)

    @property
    def ping_interval(self) -> float:
        """Seconds between the server's heartbeats."""
        return float(self.opening.get("pingInterval", 25_000)) / 1000

    @property
    def idle(self) -> float:
        """Seconds to stay connected and silent."""
        return self._idle if self._idle is not None else self.ping_interval + 2


def start(function: Callable[[], T]) -> Future[T]:
    """Call a function in a thread that need not come to its end if the examination is broken off."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def check_address(visit: Visit) -> str:
    """The name is known, and somebody listens there."""
    site = visit.site
    known = {"host": site.host, "port": site.port}
    try:
        with site.connect() as connection:
            return f"{connection.getpeername()[0]} port {site.port} takes connections"
    except (socket.gaierror, UnicodeError) as error:  # the latter for what cannot be a name at all
        raise Problem(NAME, f"{site.host}: {error}", **known) from None
    except ConnectionRefusedError:
        raise Problem(DOWN, f"{site.host} refuses connections to port {site.port}", **known) from None
    except OSError as error:
        raise Problem(UNREACHABLE, f"{site.host} port {site.port}: {error}", **known) from None


def check_certificate(visit: Visit) -> str:
    """A browser accepts the certificate."""
    site = visit.site
    if not site.is_secure:
        return "none, as the URL begins with http"
    try:
        with site.connect() as raw, site.context.wrap_socket(raw, server_hostname=site.host) as connection:
            until = (connection.getpeercert() or {}).get("notAfter")
    except ssl.SSLCertVerificationError as error:
        raise Problem(CERTIFICATE, error.verify_message, host=site.host) from None
    except (ssl.SSLError, OSError) as error:
        raise Problem(NOT_TLS, f"port {site.port}: {error}", port=site.port) from None
    return f"good until {until}" if until else "not looked at, as --insecure says"


def check_answer(visit: Visit) -> str:
    """Engine.IO answers under the path."""
    with PollingClient(visit.site, None) as client:
        try:
            visit.opening = client.open()
        except Refusal as refusal:
            if refusal.reply.code == UNKNOWN_TRANSPORT:
                visit.polls = False
                return f"answers under {visit.site.path}, but not to long-polling"
            raise _no_engine(refusal.reply, visit) from None
    upgrades = visit.opening.get("upgrades") or ["nothing"]
    return f"answers under {visit.site.path}, offers an upgrade to {', '.join(upgrades)}"


def _no_engine(reply: Reply, visit: Visit) -> Problem:
    path = visit.site.path
    known = {"path": path, "resource": visit.site.resource, "location": reply.headers.get("Location", "")}
    if reply.code is not None and reply.code in ENGINE_CAUSES:
        return Problem(ENGINE_CAUSES[reply.code], f"{path} answers {reply.line}: {reply.text}")
    if reply.status in REDIRECTS:
        return Problem(ELSEWHERE, f"{path} answers {reply.line}, to {known['location']}", **known)
    if reply.status in FAILING_GATEWAYS:
        return Problem(GATEWAY, f"{path} answers {reply.line}", **known)
    if reply.status in KEPT_OUT:
        return Problem(ACCESS, f"{path} answers {reply.line}", **known)
    what = reply.headers.get_content_type() if reply.status == 200 else "an error"
    return Problem(WRONG_PATH, f"{path} answers {reply.line}, {what} that is not Engine.IO's", **known)


def check_origin(visit: Visit) -> str:
    """A page of the origin may connect."""
    origin = visit.wished_origin
    if not visit.polls:
        visit.origin = origin
        raise Unknowable("the WebSocket will tell")
    with PollingClient(visit.site, origin) as client:
        try:
            client.open()
        except Refusal as refusal:
            seen = f"a page of {origin} is answered {refusal.reply.line}"
            if refusal.reply.code is None:
                raise Problem(ACCESS, seen, path=visit.site.path) from None
            raise origin_problem(visit, seen) from None
    visit.origin = origin
    return f"pages of {origin} may connect"


def origin_problem(visit: Visit, seen: str) -> Problem:
    """What it means that the server refuses the page."""
    origin = visit.wished_origin
    return Problem(HOST_HEADER if origin == visit.site.origin else ORIGIN, seen, origin=origin)


def check_cors(visit: Visit) -> str:
    """A browser lets a page of another site read the answers."""
    origin = visit.wished_origin
    if origin == visit.site.origin:
        return "not needed, as the page is of the same site"
    with PollingClient(visit.site, origin) as client:
        client.open()
        assert client.handshake is not None
        allowed = client.handshake.headers.get_all("Access-Control-Allow-Origin", [])
    if len(allowed) != 1 or allowed[0] not in ("*", origin):
        seen = f"Access-Control-Allow-Origin is {' and '.join(allowed) or 'missing'}; it must be {origin}, once"
        raise Problem(CORS, seen, origin=origin, path=visit.site.path)
    return f"Access-Control-Allow-Origin: {allowed[0]}"


def check_affinity(visit: Visit) -> str:
    """All requests of a session reach the server that has it."""
    if not visit.polls:
        raise Unknowable("a session by WebSocket alone has no second request")
    try:
        _converse(visit)
    except Refusal as refusal:
        if refusal.reply.code != UNKNOWN_SESSION:
            raise
        with contextlib.suppress(Refusal):
            visit.keeps_cookies = True
            _converse(visit)
            return "a cookie keeps a session with its server; clients without cookies have to use WebSocket alone"
        seen = f"a request of an open session is answered {refusal.reply.line}: Session ID unknown"
        raise Problem(AFFINITY, seen) from None
    return f"{SESSIONS * (1 + 2 * ROUNDS)} requests over as many connections belong together"


def _converse(visit: Visit) -> None:
    for _ in range(SESSIONS):
        with visit.make_client() as client:
            client.open()
            for _ in range(ROUNDS):
                _ask(client)


def _ask(client: PollingClient) -> None:
    client.post(QUESTION)
    _expect_answer(repr(QUESTION), client.get())


def _expect_answer(what: str, packets: list[str]) -> None:
    if not any(packet.startswith(ANSWER) for packet in packets):
        raise Problem(BROKEN, f"{what} was answered {packets[:3]!r}")


def check_held_poll(visit: Visit) -> str:
    """A poll that was held is answered as soon as there is something to tell, and whole."""
    with visit.make_client() as client:
        client.open()
        poll = start(client.get)
        time.sleep(SETTLE)
        watch = Stopwatch()
        try:
            client.post(QUESTION)
            posted = watch.seconds
            packets = poll.result()
        except TimeoutError:
            raise Problem(HELD_BACK, f"nothing came within {watch.seconds:.0f} s") from None
        seconds = watch.seconds - posted
    _expect_answer("a held poll", packets)
    if seconds > LATE:
        raise Problem(HELD_BACK, f"the answer came {seconds:.1f} s after what it tells of had been sent")
    return f"answered {seconds * 1000:.0f} ms after there was something to tell, in one piece"


def check_streaming(visit: Visit) -> str:
    """What an answer consists of comes through piece by piece."""
    with visit.site.exchange("GET", PROBE, None, {}) as response:
        if response.status != 200 or response.readline() != FIRST:
            raise Unknowable("this server has no probe for it: it is not a SocketIOServer of this version")
        watch = Stopwatch()
        response.read()
    if watch.seconds < PAUSE / 2:
        raise Problem(BUFFERING, f"two lines that the server sent {PAUSE:g} s apart came at once")
    return f"the second line of an answer came {watch.seconds:.1f} s after the first, as it was sent"


def check_payload(visit: Visit) -> str:
    """A request as large as the server takes gets through."""
    most = visit.opening.get("maxPayload")
    if not isinstance(most, int):
        raise Unknowable("the server does not say how much it takes")
    size = min(most, LARGEST)
    frame = len(f"{QUESTION}{json.dumps({'pad': ''})}")
    if size <= frame:
        raise Unknowable(f"the server takes {most} bytes only")
    with visit.make_client() as client:
        client.open()
        try:
            client.post(QUESTION + json.dumps({"pad": "x" * (size - frame)}))
        except Refusal as refusal:
            seen = f"a request of {size} bytes is answered {refusal.reply.line}"
            if refusal.reply.status != 413:
                raise Problem(BROKEN, seen) from None
            raise Problem(BODY_SIZE, seen, size=f"{math.ceil(size / MEGABYTE)}m") from None
    return f"a request of {size} bytes gets through"
