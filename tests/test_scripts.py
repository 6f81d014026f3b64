"""The client's scripts, as they are served, and where the include is found."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from mako.lookup import TemplateLookup

from webpy_socketio import scripts
from webpy_socketio.scripts import SOURCES, Script, find_script, script_url, serve_script, template_dir

SCRIPT = Script(b"alert(1);" * 100, gzip.compress(b"alert(1);" * 100), "abc123")


def served(query: str = "", **environ: str) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request."""
    status, headers, body = serve_script(SCRIPT, query, environ)
    assert len(headers) == len(dict(headers))
    return status, dict(headers), body


@pytest.mark.parametrize("name", SOURCES)
def test_find(name: str) -> None:
    script = find_script(name)
    assert script is not None
    assert gzip.decompress(script.compressed) == script.text
    assert script.version.isalnum()
    assert find_script(name) is script


@pytest.mark.parametrize(
    "name", ["", "socket.io.min.js", "../socket.io.js", "/etc/passwd", "SOCKET.IO.JS", "__init__.py"]
)
def test_no_such_script(name: str) -> None:
    assert find_script(name) is None


def test_client_comes_with_channels() -> None:
    client, channels = find_script("socket.io.js"), find_script("channels.js")
    assert client is not None
    assert channels is not None
    assert client.text.endswith(channels.text)
    assert client.version != channels.version


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("/socket.io", "/socket.io/"),
        ("/socket.io/", "/socket.io/"),
        ("", "/"),
        ("https://cdn.example/x", "https://cdn.example/x/"),
    ],
)
def test_url(path: str, start: str) -> None:
    script = find_script("channels.js")
    assert script is not None
    assert script_url("channels.js", path) == f"{start}channels.js?v={script.version}"


def test_url_by_default() -> None:
    assert script_url().startswith("/socket.io/socket.io.js?v=")


def test_url_of_no_script() -> None:
    with pytest.raises(ValueError, match=r"socket\.io\.min\.js.*socket\.io\.js, channels\.js"):
        script_url("socket.io.min.js")


def test_plain() -> None:
    status, headers, body = served()
    assert (status, body) == ("200 OK", SCRIPT.text)
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Content-Length"] == str(len(SCRIPT.text))
    assert headers["ETag"] == '"abc123"'
    assert headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize("accepted", ["gzip", "GZIP", "gzip, deflate, br", "br, gzip;q=0.5", "deflate,gzip"])
def test_compressed(accepted: str) -> None:
    status, headers, body = served(HTTP_ACCEPT_ENCODING=accepted)
    assert (status, body) == ("200 OK", SCRIPT.compressed)
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Length"] == str(len(SCRIPT.compressed))


@pytest.mark.parametrize(
    "accepted", ["", "identity", "br", "deflate", "gzip;q=0", "br, gzip; q=0", "gzip;q=0.000", "gzip;q=0, *"]
)
def test_not_compressed(accepted: str) -> None:
    _, headers, body = served(HTTP_ACCEPT_ENCODING=accepted)
    assert body == SCRIPT.text
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    ("query", "control"),
    [
        ("v=abc123", "public, max-age=31536000, immutable"),
        ("x=1&v=abc123", "public, max-age=31536000, immutable"),
        ("", "public, no-cache"),
        ("v=abc", "public, no-cache"),
        ("v=abc1234", "public, no-cache"),
        ("xv=abc123", "public, no-cache"),
    ],
)
def test_only_the_current_version_is_kept(query: str, control: str) -> None:
    assert served(query)[1]["Cache-Control"] == control


@pytest.mark.parametrize("known", ['"abc123"', 'W/"abc123"', '"old", "abc123"', '"old",W/"abc123"', "*"])
def test_known_already(known: str) -> None:
    status, headers, body = served(HTTP_IF_NONE_MATCH=known, HTTP_ACCEPT_ENCODING="gzip")
    assert (status, body) == ("304 Not Modified", b"")
    assert headers["ETag"] == '"abc123"'
    assert headers.keys().isdisjoint({"Content-Length", "Content-Type", "Content-Encoding"})


@pytest.mark.parametrize("known", ["", '"old"', "abc123", '"abc12"', 'x"abc123"', '"*"'])
def test_not_known(known: str) -> None:
    assert served(HTTP_IF_NONE_MATCH=known)[0] == "200 OK"


def test_template_is_found() -> None:
    assert (Path(template_dir()) / "socketio_scripts.html").is_file()


def test_template_loads_the_script() -> None:
    page = TemplateLookup(directories=[template_dir()]).get_template("socketio_scripts.html").render()
    assert script_url() in page


@pytest.mark.parametrize("place", ["package/templates", "templates"])
def test_where_the_template_may_be(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "PACKAGE", tmp_path / "package")
    with pytest.raises(FileNotFoundError, match=r"socketio_scripts\.html"):
        template_dir()
    (tmp_path / place).mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        template_dir()
    (tmp_path / place / "socketio_scripts.html").touch()
    assert template_dir() == str(tmp_path / place)


def test_what_clients_ask_for_in_vain_is_not_remembered() -> None:
    before = scripts._script.cache_info().currsize
    for number in range(100):
        assert scripts.find_script(f"{number}.js") is None
    assert scripts._script.cache_info().currsize == before
