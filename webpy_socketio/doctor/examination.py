"""The examination: all checks in their order, one line for each, and what to change."""

from __future__ import annotations

import http.client
import textwrap
from collections.abc import Callable
from typing import NamedTuple

from websockets.exceptions import WebSocketException

from ..logs import printable
from .findings import BROKEN, CUT, Problem, Unknowable
from .http_checks import (
    Visit,
    check_address,
    check_affinity,
    check_answer,
    check_certificate,
    check_cors,
    check_held_poll,
    check_origin,
    check_payload,
    check_streaming,
)
from .polling import Refusal
from .site import Site
from .websocket_checks import check_silence, check_upgrade, check_websocket

Write = Callable[[str], object]
WIDTH = 100
INDENT = " " * 6


class Check(NamedTuple):
    """One check: it returns what is well, or raises Problem or Unknowable."""

    name: str
    look: Callable[[Visit], str]
    #: Names of the checks without whose success it would tell nothing.
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("address", check_address),
    Check("certificate", check_certificate, ("address",)),
    Check("Socket.IO", check_answer, ("certificate",)),
    Check("origin", check_origin, ("Socket.IO",)),
    Check("CORS", check_cors, ("origin",)),
    Check("affinity", check_affinity, ("Socket.IO",)),
    Check("held poll", check_held_poll, ("affinity",)),
    Check("streaming", check_streaming, ("Socket.IO",)),
    Check("payload", check_payload, ("affinity",)),
    Check("WebSocket", check_websocket, ("Socket.IO",)),
    Check("upgrade", check_upgrade, ("affinity", "WebSocket")),
    Check("silence", check_silence, ("Socket.IO",)),
)
LONGEST_NAME = max(len(check.name) for check in CHECKS)


def examine(site: Site, origin: str, idle: float | None, write: Write) -> list[Problem]:
    """Make all checks that can be made, and write a line on each as soon as it is done.

    :param origin: of the page.
    :param idle: seconds to stay connected and silent; None for a little more than the server's heartbeat.

    Returns what was found wrong.
    """
    visit = Visit(site, origin, idle)
    write(f"{site.origin}{site.path}, for a page of {origin}\n\n")
    left_out: list[str] = []
    problems: list[Problem] = []
    for check in CHECKS:
        if not visit.good.issuperset(check.needs):
            left_out.append(check.name)
            continue
        if check.look is check_silence:
            write(f"      (waiting {visit.idle:g} s; the server's heartbeat comes every {visit.ping_interval:g} s)\n")
        finding = _look(check, visit)
        if isinstance(finding, Problem):
            problems.append(finding)
            _line(write, "BAD", check, finding.seen)
            _explain(write, finding)
        elif isinstance(finding, Unknowable):
            _line(write, "--", check, str(finding))
        else:
            visit.good.add(check.name)
            _line(write, "ok", check, finding)
    if left_out:
        write(f"\nNot examined, as it would tell nothing: {', '.join(left_out)}.\n")
    write(f"\n{f'{len(problems)} to mend.' if problems else 'All is well.'}\n")
    return problems


def _look(check: Check, visit: Visit) -> str | Problem | Unknowable:
    try:
        return check.look(visit)
    except (Problem, Unknowable) as finding:
        return finding
    except http.client.IncompleteRead as error:
        return Problem(CUT, f"an answer broke off: {error}")
    except (Refusal, OSError, http.client.HTTPException, WebSocketException) as error:
        return Problem(BROKEN, str(error) or type(error).__name__)


def _line(write: Write, verdict: str, check: Check, text: str) -> None:
    write(f"{verdict:3}  {check.name:{LONGEST_NAME}}  {printable(text)}\n")


def _explain(write: Write, problem: Problem) -> None:
    why, change = problem.cause.why % problem.known, problem.cause.change % problem.known
    write(textwrap.fill(f"{problem.cause.name}: {why}.", WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))
    write(f"\n{INDENT}Change:\n{textwrap.indent(change, INDENT + '    ')}\n")
