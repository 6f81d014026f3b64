"""Origin rules: how the setting ``cors_origins`` is read, and what it says of an origin.

A rule is an origin, a wildcard for all below a domain, a pattern, or a function of the application's.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union, cast

#: Decides about an origin, as the browser wrote it; the other argument is the WSGI environ of the request.
OriginCheck = Callable[[str, Mapping[str, Any]], object]
OriginRule = Union[str, "re.Pattern[str]", OriginCheck]

ALL, OPAQUE = "*", "null"
#: RFC 6454, section 6.2; and the scheme "chrome-extension" and its like. Browsers write other alphabets as "xn--...".
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?/?", re.IGNORECASE)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: What the star of a wildcard stands for: one label of a host's name or more.
LABELS = r"(?:[a-z0-9_-]+\.)+"


def as_origins(value: Any) -> tuple[OriginRule, ...]:
    """Read the rules: one, or several in a list, or in one text with commas between them.

    Raises ValueError for what is no rule.
    """
    if isinstance(value, str):
        value = value.split(",")
    elif callable(value) or isinstance(value, re.Pattern):
        value = (value,)
    if not isinstance(value, Iterable):
        raise ValueError("must be a list of origins, patterns or functions")
    rules = (rule.strip() if isinstance(rule, str) else rule for rule in value)
    return tuple(_checked(rule) for rule in rules if rule != "")


def _checked(rule: Any) -> OriginRule:
    if isinstance(rule, str):
        if rule not in (ALL, OPAQUE) and not ORIGIN.fullmatch(rule):
            raise ValueError(
                f"{rule!r} is not an origin; one is written like 'https://www.example.com', all below a domain like "
                f"'https://*.example.com', and everybody like {ALL!r}"
            )
        return rule
    if isinstance(rule, re.Pattern):
        if not isinstance(rule.pattern, str):
            raise ValueError(f"{rule.pattern!r} is a pattern of bytes; an origin is text")
        return rule
    return _checked_function(rule)


def _checked_function(function: Any) -> OriginCheck:
    if not callable(function):
        raise ValueError(f"{function!r} is no origin, pattern or function")
    if inspect.iscoroutinefunction(function):
        raise ValueError("is an async function; nobody would wait for its answer here")
    try:
        inspect.signature(function).bind("", {})
    except TypeError:
        raise ValueError("is not a function of two arguments, the origin and the request's environ") from None
    except ValueError:  # some that are built in do not tell
        pass
    return cast(OriginCheck, function)


class OriginRules:
    """What the rules say, whatever their kind."""

    def __init__(self, rules: Sequence[OriginRule]) -> None:
        texts = [rule for rule in rules if isinstance(rule, str)]
        self._exact = frozenset(_normal(text) for text in texts if "*." not in text)
        self._patterns = [_wildcard(text) for text in texts if "*." in text]
        self._patterns += [rule for rule in rules if isinstance(rule, re.Pattern)]
        #: The application's functions, which may be asked about what nothing else allows.
        self.functions = [rule for rule in rules if not isinstance(rule, (str, re.Pattern))]
        #: Whether every origin is allowed.
        self.allow_all = ALL in self._exact
        #: Whether there is no rule at all.
        self.is_empty = not rules

    def declare(self, origin: str) -> bool:
        """Whether an origin is allowed without a function having been asked."""
        if self.allow_all:
            return True
        normal = _normal(origin)
        return normal in self._exact or any(pattern.fullmatch(normal) for pattern in self._patterns)


def _normal(origin: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2)."""
    origin = origin.removesuffix("/").lower()
    return origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], ""))


def _wildcard(text: str) -> re.Pattern[str]:
    scheme, _, rest = _normal(text).partition("*.")
    return re.compile(re.escape(scheme) + LABELS + re.escape(rest))
