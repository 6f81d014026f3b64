"""``serve --reload`` with an open page: the code changes, and the page is connected again, to the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.serving import serve_by_name, wait_for

APPLICATION = """
import web
from mako.template import Template
from mako.lookup import TemplateLookup
from webpy_socketio import *

PAGE = '''<p id="answer"></p><%include file="socketio_scripts.html"/>
<script>
  const socket = io({{ reconnectionDelay: 50 }});
  socket.on("connect", () => socket.emit("ask", (answer) => {{
    document.getElementById("answer").textContent = answer;
  }}));
</script>'''
urls = ("/", "index")
urls += socketio_urls
app = web.application(urls, globals())

class index:
    def GET(self):
        web.header("Content-Type", "text/html")
        return Template(PAGE, lookup=TemplateLookup([template_dir()])).render()

@on_event("ask")
def ask(request, socket, context):
    return "{answer}"
"""


def test_an_open_page_meets_the_new_code(browser: Any, tmp_path: Path) -> None:
    module = tmp_path / "worked_on.py"
    module.write_text(APPLICATION.format(answer="old"))
    with serve_by_name("worked_on:app", "--reload", cwd=tmp_path) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector("#answer:text-is('old')")
        module.write_text("oops")  # while the page waits in the listening socket
        wait_for(lambda: "waiting for a change" in server.log, 15)
        page.wait_for_function("!socket.connected")
        module.write_text(APPLICATION.format(answer="new"))
        page.wait_for_selector("#answer:text-is('new')")
        page.close()
        assert "NameError: name 'oops' is not defined" in server.log
