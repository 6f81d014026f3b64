"""The cookie for load balancers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.raw import RawClient, get, sid_of
from tests.serving import ServerHere
from webpy_socketio.engineio import EngineIO


@pytest.mark.parametrize(
    ("same_site", "scheme", "is_secure"),
    [("Lax", "http", False), ("Lax", "https", True), ("Strict", "http", False), ("None", "http", True)],
)
def test_attributes(serve_here: Callable[..., ServerHere], same_site: str, scheme: str, is_secure: bool) -> None:
    engine = EngineIO(lambda client, message: None, cookie="io", cookie_samesite=same_site, trusted_proxies="127.0.0.1")
    client = RawClient(("127.0.0.1", serve_here(engine).port))
    where = "/engine.io/?EIO=4&transport=polling"
    answer = client.ask(get(where, f"X-Forwarded-Proto: {scheme}"))
    expected = [f"io={sid_of(answer)}", "Path=/", "HttpOnly", f"SameSite={same_site}", *["Secure"] * is_secure]
    assert answer.headers["Set-Cookie"].split("; ") == expected
    client.close()
