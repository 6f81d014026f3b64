"""The Mako include, as pages use it."""

from __future__ import annotations

import re

import pytest
from mako.lookup import TemplateLookup

from webpy_socketio import script_url, template_dir, token_script
from webpy_socketio.settings import load_settings
from webpy_socketio.tokens import Tokens

OWN = re.escape(script_url())
CHANNELS = re.escape(script_url("channels.js"))


def render(arguments: str = "", default_filters: list[str] | None = None) -> list[str]:
    """The lines that the include puts into a page."""
    lookup = TemplateLookup(directories=[template_dir()], default_filters=default_filters or ["str"])
    include = f'<%include file="socketio_scripts.html"{arguments}/>'
    lookup.put_string("page.html", include)
    return [line for line in lookup.get_template("page.html").render().splitlines() if line]


@pytest.mark.parametrize("filters", [["str"], ["h"]])
def test_our_client(filters: list[str]) -> None:
    (line,) = render(default_filters=filters)
    assert re.fullmatch(f'<script src="{OWN}"></script>', line)


@pytest.mark.parametrize("filters", [["str"], ["h"]])
def test_nonce(filters: list[str]) -> None:
    (line,) = render(''' args="nonce='abc+/='"''', filters)
    assert re.fullmatch(f'<script src="{OWN}" nonce="abc\\+/="></script>', line)


def test_official_client() -> None:
    first, second = render(''' args="nonce='n', client='/static/socket.io.min.js?a=1&amp;b=2'"''')
    assert first == '<script src="/static/socket.io.min.js?a=1&amp;amp;b=2" nonce="n"></script>'
    assert re.fullmatch(f'<script src="{CHANNELS}" nonce="n"></script>', second)


@pytest.mark.parametrize("filters", [["str"], ["h"]])
def test_path(filters: list[str]) -> None:
    first, second = render(''' args="path='/chat/socket.io', nonce='n'"''', filters)
    assert first.startswith('<script src="/chat/socket.io/socket.io.js?v=')
    assert second == '<script nonce="n">io.path = "/chat/socket.io";</script>'


@pytest.mark.parametrize("filters", [["str"], ["h"]])
def test_tokens(filters: list[str]) -> None:
    tokens = Tokens(load_settings({"secrets": "a secret for the tests"}), lambda: 0)
    token = tokens.make("/", "</script>", None, 60)
    first, second = render(f""" args="tokens='{token}', nonce='n'\"""", filters)
    assert first == token_script(token)
    assert re.fullmatch(f'<script src="{OWN}" nonce="n"></script>', second)
    assert len(render(' args="tokens=[]"')) == 1


def test_nothing_can_break_out() -> None:
    lines = render(''' args="nonce='&quot;><b>', path='</script>&quot;'"''')
    text = "\n".join(lines)
    assert "<b>" not in text
    assert text.count("</script>") == len(lines) == 2
