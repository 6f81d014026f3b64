"""Runs the suite of the backplane over Redis, with a Redis of its own, in a process that has gevent's patches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redis_servers import RedisServer
from tests.serving import ROOT


@pytest.mark.parametrize("suite", ["suite_redis.py", "suite_streams.py", "suite_redis_presence.py"])
def test_the_suite_of_a_backplane_over_redis(suite: str) -> None:
    path = str(Path(__file__).with_name(suite))
    with RedisServer() as redis:
        done = subprocess.run(
            [sys.executable, "-m", "gevent.monkey", "--module", "pytest", "-q", "-p", "no:cacheprovider", path],
            cwd=ROOT,
            env={**os.environ, "REDIS_PORT": str(redis.port)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
