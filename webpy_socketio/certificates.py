"""Certificates: what a server needs to encrypt, from files."""

from __future__ import annotations

import ssl
from typing import Any

from gevent.ssl import PROTOCOL_TLS_SERVER, SSLContext

from .errors import SettingsError
from .settings import Settings

#: Options of gevent's server that a context holds.
IN_CONTEXT = ("ca_certs", "cert_reqs", "ssl_version", "ciphers")


def choose_context(settings: Settings, given: Any) -> Any:
    """The context to encrypt with: the one that was given, or of ``certfile`` and ``keyfile``; None without any.

    Raises SettingsError if more than one is meant, or for one that would not do.
    """
    if given is not None and (settings.certfile or settings.keyfile):
        raise SettingsError("both ssl_context and certfile or keyfile are set: leave one out")
    if given is not None and not isinstance(given, SSLContext):
        raise SettingsError(f"ssl_context = {given!r} is no gevent.ssl.SSLContext: others would block every client")
    if given is not None or (settings.certfile is None and settings.keyfile is None):
        return given
    if settings.certfile is None:
        raise SettingsError("keyfile is set without certfile: name the certificate that belongs to the key")
    return make_context(settings.certfile, settings.keyfile)


def make_context(certfile: str, keyfile: str | None) -> Any:
    """A server's context for TLS 1.2 and newer.

    :param certfile: a file with the certificate and those that lead to its authority, in PEM.
    :param keyfile: one with the key; without it, the key is in ``certfile``.

    Raises SettingsError for files that cannot be used.
    """
    for name, path in (("certfile", certfile), ("keyfile", keyfile)):
        if path is not None:
            _check_readable(name, path)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certfile, keyfile, _refuse_password)
    except ssl.SSLError as error:
        raise SettingsError(
            f"certfile {certfile} and keyfile {keyfile or certfile} do not go together ({error.reason or error}): "
            "they have to be a certificate and its own key, in PEM"
        ) from None
    return context


def _check_readable(name: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise SettingsError(f"{name} {path}: {error.strerror}") from None


def _refuse_password() -> str:
    raise SettingsError("the key has a password: make an ssl.SSLContext that knows it, and give it as ssl_context")
