"""Findings: what a check has seen, and the table of causes with what to change."""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """Why something does not work. ``why`` and ``change`` are %-formats over what the check knows."""

    name: str
    why: str
    #: Lines to write, or to change; nginx's stand in its ``location /socket.io/`` if nothing else is said.
    change: str


class Problem(Exception):
    """A check failed.

    :param cause: the likely cause.
    :param seen: what was seen.
    :param known: what the cause's texts name.
    """

    def __init__(self, cause: Cause, seen: str, **known: object) -> None:
        super().__init__(f"{cause.name}: {seen}")
        self.cause = cause
        self.seen = seen
        self.known = known


class Unknowable(Exception):
    """A check cannot be made here; the text says why."""


NAME = Cause("name", "the name is not known", "the DNS records of %(host)s, or the name in the URL")
DOWN = Cause(
    "down",
    "the server (or the proxy in front of it) is not running, or listens on another address or port",
    "python -m webpy_socketio serve MODULE:APP --host 0.0.0.0 --port %(port)s\nor of the proxy: listen %(port)s;",
)
UNREACHABLE = Cause(
    "unreachable",
    "a firewall drops the connection, or there is no way to that address",
    "allow TCP port %(port)s in the firewall of the server, and in that of its hosting provider",
)
NOT_TLS = Cause(
    "not-tls",
    "no TLS is spoken on that port",
    "nginx: listen %(port)s ssl;\nor write http:// in the URL",
)
CERTIFICATE = Cause(
    "certificate",
    "browsers do not accept this certificate: it has run out, is for another name, or lacks those that vouch for it",
    "nginx: ssl_certificate /etc/letsencrypt/live/%(host)s/fullchain.pem;\n"
    "without a proxy: the setting certfile, with the whole chain in it\n"
    "one that you have signed yourself: doctor --insecure",
)
GATEWAY = Cause(
    "gateway",
    "a proxy answers, but the server behind it does not: it is not running, or listens somewhere else",
    "python -m webpy_socketio serve MODULE:APP --port 8000\nnginx: proxy_pass http://127.0.0.1:8000;",
)
ELSEWHERE = Cause("elsewhere", "this address only leads to another one", "examine that one: doctor %(location)s")
WRONG_PATH = Cause(
    "path",
    "Socket.IO does not answer under this path",
    "the page and the server have to agree: the setting resource, and urls += make_socketio_urls(%(resource)r)\n"
    "a proxy must pass the path on as it is: location %(path)s { proxy_pass http://127.0.0.1:8000; }\n"
    "if it is another path: doctor --resource PATH",
)
ACCESS = Cause(
    "access",
    "something in front of the server keeps everybody out, or wants a password",
    "nginx: the lines deny, auth_basic or auth_request that hold for location %(path)s",
)
STOPPING = Cause("stopping", "the server is about to stop", "try again when it has been started anew")
GENERATION = Cause(
    "generation", "the server lets in only clients of before Socket.IO 3", "the setting clients = 1-2,3-4"
)
TRANSPORTS = Cause(
    "transports",
    "the server offers neither long-polling nor WebSocket, the latter because of its settings or its WSGI server",
    "the setting transports = polling,websocket\nand python -m webpy_socketio serve MODULE:APP, or SocketIOServer",
)
ORIGIN = Cause("origin", "the server lets no page of this origin connect", "the setting cors_origins = %(origin)s")
HOST_HEADER = Cause(
    "host-header",
    "the server takes the site's own page for a foreign one: the proxy does not tell which host the browser asked for",
    "nginx: proxy_set_header Host $http_host;",
)
CORS = Cause(
    "cors-headers",
    "the browser keeps the answer from the page: something between it and the server changes its CORS headers",
    "nginx: no add_header Access-Control-... and no proxy_hide_header Access-Control-... for location %(path)s\n"
    "the server sends them itself: the setting cors_origins = %(origin)s",
)
AFFINITY = Cause(
    "affinity",
    "requests go to several servers in turn, but a session lives in one of them",
    "nginx: upstream NAME { ip_hash; server ...; server ...; }\n"
    "HAProxy: balance source\n"
    "or one server only, as channels are not shared; or of the page: io({transports: ['websocket']})",
)
HELD_BACK = Cause(
    "held-back",
    "something between holds answers or requests back: a cache, a scanner, or a proxy that waits for more",
    "nginx: proxy_buffering off;\n       proxy_request_buffering off;\n       proxy_cache off;",
)
CUT = Cause(
    "cut",
    "an answer ended before its announced length: a proxy could not store it, or gave up",
    "nginx: proxy_buffering off;\nits error log tells of files that it could not write",
)
BUFFERING = Cause(
    "buffering",
    "the proxy collects an answer before it passes it on. Socket.IO's answers are whole and get through, but the proxy "
    "takes large ones in place of a slow client, so the server believes it has them; answers that stream come late",
    "nginx: proxy_buffering off;",
)
UPGRADE_HEADER = Cause(
    "upgrade-header",
    "the proxy does not pass on that the connection shall become a WebSocket, so clients stay with long-polling",
    "nginx: proxy_http_version 1.1;\n"
    "       proxy_set_header Upgrade $http_upgrade;\n"
    '       proxy_set_header Connection "upgrade";',
)
NO_WEBSOCKET = Cause(
    "no-websocket",
    "something between does not let WebSockets through",
    "the proxy, content delivery network or firewall: allow WebSockets for %(path)s",
)
IDLE = Cause(
    "idle-timeout",
    "a proxy ends connections on which nothing was sent for about %(seconds).0f seconds, and does not wait for the "
    "server's heartbeat, which comes every %(interval)g seconds",
    "nginx: proxy_read_timeout %(enough).0fs;\n       proxy_send_timeout %(enough).0fs;\n"
    "or a shorter heartbeat, the setting ping_interval = %(shorter)g",
)
LIFETIME = Cause(
    "lifetime",
    "something between ends connections of that age, though they are alive: clients have to connect anew each time",
    "the proxy's or balancer's limit for a whole connection, like HAProxy's timeout tunnel",
)
NO_PING = Cause(
    "no-heartbeat",
    "the server's heartbeat does not get through, though the connection is open: something holds back what is sent",
    "nginx: proxy_buffering off;",
)
PUT_OUT = Cause(
    "put-out",
    "the server ended the connection itself: the application turns this visitor away, or the server was stopped",
    "nothing in the proxy; who is turned away can stay for less than the setting connect_timeout: doctor --idle 40",
)
BODY_SIZE = Cause(
    "body-size",
    "the proxy takes smaller requests than the server's max_payload",
    "nginx: client_max_body_size %(size)s;\nor the setting max_payload to what the proxy takes",
)
BROKEN = Cause(
    "broken",
    "the connection broke, or what came was no answer",
    "the error log of the proxy, or of the server, tells more",
)
