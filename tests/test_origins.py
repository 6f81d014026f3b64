"""Which pages may connect, and what their browsers are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.origins import METHODS, Origins
from webpy_socketio.settings import load_settings


def policy(*origins: str, credentials: bool = False) -> Origins:
    """The policy that declares these origins."""
    return Origins(load_settings({"cors_origins": origins, "cors_credentials": credentials}))


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
        (["https://*"], "https://anyone.com", False),
        (["https://a.com"], "http://example.com", True),
    ],
)
def test_declared_page(declared: list[str], origin: str, allowed: bool) -> None:
    assert policy(*declared).allows(request(origin)) == allowed


def test_origin_that_is_empty_is_not_declared_by_a_trailing_comma() -> None:
    origins = Origins(load_settings({"cors_origins": "https://a.com, "}))
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
VARY = ("Vary", "Origin")
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
        ("Access-Control-Allow-Methods", METHODS),
        ("Vary", "Access-Control-Request-Headers"),
        ("Access-Control-Allow-Headers", "content-type,x-token"),
    ]


def test_preflight_of_a_page_that_was_not_declared() -> None:
    headers = policy("https://a.com").preflight(request("https://b.com"))
    assert headers == [VARY, ("Access-Control-Allow-Methods", METHODS)]


@pytest.mark.parametrize("wanted", ["", "x\r\nSet-Cookie: a=1", "\x00", "€"])
def test_preflight_reflects_nothing_illegal(wanted: str) -> None:
    headers = policy("*").preflight(request("https://a.com", HTTP_ACCESS_CONTROL_REQUEST_HEADERS=wanted))
    assert headers == [*ANY, ("Access-Control-Allow-Methods", METHODS)]


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
