"""Polls: the HTTP of long-polling, from the body of a request to the headers of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .compression import choose_coding, compress
from .engine.session import Session
from .errors import LimitExceeded
from .hub import Hub
from .logs import logger
from .origins import Origins
from .reasons import TRANSPORT_ERROR
from .responses import NO_STORE, Answer, Headers, Later, plain
from .transports.polling import OK, Polling, PollResult
from .transports.requests import CLOSE
from .transports.streams import Connection
from .uploads import read_upload
from .wire import jsonp
from .wire.prepared import Prepared, encode_payload

BINARY = "application/octet-stream"
#: What a POST is answered that is beyond a limit; the first of these leaves the session as it is.
TOO_LARGE, TOO_SLOW = "413 Payload Too Large", "408 Request Timeout"


class Polls:
    """Answers the polling requests for one hub's sessions."""

    def __init__(self, hub: Hub, origins: Origins) -> None:
        self._hub = hub
        self._settings = hub.settings
        self._origins = origins

    def begin(
        self, environ: Mapping[str, Any], query: Mapping[str, str], session: Session, opening: Prepared
    ) -> Answer:
        """Answer a handshake with the first packet of its session."""
        payload = encode_payload((opening,), session.dialect)
        return self._packets(environ, query, PollResult(OK, *payload), session)

    def answer(
        self, environ: dict[str, Any], query: Mapping[str, str], session: Session, connection: Connection | None
    ) -> Later | Answer:
        """Answer a request of a session that is on long-polling."""
        polling: Polling = session.carrier
        self._origins.recall(environ, session.peer.request)
        method = environ["REQUEST_METHOD"]
        if method == "GET":
            return lambda: self._packets(environ, query, polling.get(connection), session)
        if method == "POST":
            return lambda: self._post(environ, query, polling, session, connection)
        return Answer("500 Internal Server Error", [("Content-Length", "0")])

    def _post(
        self,
        environ: dict[str, Any],
        query: Mapping[str, str],
        polling: Polling,
        session: Session,
        connection: Connection | None,
    ) -> Answer:
        headers = self._headers(environ)
        is_binary = environ.get("CONTENT_TYPE", "") == BINARY
        if is_binary and not session.dialect.binary_payloads:
            self._hub.end(session, TRANSPORT_ERROR)
            return plain("400 Bad Request", headers)
        if not polling.begin_post(connection):
            return plain("400 Bad Request", [*headers, CLOSE])
        try:
            read = self._read(environ, polling)
            body = jsonp.unwrap(read) if "j" in query else read
            result = PollResult(OK, b"ok") if body is None else polling.post(body, is_binary)
        except LimitExceeded as error:
            return self._beyond(session, error, headers)
        finally:
            polling.end_post()
        return plain(result.status, headers, result.body)

    def _beyond(self, session: Session, error: LimitExceeded, headers: Headers) -> Answer:
        logger.info("%s: its POST is beyond a limit: %s", session, error, extra=session.log_fields)
        reason = self._hub.exceeded(error.limit)
        text = str(error).encode()
        if error.limit == "max_payload":
            return plain(TOO_LARGE, headers, text)
        self._hub.end(session, reason)
        return plain(TOO_SLOW, [*headers, CLOSE], text)

    def _headers(self, environ: Mapping[str, Any]) -> Headers:
        """The headers of every answer to a GET or POST of a session."""
        agent = environ.get("HTTP_USER_AGENT", "")
        old_explorer = [("X-XSS-Protection", "0")] if ";MSIE" in agent or "Trident/" in agent else []
        return [NO_STORE, *old_explorer, *self._origins.headers(environ)]

    def _cookie(self, environ: Mapping[str, Any], session: Session) -> str:
        name, same_site = self._settings.cookie, self._settings.cookie_samesite
        # Browsers drop a cookie for all sites that is not Secure.
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" or same_site == "None" else ""
        return f"{name}={session.sid}; Path=/; HttpOnly; SameSite={same_site}{secure}"

    def _read(self, environ: Mapping[str, Any], polling: Polling) -> bytes:
        """Read the body of a request. Raises LimitExceeded if it is too large or too slow."""
        upload = read_upload(environ, self._settings.max_payload)
        if not upload.is_whole:
            polling.fail_post()
        return upload.data

    def _packets(
        self, environ: Mapping[str, Any], query: Mapping[str, str], result: PollResult, session: Session
    ) -> Answer:
        headers = self._headers(environ)
        if not result.body:
            return plain(result.status, headers)
        body, kind = result.body, BINARY if result.is_binary else "text/plain; charset=UTF-8"
        if "j" in query:
            body, kind = jsonp.wrap(body, query["j"]), "text/javascript; charset=UTF-8"
        if self._settings.cookie and "sid" not in query:
            headers.append(("Set-Cookie", self._cookie(environ, session)))
        threshold = self._settings.compression_threshold
        if threshold and len(body) >= threshold:
            coding = choose_coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
            if coding is not None:
                body = compress(body, coding)
                headers += [("Content-Encoding", coding), ("Vary", "Accept-Encoding")]
        headers += [("Content-Type", kind), ("Content-Length", str(len(body)))]
        return Answer(result.status, headers, body)
