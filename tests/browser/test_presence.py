"""The sample of docs/presence.rst, as it stands there: two tabs of one user, and a page that is loaded again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.samples import on_port, python_samples
from tests.serving import ROOT, Server, free_port, wait_for


def test_the_sample_of_the_documents(browser: Any, tmp_path: Path) -> None:
    [code] = [code for code in python_samples(ROOT / "docs" / "presence.rst") if "serve_forever" in code]
    port = free_port()
    script = tmp_path / "who.py"
    script.write_text(on_port(code, port))
    context = browser.new_context()

    def opened(name: str) -> Any:
        page = context.new_page()
        page.goto(f"{server.url}/?name={name}")
        return page

    def shows(page: Any, *names: str) -> None:
        page.wait_for_function(f"document.getElementById('here').textContent === '{', '.join(names)}'")

    with Server([sys.executable, str(script)], port, {"PYTHONUNBUFFERED": "1"}, tmp_path) as server:
        anna = opened("anna")
        shows(anna, "anna")
        bert, second = opened("bert"), opened("bert")
        for page in (anna, bert, second):
            shows(page, "anna", "bert")
        second.reload()
        shows(second, "anna", "bert")
        second.close()
        bert.reload()
        shows(bert, "anna", "bert")
        bert.close()
        shows(anna, "anna")
        wait_for(lambda: "leave bert" in server.log)
        told = [line for line in server.log.splitlines() if line.startswith(("join", "leave"))]
        assert told == ["join anna", "join bert", "leave bert"]
    context.close()
