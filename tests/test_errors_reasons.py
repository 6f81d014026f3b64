"""The two catalogues: the tree of errors, and the reasons for which connections end."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from websockets.frames import Close

from webpy_socketio import errors, reasons
from webpy_socketio.errors import (
    AckTimeout,
    ClientError,
    PacketError,
    Refused,
    RequestRefused,
    SocketIOError,
    UnsendableValue,
)
from webpy_socketio.reasons import REASONS, Reason, over_limit
from webpy_socketio.settings import Settings

ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Each error in the drawing, with its parent."""
    tree: dict[str, str] = {}
    path: list[tuple[int, str]] = [(-1, "Exception")]
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip("│├└─ ").partition(" ")[0]
        if not name.isidentifier() or not hasattr(errors, name):
            continue
        depth = line.index(name)
        while path[-1][0] >= depth:
            path.pop()
        tree[name] = path[-1][1]
        path.append((depth, name))
    return tree


def test_tree_is_as_drawn() -> None:
    assert drawn() == {kind.__name__: kind.__bases__[0].__name__ for kind in ERRORS}


@pytest.mark.parametrize("kind", ERRORS)
def test_one_root(kind: type[Exception]) -> None:
    assert issubclass(kind, SocketIOError)
    assert kind.__doc__


@pytest.mark.parametrize(("kind", "builtin"), [(AckTimeout, TimeoutError), (UnsendableValue, TypeError)])
def test_also_builtin(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)


def test_client_errors_are_apart() -> None:
    theirs = {kind.__name__ for kind in ERRORS if issubclass(kind, ClientError)}
    assert theirs == {
        "ClientError",
        "HttpRefused",
        "LimitExceeded",
        "PacketError",
        "RequestRefused",
        "RuleBroken",
        "SubscriptionRefused",
        "TransportMisused",
    }
    assert not issubclass(Refused, ClientError)
    assert issubclass(PacketError, ClientError)


def test_refused() -> None:
    plain, full = Refused(), Refused("no", {"code": 1})
    assert (plain.message, plain.data, str(plain)) == ("refused", None, "refused")
    assert (full.message, full.data, str(full)) == ("no", {"code": 1}, "no")


def test_request_refused() -> None:
    plain = RequestRefused(1, "Session ID unknown")
    assert (plain.code, plain.message, plain.status) == (1, "Session ID unknown", "400 Bad Request")
    assert RequestRefused(4, "Forbidden", "403 Forbidden").status == "403 Forbidden"


def test_unsendable_value() -> None:
    error = UnsendableValue("data.points[3].y", "is not a number")
    assert error.path == "data.points[3].y"
    assert str(error) == "data.points[3].y: is not a number"


def test_catalogue_is_complete() -> None:
    constants = {name: value for name, value in vars(reasons).items() if isinstance(value, Reason)}
    assert set(constants.values()) == set(REASONS)
    assert len(REASONS) == len(constants)


def test_names() -> None:
    assert {reason.name for reason in REASONS} == {
        "transport close",
        "transport error",
        "ping timeout",
        "parse error",
        "forced close",
        "forced server close",
        "server shutting down",
        "client namespace disconnect",
        "server namespace disconnect",
        "logged out",
        "refused",
        "slow",
        "over limit",
    }


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_reason(reason: Reason) -> None:
    assert str(reason) == reason.name == f"{reason}"
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")


def test_who_comes_back() -> None:
    staying = {reason.name for reason in REASONS if not reason.may_reconnect}
    assert staying == {"client namespace disconnect", "server namespace disconnect", "logged out", "refused"}


def test_codes_can_be_sent_and_tell_who_comes_back() -> None:
    own = [reason for reason in REASONS if reason.code >= 4000]
    assert len({reason.code for reason in REASONS}) == len(REASONS)
    assert all((reason.code < 4100) is reason.may_reconnect for reason in own)
    for reason in REASONS:
        if reason.is_ours:
            Close(reason.code, reason.sentence).check()
    limits = [over_limit(field.name) for field in dataclasses.fields(Settings)]
    assert all(len(reason.sentence.encode()) <= 123 for reason in (*REASONS, *limits))  # RFC 6455, section 5.5


def test_a_limit_is_named() -> None:
    reason = reasons.over_limit("max_json_depth")
    assert (reason.name, reason.code) == (reasons.OVER_LIMIT.name, reasons.OVER_LIMIT.code)
    assert "max_json_depth" in reason.sentence


@pytest.mark.parametrize("sentence", ["no", "é" * 100, "x" * 1000, "half \ud800 of a pair"])
def test_a_refusal_says_why_as_far_as_it_can(sentence: str) -> None:
    reason = reasons.refused(sentence)
    assert (reason.name, reason.code) == (reasons.REFUSED.name, reasons.REFUSED.code)
    assert 0 < len(reason.sentence.encode()) <= 123
    assert sentence.replace("\ud800", "?").startswith(reason.sentence)
