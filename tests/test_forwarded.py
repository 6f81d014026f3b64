"""What trusted proxies say of their clients, and that nobody else is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import SettingsError
from webpy_socketio.forwarded import LONGEST_CHAIN, Forwarded
from webpy_socketio.options import RFC_7239, X_FORWARDED
from webpy_socketio.origins import Origins
from webpy_socketio.settings import Settings, load_settings
from webpy_socketio.transports.proxy_headers import ProxiedAddress

PROXY = ("10.0.0.1", 4711)
TRUSTED = ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "unix")


def believing(trusted: tuple[str, ...], header: str = X_FORWARDED) -> Forwarded:
    """What believes these proxies when they write this header."""
    return Forwarded(load_settings({"trusted_proxies": trusted, "forwarded_header": header}))


def ask(*headers: str, address: Any = PROXY, trusted: tuple[str, ...] = TRUSTED, proto: str = "") -> dict[str, Any]:
    """The environ of a request with these lines of X-Forwarded-For, which a server joins with commas."""
    environ: dict[str, Any] = {"wsgi.url_scheme": "http"}
    if isinstance(address, tuple):
        environ |= {"REMOTE_ADDR": address[0], "REMOTE_PORT": str(address[1])}
    if headers:
        environ["HTTP_X_FORWARDED_FOR"] = ",".join(headers)
    if proto:
        environ["HTTP_X_FORWARDED_PROTO"] = proto
    believing(trusted).apply(environ, address)
    return environ


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["  198.51.100.7\t"], "198.51.100.7"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["2a00::7"], "2a00::7"),
        (["2A00:0:0::7"], "2a00::7"),
        (["[2a00::7]"], "2a00::7"),
        (["[2a00::7]:4711"], "2a00::7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        # Only what trusted proxies have written counts: the client may have sent the rest.
        (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9,198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7", "10.0.0.2", "192.0.2.1"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7, [2001:db8::5]:80, ::ffff:10.1.2.3"], "198.51.100.7"),
        (["nonsense, 198.51.100.7"], "198.51.100.7"),
        (["x" * 60_000 + ", 198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, " * 5_000 + "198.51.100.7"], "198.51.100.7"),
        # All of them are trusted: a request from one's own network.
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["10.9.9.9, " + "10.0.0.2, " * LONGEST_CHAIN + "10.0.0.3"], "10.0.0.2"),
        # Who did not know who asked it counts as the client.
        (["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        (["198.51.100.7, , 10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(headers: list[str], client: str) -> None:
    environ = ask(*headers)
    assert (environ["REMOTE_ADDR"], environ["PROXY_ADDR"]) == (client, "10.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        "", " ", ",", "unknown", "_hidden", "localhost", "198.51.100", "198.51.100.256", "198.51.100.07", "1.2.3.4.5",
        "198.51.100.7:", "198.51.100.7:x", "198.51.100.7:65536", "198.51.100.7:123456", "[2a00::7", "2a00::7]",
        "[2a00::7]x", "2a00:::7", "fe80::1%eth0", "fe80::1%\x1b[31m", "198.51.100.7\r\nX: y", '"198.51.100.7"',
        "198.51.100.7 x", "198.51.100.7/32", "198.51.100.7, unknown", "198.51.100.7, ", "\xb9.2.3.4", "1" * 60_000,
        "for=198.51.100.7", "http://198.51.100.7",
    ],
)  # fmt: skip
def test_what_is_no_address_leaves_the_proxys(header: str) -> None:
    assert ask(header) == ask() | {"HTTP_X_FORWARDED_FOR": header}


def test_the_port_is_the_clients_or_none() -> None:
    assert ask("198.51.100.7:99")["REMOTE_PORT"] == "99"
    assert ask("[2a00::7]:99")["REMOTE_PORT"] == "99"
    assert "REMOTE_PORT" not in ask("198.51.100.7")
    assert ask()["REMOTE_PORT"] == "4711"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"), ("http", "http"), ("HTTPS", "https"), (" https ", "https"), ("wss", "https"),
        ("ws", "http"), ("http, https", "https"), ("http,https", "https"), ("https,http", "http"), ("ftp", "http"),
        ("https:", "http"), ("https,", "http"), ("", "http"), ("x" * 60_000, "http"),
    ],
)  # fmt: skip
def test_the_scheme_is_what_the_last_proxy_says(proto: str, scheme: str) -> None:
    assert ask(proto=proto)["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        (("10.0.0.1", 1), True),
        (("10.255.255.255", 1), True),
        (("192.0.2.1", 1), True),
        (("192.0.2.2", 1), False),
        (("11.0.0.1", 1), False),
        (("::ffff:10.0.0.1", 1, 0, 0), True),
        (("::ffff:11.0.0.1", 1, 0, 0), False),
        (("2001:db8::1", 1, 0, 0), True),
        (("2001:db9::1", 1, 0, 0), False),
        (("::1", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), False),
        (("localhost", 1), False),
        (("", 1), False),
        ("", True),
        (b"", True),
        (ProxiedAddress("10.0.0.1", 1, "10.0.0.2", True), True),
        (ProxiedAddress("198.51.100.7", 1, "10.0.0.1", True), False),
        (ProxiedAddress("10.0.0.1", 1, "10.0.0.1", False), False),
    ],
)
def test_who_is_trusted(address: Any, is_trusted: bool) -> None:
    environ = ask("198.51.100.7", address=address, proto="https")
    assert believing(TRUSTED).is_trusted(address) == is_trusted
    assert environ["wsgi.url_scheme"] == ("https" if is_trusted else "http")
    assert (environ.get("REMOTE_ADDR") == "198.51.100.7") == (is_trusted or address[0:1] == ("198.51.100.7",))


def test_a_unix_socket_is_trusted_by_name_only() -> None:
    assert ask("198.51.100.7", address="", trusted=("0.0.0.0/0", "::/0")) == {
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_FOR": "198.51.100.7",
    }
    environ = ask("198.51.100.7", address="", trusted=("unix",))
    assert (environ["REMOTE_ADDR"], environ["PROXY_ADDR"]) == ("198.51.100.7", "unix")


def test_a_proxy_behind_one_that_sends_proxy_headers() -> None:
    environ = ask("198.51.100.7", address=ProxiedAddress("10.0.0.2", 4711, "10.0.0.1", True))
    assert (environ["REMOTE_ADDR"], environ["PROXY_ADDR"]) == ("198.51.100.7", "10.0.0.1")


def test_at_the_door_of_another_server_its_own_environ_tells_who_asks() -> None:
    for own, client in [
        ({"REMOTE_ADDR": "10.0.0.1"}, "198.51.100.7"), ({"REMOTE_ADDR": "11.0.0.1"}, "11.0.0.1"),
        ({"REMOTE_ADDR": ""}, "198.51.100.7"), ({}, "198.51.100.7"), ({"REMOTE_ADDR": "localhost"}, "localhost"),
    ]:  # fmt: skip
        environ = {"HTTP_X_FORWARDED_FOR": "198.51.100.7", **own}
        believing(TRUSTED).apply_at_door(environ)
        assert environ["REMOTE_ADDR"] == client


PIECES = st.sampled_from(
    ["10.0.0.2", "198.51.100.7", "[2001:db8::1]:8", "unknown", "", ",", ":", "[", "]", "%", "\xe9"]
)


@given(st.lists(PIECES).map(", ".join) | st.text(st.characters(max_codepoint=255)))
def test_twice_is_as_good_as_once(header: str) -> None:
    environ = ask(header)
    again = dict(environ)
    believing(TRUSTED).apply(again, (environ["REMOTE_ADDR"], 1))
    assert again["REMOTE_ADDR"] == environ["REMOTE_ADDR"]
    assert environ["REMOTE_ADDR"].isascii()
    assert environ["REMOTE_ADDR"].isprintable()


# Forwarded.


def ask_forwarded(header: str, address: Any = PROXY, **more: str) -> list[Any]:
    """The address, the port, and the scheme of a request with this header Forwarded."""
    environ = {"wsgi.url_scheme": "http", "REMOTE_ADDR": PROXY[0], "REMOTE_PORT": str(PROXY[1])}
    environ |= {"HTTP_FORWARDED": header, **more}
    believing(TRUSTED, RFC_7239).apply(environ, address)
    return [environ["REMOTE_ADDR"], environ.get("REMOTE_PORT"), environ["wsgi.url_scheme"]]


SAME = ["10.0.0.1", "4711", "http"]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("for=198.51.100.7", ["198.51.100.7", None, "http"]),
        ("For=198.51.100.7;Proto=HTTPS;by=203.0.113.1;host=example.com", ["198.51.100.7", None, "https"]),
        ('for="198.51.100.7:99" ; proto="https"', ["198.51.100.7", "99", "https"]),
        ('for="198.51.100.7:_hidden"', ["198.51.100.7", None, "http"]),
        ('for="[2a00::7]"', ["2a00::7", None, "http"]),
        ('for="[2A00::7]:99"', ["2a00::7", "99", "http"]),
        (r'for="198.51.100.\7"', ["198.51.100.7", None, "http"]),
        (";for=198.51.100.7;;", ["198.51.100.7", None, "http"]),
        ("\tfor=198.51.100.7 ", ["198.51.100.7", None, "http"]),
        ("proto=wss", [*SAME[:2], "https"]),
        # Several proxies, and what the client itself has sent before that.
        ("for=203.0.113.9, for=198.51.100.7", ["198.51.100.7", None, "http"]),
        ("for=203.0.113.9,for=198.51.100.7;proto=https,for=10.0.0.2;proto=http", ["198.51.100.7", None, "https"]),
        ('for=198.51.100.7, for="[2001:db8::5]:80", for=10.0.0.2', ["198.51.100.7", None, "http"]),
        ("for=203.0.113.9;proto=https, for=198.51.100.7", ["198.51.100.7", None, "http"]),
        ("for=198.51.100.7, for=10.0.0.2;proto=https", ["198.51.100.7", None, "https"]),
        ("for=10.0.0.3;proto=https, for=10.0.0.2", ["10.0.0.3", None, "https"]),
        ('for=198.51.100.7;by="a, for=6.6.6.6;x=\\"y"', ["198.51.100.7", None, "http"]),
        # Who did not know who asked it counts as the client, but knew by what scheme.
        ("for=198.51.100.7, for=unknown, for=10.0.0.2", ["10.0.0.2", None, "http"]),
        ("for=_hidden;proto=https, for=10.0.0.2;proto=http", ["10.0.0.2", None, "https"]),
        ('for=203.0.113.9;proto=http, for="_hidden:_too";proto=https', [*SAME[:2], "https"]),
        ("for=198.51.100.7, , for=10.0.0.2", ["10.0.0.2", None, "http"]),
        # Whatever the client sent, it does not change how the rest is read.
        ('for="6.6.6.6, for=198.51.100.7', ["198.51.100.7", None, "http"]),
        ('for=6.6.6.6;x=", for=198.51.100.7', ["198.51.100.7", None, "http"]),
        ('for=6.6.6.6;x=", for="[2a00::7]"', ["2a00::7", None, "http"]),
        ('for=6.6.6.6;x=", for="[2a00::7]";by="_x"', ["2a00::7", None, "http"]),
        ('for=6.6.6.6;x="\\, for=198.51.100.7', ["198.51.100.7", None, "http"]),
        ('x="a" for=6.6.6.6, for=10.0.0.2', ["10.0.0.2", None, "http"]),
        ('"' * 60_000 + ", for=198.51.100.7", ["198.51.100.7", None, "http"]),
        ("for=6.6.6.6," * 5_000 + "for=198.51.100.7", ["198.51.100.7", None, "http"]),
        ("for=10.0.0.2," * LONGEST_CHAIN + "for=10.0.0.3", ["10.0.0.2", None, "http"]),
    ],
)
def test_forwarded_tells_the_client(header: str, told: list[Any]) -> None:
    assert ask_forwarded(header) == told


@pytest.mark.parametrize(
    "header",
    [
        "", " ", ",", ";", "unknown", "198.51.100.7", "for=unknown", "for=_hidden", "for=", 'for=""', "for",
        "for 1.2.3.4", "for= 198.51.100.7", "for=198.51.100.7:99", "for=[2a00::7]", 'for="198.51.100.7',
        'for=198.51.100.7"', "for=a.example",
        'for="198.51.100.7"x', "for=198.51.100.7 by=x", "for=198.51.100.7;for=6.6.6.6", "for=198.51.100.7;FOR=1.1.1.1",
        "for=198.51.100.7;x", "for=198.51.100.7,", "for=198.51.100.7;proto=ht tp", "by=198.51.100.7",
        'for="198.51.100.7:99999"', 'for="fe80::1%eth0"', 'for="\x00"', 'for="1"' * 20_000, "for=" + "1" * 60_000,
        "," * 60_000 + 'for="', 'for=6.6.6.6;x="' + "," * 60_000 + '"',
    ],
)  # fmt: skip
def test_what_forwarded_does_not_tell_leaves_the_proxys(header: str) -> None:
    assert ask_forwarded(header) == SAME


def test_only_the_header_that_the_proxies_write_is_believed() -> None:
    """A proxy that knows the one passes the other on, and a client can send it."""
    both = {"HTTP_X_FORWARDED_FOR": "6.6.6.6", "HTTP_X_FORWARDED_PROTO": "https"}
    assert ask_forwarded("for=198.51.100.7", **both) == ["198.51.100.7", None, "http"]
    assert ask_forwarded("", **both) == SAME
    environ = {"REMOTE_ADDR": "10.0.0.1", "wsgi.url_scheme": "http", "HTTP_FORWARDED": "for=6.6.6.6;proto=https"}
    believing(TRUSTED).apply(environ, PROXY)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("10.0.0.1", "http")


def test_forwarded_of_nobody_who_is_trusted() -> None:
    assert ask_forwarded("for=198.51.100.7;proto=https", address=("11.0.0.1", 1)) == SAME


ELEMENTS = st.sampled_from(
    [
        "for=10.0.0.2",
        "for=6.6.6.6",
        'for="[2001:db8::1]:8"',
        "for=unknown",
        "proto=https",
        ",",
        ";",
        '"',
        "\\",
        "\xe9",
        "=",
    ]
)


@given(st.lists(ELEMENTS).map("".join) | st.text(st.characters(max_codepoint=255)))
def test_what_a_client_sends_first_counts_for_nothing(sent: str) -> None:
    for added in ("for=198.51.100.7", 'for="[2a00::7]:99";by="_a,b";proto=https', "proto=http;for=198.51.100.7"):
        assert ask_forwarded(f"{sent}, {added}") == ask_forwarded(added)


# Pages of the site itself, behind a proxy that takes the encryption off.


@pytest.mark.parametrize(
    ("origin", "proto", "is_allowed"),
    [
        ("https://example.com", "https", True),
        ("https://example.com", "http", True),  # another proxy before it may have taken it off
        ("http://example.com", "http", True),
        ("http://example.com", "https", False),  # anybody on the way could have written that page
        ("https://evil.example", "https", False),
    ],
)
def test_the_scheme_counts_for_the_sites_own_pages(origin: str, proto: str, is_allowed: bool) -> None:
    environ = ask(proto=proto) | {"HTTP_HOST": "example.com", "HTTP_ORIGIN": origin}
    assert Origins(Settings(), (Exception,)).allows(environ) == is_allowed


# The setting.


@pytest.mark.parametrize(
    ("value", "proxies"),
    [
        ("", ()),
        ("10.0.0.1", ("10.0.0.1",)),
        ("10.0.0.0/8, ::1,unix", ("10.0.0.0/8", "::1", "unix")),
        (["2001:db8::/32"], ("2001:db8::/32",)),
    ],
)
def test_proxies(value: Any, proxies: tuple[str, ...]) -> None:
    assert load_settings({"trusted_proxies": value}).trusted_proxies == proxies


@pytest.mark.parametrize("value", ["*", "localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "Unix", ":", 1, None, [1]])
def test_what_is_no_proxy(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"option trusted_proxies = "):
        load_settings({"trusted_proxies": value})


def test_the_error_says_what_is_wrong_and_how_to_write_it() -> None:
    with pytest.raises(SettingsError, match=r"10\.0\.0\.1/8 has host bits set; a proxy is written like '10\.0\.0\.7'"):
        load_settings({"trusted_proxies": ["10.0.0.1/8"]})
