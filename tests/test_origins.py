"""Which pages may connect, and what their browsers are told."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.origin_rules import OriginRule
from webpy_socketio.origins import METHODS, Origins
from webpy_socketio.settings import load_settings

VARY = ("Vary", "Origin")
PREFLIGHT = [("Access-Control-Allow-Methods", METHODS), ("Access-Control-Max-Age", "7200")]


def policy(*origins: OriginRule, credentials: bool = False) -> Origins:
    """The policy that declares these origins."""
    return Origins(
        load_settings({"cors_origins": origins, "cors_credentials": credentials}), (Exception, gevent.Timeout)
    )


def request(origin: str | None, host: str | None = "example.com", scheme: str = "http", **more: str) -> dict[str, Any]:
    """The environ of a request."""
    environ: dict[str, Any] = {"wsgi.url_scheme": scheme, **more}
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    if host is not None:
        environ["HTTP_HOST"] = host
    return environ


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (None, "example.com", "http"),
        (None, None, "http"),
        ("http://example.com", "example.com", "http"),
        ("http://example.com", "example.com:80", "http"),
        ("http://example.com:80", "example.com", "http"),
        ("http://example.com:8000", "example.com:8000", "http"),
        ("https://example.com", "example.com", "https"),
        ("https://example.com", "example.com:443", "https"),
        ("https://example.com:443", "example.com", "https"),
        ("https://example.com", "example.com", "http"),
        ("https://example.com:8443", "example.com:8443", "http"),
        ("HTTP://EXAMPLE.com", "Example.COM", "http"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "http"),
        ("http://[::1]:8000", "[::1]:8000", "http"),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example", "http"),
    ],
)
def test_own_page(origin: str | None, host: str | None, scheme: str) -> None:
    assert policy().allows(request(origin, host, scheme))


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://evil.com", "example.com", "http"),
        ("http://example.com.evil.com", "example.com", "http"),
        ("http://evilexample.com", "example.com", "http"),
        ("http://www.example.com", "example.com", "http"),
        ("http://example.com", "www.example.com", "http"),
        ("http://example.com@evil.com", "example.com", "http"),
        ("http://evil.com/example.com", "example.com", "http"),
        ("http://evil.com?http://example.com", "example.com", "http"),
        ("http://example.com:8000", "example.com", "http"),
        ("http://example.com", "example.com:8000", "http"),
        ("http://example.com:8001", "example.com:8000", "http"),
        ("http://example.com", "example.com", "https"),
        ("null", "example.com", "http"),
        ("null", "null", "http"),
        ("", "example.com", "http"),
        ("", "", "http"),
        ("", None, "http"),
        ("http://", "", "http"),
        ("http://", None, "http"),
        ("file://", "example.com", "http"),
        ("file://example.com", "example.com", "http"),
        ("ftp://example.com", "example.com", "http"),
        ("chrome-extension://example.com", "example.com", "http"),
        ("//example.com", "example.com", "http"),
        ("example.com", "example.com", "http"),
        ("*", "example.com", "http"),
        ("http://example.com:x", "example.com", "http"),
        ("http://example.com:99999", "example.com:99999", "http"),
        ("http://example.com", "example.com:x", "http"),
        ("http://[", "example.com", "http"),
        ("http://[::1", "[::1", "http"),
        ("http://example.com", "[", "http"),
        ("http://example.com", None, "http"),
    ],
)
def test_foreign_page(origin: str, host: str | None, scheme: str) -> None:
    assert not policy().allows(request(origin, host, scheme))


@pytest.mark.parametrize(
    ("declared", "origin", "allowed"),
    [
        (["https://a.com"], "https://a.com", True),
        (["https://a.com"], "HTTPS://A.com", True),
        (["https://A.com/"], "https://a.com", True),
        (["https://a.com", "https://b.com:8443"], "https://b.com:8443", True),
        (["https://a.com"], "http://a.com", False),
        (["https://a.com"], "https://a.com:8443", False),
        (["https://a.com"], "https://a.com.evil.com", False),
        (["https://a.com"], "https://sub.a.com", False),
        (["https://a.com"], "null", False),
        (["https://a.com"], "", False),
        (["null"], "null", True),
        (["*"], "https://anyone.com", True),
        (["*"], "null", True),
        (["https://a.com:443"], "https://a.com", True),
        (["https://a.com"], "https://a.com:443", True),
        (["http://a.com:443"], "http://a.com", False),
        (["http://[::1]:8000"], "http://[::1]:8000", True),
        (["capacitor://localhost"], "capacitor://localhost", True),
        (["https://a.com"], "http://example.com", True),
        (["https://*.a.com"], "https://b.a.com", True),
        (["https://*.a.com"], "https://C.B.A.com", True),
        (["https://*.a.com/"], "https://b.a.com", True),
        (["https://*.a.com", "https://a.com"], "https://a.com", True),
        (["https://*.a.com"], "https://a.com", False),
        (["https://*.a.com"], "https://.a.com", False),
        (["https://*.a.com"], "https://b..a.com", False),
        (["https://*.a.com"], "https://evil-a.com", False),
        (["https://*.a.com"], "https://b.evil-a.com", False),
        (["https://*.a.com"], "https://b.a.com.evil.net", False),
        (["https://*.a.com"], "https://b.axcom", False),
        (["https://*.a.com"], "https://evil.net/b.a.com", False),
        (["https://*.a.com"], "https://evil.net#b.a.com", False),
        (["https://*.a.com"], "https://evil.net:80.a.com", False),
        (["https://*.a.com"], "https://evil.net@b.a.com", False),
        (["https://*.a.com"], "https://b.a.com\n", False),
        (["https://*.a.com"], "http://b.a.com", False),
        (["https://*.a.com"], "https://b.a.com:8443", False),
        (["https://*.a.com:8443"], "https://b.a.com:8443", True),
        (["https://*.a.com:443"], "https://b.a.com", True),
        ([re.compile(r"https://[ab]\.example")], "https://b.example", True),
        ([re.compile(r"https://[ab]\.example")], "https://b.example.com", False),
        ([re.compile(r"[ab]\.example")], "https://b.example", False),
        (["https://c.example", re.compile("https://b")], "https://b", True),
    ],
)
def test_declared_page(declared: list[OriginRule], origin: str, allowed: bool) -> None:
    environ = request(origin)
    assert policy(*declared).allows(environ) == allowed
    readable = ("Access-Control-Allow-Origin", origin) in policy(*declared).headers(environ)
    assert readable == (allowed and (origin != "http://example.com" and declared != ["*"]))


def test_a_long_origin_is_judged_quickly() -> None:
    origins = policy("https://*.example.com")
    started = time.perf_counter()
    for origin in ("https://" + "a." * 4000 + "b", "https://" + "a" * 8000, "https://" + "-" * 8000 + ".example.co"):
        assert not origins.allows(request(origin))
    assert time.perf_counter() - started < 1


# Functions


class Judge:
    """Decides, and remembers what it was asked."""

    def __init__(self, verdict: object) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, str]] = []

    def __call__(self, origin: str, environ: Mapping[str, Any]) -> object:
        """Decide."""
        self.asked.append((origin, environ["HTTP_HOST"]))
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict


ALLOWED = ("Access-Control-Allow-Origin", "https://a.com")


@pytest.mark.parametrize("verdict", [True, 1, "yes"])
def test_a_function_allows(verdict: object) -> None:
    judge = Judge(verdict)
    origins, environ = policy(judge), request("https://a.com")
    assert origins.allows(environ)
    assert origins.headers(environ) == [VARY, ALLOWED]
    assert judge.asked == [("https://a.com", "example.com")]


@pytest.mark.parametrize("verdict", [False, None, 0, ""])
def test_a_function_refuses(verdict: object) -> None:
    origins, environ = policy(Judge(verdict)), request("https://a.com")
    assert not origins.allows(environ)
    assert origins.headers(environ) == [VARY]


def test_a_function_that_fails_refuses_and_the_next_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(LookupError("no database"))
    assert not policy(judge).allows(request("https://a.com\x1b[2J"))
    assert "of cors_origins raised LookupError about a page of https://a.com\\x1b[2J, which is refused" in caplog.text
    assert "no database" in caplog.text
    assert policy(judge, Judge(True)).allows(request("https://a.com"))


def test_a_function_that_takes_too_long_is_refused_like_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(gevent.Timeout(1))
    assert not policy(judge).allows(request("https://a.com"))
    assert "of cors_origins raised Timeout about a page of https://a.com, which is refused" in caplog.text


class LaterJudge:
    """Its answers are still to come, which is not seen before it is asked."""

    async def __call__(self, origin: str, environ: Mapping[str, Any]) -> bool:
        """Decide."""
        return False


def wrapped(origin: str, environ: Mapping[str, Any]) -> Any:
    """Call an async function as a plain one would be."""
    return LaterJudge()(origin, environ)


def doubtful(origin: str, environ: Mapping[str, Any]) -> Iterator[bool]:
    """Yield instead of returning."""
    yield False


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("function", [LaterJudge(), wrapped, doubtful])
def test_an_answer_that_is_still_to_come_allows_nobody(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    origins, environ = policy(function), request("https://a.com")
    assert not origins.allows(environ)
    assert origins.headers(environ) == [VARY]
    assert origins.preflight(request("https://a.com")) == [VARY, *PREFLIGHT]
    assert "whose result nobody waits for here; take a plain function" in caplog.text


def test_functions_are_asked_about_nothing_that_is_allowed_anyway() -> None:
    judge = Judge(False)
    origins = policy(judge, "https://a.com", "https://*.b.com")
    for origin in ("https://a.com", "https://x.b.com", "http://example.com", None):
        assert origins.allows(request(origin))
    assert judge.asked == []


def test_functions_are_not_asked_about_the_requests_of_a_session() -> None:
    """These are judged where nothing may wait."""
    judge = Judge(True)
    origins = policy(judge)
    poll, other = request("https://a.com"), request("https://b.com")
    assert origins.headers(request("https://a.com")) == [VARY]
    for environ in (poll, other):
        origins.recall(environ, request("https://a.com"))
    assert (origins.headers(poll), origins.headers(other)) == ([VARY, ALLOWED], [VARY])
    assert judge.asked == []


def test_a_function_answers_a_preflight() -> None:
    judge = Judge(True)
    headers = policy(judge).preflight(request("https://a.com"))
    assert headers is not None and ALLOWED in headers
    refused = policy(Judge(False)).preflight(request("https://a.com"))
    assert refused == [VARY, *PREFLIGHT]


def test_nothing_illegal_is_asked_about_or_reflected() -> None:
    judge = Judge(True)
    environ = request("https://a.com\r\nSet-Cookie: x=1")
    assert policy(judge).preflight(environ) == [VARY, *PREFLIGHT]
    assert policy("*", credentials=True).headers(environ) == [VARY]
    assert judge.asked == []


def test_origin_that_is_empty_is_not_declared_by_a_trailing_comma() -> None:
    origins = Origins(load_settings({"cors_origins": "https://a.com, "}), (Exception,))
    assert not origins.allows(request(""))


@pytest.mark.parametrize(
    ("origin", "legal"),
    [
        (None, True),
        ("", True),
        ("https://a.com", True),
        ("https://\xe9.com", True),
        ("a\tb", True),
        ("https://a.com\r\nSet-Cookie: x=1", False),
        ("https://a.com\n", False),
        ("\x00", False),
        ("\x7f", False),
        ("\x1b[2J", False),
        ("\u20ac", False),
    ],
)
def test_is_legal(origin: str | None, legal: bool) -> None:
    assert policy().is_legal(request(origin)) == legal


ANY = [("Access-Control-Allow-Origin", "*")]
CREDENTIALS = ("Access-Control-Allow-Credentials", "true")


@pytest.mark.parametrize(
    ("declared", "credentials", "origin", "headers"),
    [
        ([], False, None, []),
        ([], False, "https://a.com", []),
        ([], True, "https://a.com", []),
        (["*"], False, "https://a.com", ANY),
        (["*"], False, None, ANY),
        (["*", "https://a.com"], False, "https://a.com", ANY),
        (["*"], True, "https://a.com", [VARY, ("Access-Control-Allow-Origin", "https://a.com"), CREDENTIALS]),
        (["*"], True, None, [VARY]),
        (["https://a.com"], False, "https://a.com", [VARY, ("Access-Control-Allow-Origin", "https://a.com")]),
        (
            ["https://a.com"],
            True,
            "https://a.com",
            [VARY, ("Access-Control-Allow-Origin", "https://a.com"), CREDENTIALS],
        ),
        (["https://a.com"], True, "https://b.com", [VARY]),
        (["https://a.com"], True, None, [VARY]),
    ],
)
def test_headers(declared: list[str], credentials: bool, origin: str | None, headers: list[tuple[str, str]]) -> None:
    assert policy(*declared, credentials=credentials).headers(request(origin)) == headers


def test_preflight_without_declared_origins() -> None:
    assert policy().preflight(request("https://a.com")) is None


def test_preflight() -> None:
    environ = request("https://a.com", HTTP_ACCESS_CONTROL_REQUEST_HEADERS="content-type,x-token")
    assert policy("https://a.com").preflight(environ) == [
        VARY,
        ("Access-Control-Allow-Origin", "https://a.com"),
        *PREFLIGHT,
        ("Vary", "Access-Control-Request-Headers"),
        ("Access-Control-Allow-Headers", "content-type,x-token"),
    ]


def test_preflight_of_a_page_that_was_not_declared() -> None:
    headers = policy("https://a.com").preflight(request("https://b.com"))
    assert headers == [VARY, *PREFLIGHT]


@pytest.mark.parametrize("wanted", ["", "x\r\nSet-Cookie: a=1", "\x00", "€"])
def test_preflight_reflects_nothing_illegal(wanted: str) -> None:
    headers = policy("*").preflight(request("https://a.com", HTTP_ACCESS_CONTROL_REQUEST_HEADERS=wanted))
    assert headers == [*ANY, *PREFLIGHT]


@given(st.text(), st.none() | st.text(), st.sampled_from(["http", "https"]))
def test_any_origin_is_judged(origin: str, host: str | None, scheme: str) -> None:
    environ = request(origin, host, scheme)
    assert policy().headers(environ) == []
    if policy().allows(environ):
        assert host
        assert origin.lower().startswith(("http://", "https://"))
    assert policy("*").allows(environ)


@pytest.mark.parametrize(
    ("headers", "is_script", "allowed"),
    [
        ({}, False, True),
        ({}, True, True),
        ({"HTTP_SEC_FETCH_SITE": "none"}, True, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_REFERER": "http://example.com/page"}, True, True),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, False, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, True, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_REFERER": "https://evil.com/page"}, True, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_REFERER": "https://friend.com/page?a=b"}, True, True),
        ({"HTTP_REFERER": "https://evil.com/page"}, False, True),
        ({"HTTP_REFERER": "https://evil.com/page"}, True, False),
        ({"HTTP_REFERER": "https://friend.com/"}, True, True),
        ({"HTTP_REFERER": "http://example.com/page"}, True, True),
    ],
)
def test_a_page_that_does_not_tell_its_origin(headers: dict[str, str], is_script: bool, allowed: bool) -> None:
    """A script element asks with cookies and without Origin, and its answer can be read by the page."""
    environ = {"HTTP_HOST": "example.com", "wsgi.url_scheme": "http", **headers}
    assert policy("https://friend.com").allows(environ, is_script) == allowed
