"""Publishing over HTTP: a POST's body goes to the subscribers of a channel, or of all channels below a prefix.

For programs that hold a key, and speak HTTP only; nobody has one unless ``publish_keys`` is set.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from .environs import bearer_token, compact_environ, has_text_path
from .errors import AckTimeout, EventError, HttpRefused, LimitExceeded, PacketError, RequestRefused, UnsendableValue
from .gate import LATER, Gate
from .logs import as_text, logger
from .repeats import Repeats
from .responses import Answer, in_json, refusal
from .services import Services
from .targets import Target, check_event_name, check_namespace, select
from .uploads import read_upload
from .wire.values import decode_value

#: Characters of an Idempotency-Key.
LONGEST_KEY = 255
PARAMETERS = ("event", "namespace")
UTF_8 = ("utf-8", "utf8", "us-ascii")
#: What curl and forms say of a body when nobody says what it is.
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]*)', re.IGNORECASE)
BAD, FORBIDDEN, TOO_LARGE = "400 Bad Request", "403 Forbidden", "413 Content Too Large"
NOT_FOUND, UNSUPPORTED, UNAVAILABLE = "404 Not Found", "415 Unsupported Media Type", "503 Service Unavailable"


class _Publication(NamedTuple):
    """What is to be sent, and to whom."""

    channel: str
    namespace: str
    event: str
    message: Any


class Publishing:
    """Answers the requests to publish by one server.

    :param services: what its sockets share.
    """

    def __init__(self, gate: Gate, services: Services) -> None:
        self._gate = gate
        self._hub = gate.hub
        self._services = services
        self._origins = gate.origins
        self._keys = tuple(key.encode() for key in gate.hub.settings.publish_keys)
        self._repeats = Repeats()
        self._warned = False

    def answer(self, environ: dict[str, Any], channel: str) -> Answer:
        """Answer a request; may wait.

        :param channel: what follows the path of publishing in the URL.
        """
        self._gate.identify(environ)
        if not self._keys:
            self._warn()
            return refusal(HttpRefused(NOT_FOUND, "not_found", "there is nothing here"))
        try:
            answer = self._answer(environ, channel)
        except HttpRefused as refused:
            self._hub.counters.publishes[refused.code] += 1
            return refusal(refused, self._origins.headers(environ))
        return answer._replace(headers=[*answer.headers, *self._origins.headers(environ)])

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("a request to publish over HTTP was answered 404: publish_keys is not set, so nobody may")

    def _answer(self, environ: dict[str, Any], channel: str) -> Answer:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            headers = self._origins.preflight(environ)
            if headers is not None:
                return Answer("204 No Content", headers)
        if method != "POST":
            raise HttpRefused("405 Method Not Allowed", "method", "publish with POST", ("Allow", "POST"))
        key = self._check_sender(environ)
        publication, body = self._read(environ, channel)
        repeat_key = environ.get("HTTP_IDEMPOTENCY_KEY")
        if repeat_key is None:
            return self._publish(environ, publication)
        if not 0 < len(repeat_key) <= LONGEST_KEY:
            raise HttpRefused(BAD, "idempotency_key", f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
        known = self._repeats.begin((key, repeat_key), _fingerprint(environ, channel, body), self._hub.runner.now())
        if known is not None:
            self._hub.counters.publishes["repeated"] += 1
            return known
        answer: Answer | None = None
        try:
            answer = self._publish(environ, publication)
        finally:
            self._repeats.end((key, repeat_key), answer)
        return answer

    # Judge.

    def _check_sender(self, environ: dict[str, Any]) -> bytes:
        """Return the key of whoever asks. Raises HttpRefused."""
        if not self._origins.is_legal(environ):
            raise HttpRefused(BAD, "origin", "the Origin is none")
        try:
            self._gate.check_origin(environ)
        except RequestRefused:
            raise HttpRefused(FORBIDDEN, "origin", "pages of this origin may not publish") from None
        key = bearer_token(environ, self._keys)
        if key is None:
            error = ', error="invalid_token"' if "HTTP_AUTHORIZATION" in environ else ""  # RFC 6750, section 3.1
            challenge = ("WWW-Authenticate", f'Bearer realm="publish"{error}')
            raise HttpRefused("401 Unauthorized", "unauthorized", "a key is needed, as a bearer token", challenge)
        if self._hub.draining:
            raise HttpRefused(UNAVAILABLE, "draining", "the server is stopping", LATER)
        return key

    def _read(self, environ: Mapping[str, Any], channel: str) -> tuple[_Publication, bytes]:
        """Return what a request wants, and its body. Raises HttpRefused."""
        _check_channel(environ, channel)
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        values = dict(query)
        unknown = [name for name in values if name not in PARAMETERS]
        if unknown or len(values) < len(query):
            raise HttpRefused(BAD, "query", f"of the URL's parameters there are {' and '.join(PARAMETERS)}, each once")
        event, namespace = values.get("event", "message"), values.get("namespace", "/")
        try:
            check_event_name(event)
            check_namespace(namespace)
            upload = read_upload(environ, self._hub.settings.max_payload)
        except EventError as error:
            raise HttpRefused(BAD, "query", str(error)) from None
        except LimitExceeded as error:
            self._hub.counters.limited[error.limit] += 1
            status = TOO_LARGE if error.limit == "max_payload" else "408 Request Timeout"
            raise HttpRefused(status, error.limit, str(error)) from None
        if not upload.is_whole:
            raise HttpRefused(BAD, "body", "the body did not arrive as it was announced")
        message = self._decode(environ.get("CONTENT_TYPE", ""), upload.data)
        return _Publication(channel, namespace, event, message), upload.data

    def _decode(self, content_type: str, body: bytes) -> str | bytes | Any:
        """Return the message that a body is. Raises HttpRefused."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind in FORMS:
            text = "a form is no message: say what the body is, with -H 'Content-Type: text/plain' if curl sends it"
            raise HttpRefused(UNSUPPORTED, "content_type", text)
        is_json = kind == "application/json" or kind.endswith("+json")
        if not is_json and not kind.startswith("text/"):
            return body
        charset = CHARSET.search(content_type)
        if charset is not None and charset[1].lower() not in UTF_8:
            raise HttpRefused(UNSUPPORTED, "charset", "text is taken in UTF-8")
        try:
            text = body.decode()
            return decode_value(text, self._hub.settings.max_json_depth) if is_json else text
        except UnicodeDecodeError:
            raise HttpRefused(BAD, "body", "the body is not UTF-8") from None
        except PacketError as error:
            raise HttpRefused(BAD, "body", f"the body is {error}") from None
        except LimitExceeded as error:
            self._hub.counters.limited[error.limit] += 1
            raise HttpRefused(BAD, error.limit, str(error)) from None

    # Send.

    def _publish(self, environ: Mapping[str, Any], publication: _Publication) -> Answer:
        services = self._services
        channel, namespace, event, message = publication
        channels = self._below(channel, namespace) if channel.endswith("/") else (channel,)
        reached = 0
        if channels:  # with none of them, the whole namespace would be meant
            try:
                reached = Target(services, select(namespace, channels, (), False)).emit(event, message)
            except (UnsendableValue, EventError) as error:
                raise HttpRefused(BAD, "message", str(error)) from None
        is_alone = services.backplane.is_alone
        if is_alone and not reached:
            raise HttpRefused(NOT_FOUND, "no_socket", "nobody here follows this channel")
        self._hub.counters.publishes["sent"] += 1
        if services.log.enabled:
            request = compact_environ(environ)
            request.pop("HTTP_AUTHORIZATION", None)  # no log is to have the key
            services.log.write(request, f"PUBLISH {channel}", message if isinstance(message, str) else as_text(message))
        # Who was reached by other processes, nobody knows: it is accepted (RFC 9110, section 15.3.3).
        return in_json("200 OK" if is_alone else "202 Accepted", {"reached": reached})

    def _below(self, prefix: str, namespace: str) -> tuple[str, ...]:
        """The channels below a prefix, in all processes. May wait; raises HttpRefused."""
        try:
            names = self._services.backplane.channels(namespace)
        except AckTimeout:
            text = "another process does not tell its channels, so nothing was sent"
            raise HttpRefused(UNAVAILABLE, "cluster", text, LATER) from None
        return tuple(name for name in names if name.startswith(prefix))


def _check_channel(environ: Mapping[str, Any], channel: str) -> None:
    """Raise HttpRefused for what is no channel's name; without one, everybody would be meant by a slip."""
    if not has_text_path(environ):
        raise HttpRefused(BAD, "channel", "the channel's name is not UTF-8")
    if not channel.strip("/"):
        raise HttpRefused(BAD, "channel", "the URL names no channel: POST to /publish/<channel>")


def _fingerprint(environ: Mapping[str, Any], channel: str, body: bytes) -> bytes:
    """What tells a request from others with the same key."""
    parts = (channel, environ.get("QUERY_STRING", ""), environ.get("CONTENT_TYPE", ""))
    head = orjson.dumps(parts)
    return hashlib.sha256(b"%d:%b%b" % (len(head), head, body)).digest()
