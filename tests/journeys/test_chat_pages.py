"""The pages of the chat example, as a browser without JavaScript sees them."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.serving import ROOT, Server, serve


class Page(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *args: object) -> None:
        return None


class Visitor:
    """Somebody with a browser: keeps cookies and fills forms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), Stay()).open

    def get(self, path: str) -> Page:
        return self._request(path, None)

    def post(self, path: str, **fields: str) -> Page:
        return self._request(path, urllib.parse.urlencode(fields).encode())

    def token(self, path: str = "/") -> str:
        match = re.search(r'name="csrf_token" value="([^"]{20,})"', self.get(path).text)
        assert match
        return match[1]

    def add_room(self, name: str) -> Page:
        return self.post("/", csrf_token=self.token(), room=name)

    def _request(self, path: str, body: bytes | None) -> Page:
        try:
            response = self._open(urllib.request.Request(self.url + path, body), timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Page(response.status, response.headers, response.read().decode())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the chat's file, where nothing is yet."""
    return tmp_path_factory.mktemp("chat") / "chat.sqlite3"


@pytest.fixture(scope="module")
def chat(database: Path) -> Iterator[Server]:
    """The running example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAT_DATABASE", str(database))
        with serve(ROOT / "example" / "main_app.py") as server:
            yield server


@pytest.fixture
def visitor(chat: Server) -> Visitor:
    """Somebody new."""
    return Visitor(chat.url)


def test_the_first_start_makes_the_database_and_a_room(visitor: Visitor, database: Path) -> None:
    page = visitor.get("/")
    assert page.status == 200
    assert "Lounge" in page.text
    assert database.exists()


def test_a_new_room_has_a_page_and_is_listed(visitor: Visitor) -> None:
    answer = visitor.add_room("  Garden \t shed ")
    assert answer.status == 303
    assert re.fullmatch(r"/rooms/\d+", answer.headers["Location"])
    assert "<h1>Garden shed</h1>" in visitor.get(answer.headers["Location"]).text
    assert '<span class="room-name">Garden shed</span>' in visitor.get("/").text


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Please enter a name."),
        ("   ", "Please enter a name."),
        ("x" * 31, "30 characters at most, this one has 31"),
        ("a\u202eb", "signs that can be seen"),
        ("a\x00b", "signs that can be seen"),
        ("LOUNGE", "There is a room called “LOUNGE” already."),
    ],
)
def test_a_room_that_cannot_be_opened_says_why(visitor: Visitor, name: str, problem: str) -> None:
    answer = visitor.add_room(name)
    assert answer.status == 400
    assert problem in answer.text
    assert 'aria-invalid="true" aria-describedby="problem"' in answer.text


def test_names_are_not_read_as_html(visitor: Visitor) -> None:
    room = "<script>alert(1)</script> &"[:30]
    shown = "&lt;script&gt;alert(1)&lt;/script&gt; &amp;"
    address = visitor.add_room(room).headers["Location"]
    for path in ("/", address, "/system"):
        page = visitor.get(path)
        assert shown in page.text
        assert "<script>alert" not in page.text
    again = visitor.add_room(room)
    assert f'value="{shown}"' in again.text


def test_what_was_typed_cannot_leave_its_attribute(visitor: Visitor) -> None:
    answer = visitor.add_room('"><b>' + "x" * 40)
    assert "<b>" not in answer.text
    assert 'value="&#34;&gt;&lt;b&gt;' in answer.text


@pytest.mark.parametrize("path", ["/", "/system"])
@pytest.mark.parametrize("token", [None, "", "wrong", "ü"])
def test_a_form_without_its_token_is_not_accepted(visitor: Visitor, path: str, token: str | None) -> None:
    visitor.get("/")
    fields = {"room": "Forged", "text": "Forged"} | ({} if token is None else {"csrf_token": token})
    answer = visitor.post(path, **fields)
    assert answer.status == 403
    assert "Please try again from here." in answer.text
    assert "Forged" not in visitor.get("/").text


def test_a_token_of_another_session_is_not_accepted(visitor: Visitor, chat: Server) -> None:
    visitor.get("/")
    answer = visitor.post("/", csrf_token=Visitor(chat.url).token(), room="Stolen")
    assert answer.status == 403


def test_a_file_instead_of_a_text_is_a_bad_request(visitor: Visitor) -> None:
    lines = ["--x", 'Content-Disposition: form-data; name="csrf_token"; filename="a"', "", "abc", "--x--", ""]
    request = urllib.request.Request(visitor.url + "/", "\r\n".join(lines).encode())
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert error.code == 400


@pytest.mark.parametrize("room", ["", "1"])
def test_a_system_message_to_nobody_says_so(visitor: Visitor, room: str) -> None:
    answer = visitor.post("/system", csrf_token=visitor.token("/system"), text="Hello?", room=room)
    assert answer.status == 409
    assert "Nobody is connected to " + ("the room “Lounge”" if room else "any room") in answer.text
    assert ">Hello?</textarea>" in answer.text  # nothing to type again


@pytest.mark.parametrize(
    ("text", "room", "problem"),
    [
        (" ", "", "Please write something first."),
        ("x" * 1001, "1", "1000 characters at most"),
        ("Hello", "999999", "This room does not exist"),
        ("Hello", "٣" * 5000, "This room does not exist"),
    ],
)
def test_a_system_message_that_cannot_be_sent_says_why(visitor: Visitor, text: str, room: str, problem: str) -> None:
    answer = visitor.post("/system", csrf_token=visitor.token("/system"), text=text, room=room)
    assert answer.status == 400
    assert problem in answer.text


@pytest.mark.parametrize("path", ["/", "/rooms/1", "/system", "/rooms/99", "/nothing", "/static/none.js"])
def test_every_page_allows_only_our_own_scripts(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'self' 'nonce-([\w-]{20,})';", policy)
    assert nonce
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert nonce[1] not in visitor.get(path).headers["Content-Security-Policy"]
    for script in re.findall(r"<script[^>]*>", page.text):
        assert f'nonce="{nonce[1]}"' in script
    assert "style=" not in page.text and "<style" not in page.text


@pytest.mark.parametrize("path", ["/rooms/99", "/rooms/999999999999999", "/rooms/x", "/nothing", "/static/none.js"])
def test_an_address_that_leads_nowhere_is_a_readable_page(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    assert page.status == 404
    assert "There is nothing here" in page.text


@pytest.mark.parametrize("path", ["/static/../main_app.py", "/static/%2e%2e/settings.py", "/static/..%2fmain_app.py"])
def test_only_the_static_files_are_served(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status == 404


@pytest.mark.parametrize(
    ("name", "media_type"), [("chat.js", "text/javascript"), ("chat.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
def test_the_static_files_have_their_types(visitor: Visitor, name: str, media_type: str) -> None:
    page = visitor.get(f"/static/{name}")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith(media_type)


def test_the_session_cookie_is_for_the_pages_alone(visitor: Visitor) -> None:
    cookie = visitor.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "Set-Cookie" not in visitor.get("/static/chat.js").headers
    assert "chat_session" not in str(visitor.get("/socket.io/?EIO=4&transport=polling").headers)
