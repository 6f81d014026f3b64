"""The files in deploy/ are what the programs that read them understand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.targets import miss
from tests.serving import ROOT, serve
from webpy_socketio.settings import Settings

DEPLOY = ROOT / "deploy"
#: What "systemd-analyze security" calls OK begins below 5.0; written in tenths.
MOST_EXPOSED = "20"


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, in a directory of their own, with a program that there is."""
    if not shutil.which("systemd-analyze"):
        miss("systemd-analyze is not installed (Debian's package systemd)")
    for unit in DEPLOY.glob("webpy-socketio.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/srv/chat/venv/bin/python", sys.executable))
    return sorted(str(unit) for unit in tmp_path.iterdir())


def test_systemd_understands_the_units(units: list[str]) -> None:
    assert [Path(unit).suffix for unit in units] == [".service", ".socket"]
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in checked.stderr.splitlines() if "webpy-socketio" in line]
    assert (checked.returncode, complaints) == (0, [])


def test_the_service_is_not_exposed(units: list[str]) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", units[0]]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("webpy-socketio.service", r"^TimeoutStopSec=(\d+)$"), ("circus.ini", r"^graceful_timeout = (\d+)$")],
)
def test_a_process_has_the_time_that_it_takes_to_stop(file: str, pattern: str) -> None:
    found = re.search(pattern, (DEPLOY / file).read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > Settings().stop_timeout


def test_the_image_is_made_of_files_that_there_are() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "USER app" in text
    assert "STOPSIGNAL SIGTERM" in text


def test_the_image_can_tell_whether_it_is_well() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    found = re.search(r'^HEALTHCHECK .* CMD \["python", "-c", \\\n    "(.*)"\]$', text, re.MULTILINE)
    assert found is not None
    assert "SOCKETIO_HEALTH=true" in text
    with serve("holding", health=True) as server:
        code = found[1].replace(":8000", f":{server.port}")
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode != 0
