"""Where the plugin's server spends its time in a scenario, by layer: `python benchmarks/profiling.py echo`.

py-spy looks at the running process from outside, so nothing in it is changed. A sample belongs to the innermost module
whose name tells something: what the interpreter, the allocator or the standard library does counts as part of whoever
called it. Only Python's own frames are looked at, for py-spy loses half of the stacks of greenlets when it looks for
those of C as well; so a call into the kernel or into orjson is known by the line of Python that makes it.
"""

from __future__ import annotations

import argparse
import linecache
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Timer

from kinds import plugin_kind
from processes import Missing, Server, allow_open_files, split_cores
from report import align
from scenarios import HEARTBEAT_SOCKETS, SCENARIOS
from usage import Effort

#: Seconds before samples are taken: connections are opened in them.
START_SECONDS = 2.0
#: A thread of the pool that waits for work does nothing.
WAITING = "gevent/_threading.py"
FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*):(?P<line>\d+)\)$")
#: Calls that leave Python, if the innermost frame stands on such a line.
CALLS = (
    (re.compile(r"\b_?(send|recv)\w*\("), r"kernel: \1"),
    (re.compile(r"\borjson\.(dumps|loads)\("), r"orjson: \1"),
)
#: The first that is found in the place of a frame gives the layer.
LAYERS = (
    (re.compile(r"webpy_socketio/(.+)\.py"), r"webpy_socketio: \1"),
    (re.compile(r"servers/plugin_server\.py"), "the application"),
    (re.compile(r"(?:^|/)web/\w+\.py"), "web.py"),
    (re.compile(r"gevent/pywsgi\.py"), "pywsgi"),
    (re.compile(r"(?:^|/)(websockets|orjson|gevent|greenlet|zope)/"), r"\1"),
)


def main() -> int:
    """Profile one scenario and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    parser.add_argument("scenario", choices=scenarios)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to look (5)")
    parser.add_argument("--rate", type=int, default=250, help="samples a second (250)")
    parser.add_argument("--checkout", type=Path, help="another checkout of the plugin")
    options = parser.parse_args()
    cores = split_cores()
    os.sched_setaffinity(0, cores.load)
    scenario = scenarios[options.scenario]
    effort = Effort(seconds=START_SECONDS + options.seconds + 1)  # the sampler needs a moment to start
    try:
        program = sampler_path()
        kind = plugin_kind("plugin", options.checkout.resolve()) if options.checkout else plugin_kind()
        allow_open_files(max(HEARTBEAT_SOCKETS, effort.many_connections))
        with Server(kind, cores, scenario.heartbeat) as server, tempfile.TemporaryDirectory() as directory:
            stacks = Path(directory) / "stacks"
            sampler = Timer(START_SECONDS, sample, (program, server.pid, stacks, options.seconds, options.rate))
            sampler.start()
            scenario.measure(server, effort)
            sampler.join()
            print(table(stacks.read_text().splitlines()))
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def sampler_path() -> str:
    """Where py-spy is."""
    program = shutil.which("py-spy", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise Missing("no py-spy: run `pip install -r benchmarks/requirements.txt`")
    return program


def sample(program: str, pid: int, target: Path, seconds: float, rate: int) -> None:
    """Let py-spy write whole stacks, each with the number of times it was seen."""
    command = [program, "record", "--full-filenames", "--format", "raw", "--output", str(target)]
    command += ["--rate", str(rate), "--duration", f"{max(1, round(seconds))}", "--pid", str(pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def layer(stack: str) -> str | None:
    """Who a sample belongs to; nobody if the thread only waits."""
    frames = [found for frame in reversed(stack.split(";")) if (found := FRAME.match(frame))]
    if not frames or WAITING in frames[0]["file"]:
        return None
    line = linecache.getline(frames[0]["file"], int(frames[0]["line"]))
    for place, patterns in ((line, CALLS), *((frame["file"], LAYERS) for frame in frames)):
        for pattern, name in patterns:
            if found := pattern.search(place):
                return found.expand(name)
    return "the rest of Python"


def table(lines: Iterable[str]) -> str:
    """The share of each layer, the largest first."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if (name := layer(stack)) is not None:
            counts[name] += int(count)
    total = counts.total()
    rows = [(name, f"{count / total:6.1%}", str(count)) for name, count in counts.most_common()]
    return align([("layer", "share", "samples"), *rows])


if __name__ == "__main__":
    sys.exit(main())
