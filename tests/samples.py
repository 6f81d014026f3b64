"""The samples of the documents, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def python_samples(document: Path) -> list[str]:
    """The Python programs in a document."""
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in BLOCK.findall(document.read_text())]


def on_port(code: str, port: int) -> str:
    """The same program on another port."""
    assert code.count("8000") == 1
    return code.replace("8000", str(port))
