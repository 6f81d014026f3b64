"""Certificates: files that cannot be used are told at start-up, with the cause."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import gevent.ssl
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from webpy_socketio import SettingsError, SocketIOServer, server
from webpy_socketio.certificates import choose_context
from webpy_socketio.settings import load_settings


class Files:
    """Two certificates with their keys, the first also in one file."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        issued, other = authority.issue_cert("localhost"), authority.issue_cert("example.com")
        self.certificate, self.key, self.both, self.other_key, self.locked_key, self.junk = (
            directory / name for name in ("certificate", "key", "both", "other_key", "locked_key", "junk")
        )
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        issued.private_key_and_cert_chain_pem.write_to_path(self.both)
        other.private_key_pem.write_to_path(self.other_key)
        key = load_pem_private_key(self.key.read_bytes(), None)
        self.locked_key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        )
        self.junk.write_text("no certificate")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


def choose(given: Any = None, **options: Any) -> Any:
    """The context for these settings."""
    return choose_context(load_settings(options), given)


def test_nothing_is_encrypted_unless_that_is_wanted() -> None:
    assert choose() is None


def test_two_files_or_one(files: Files) -> None:
    for context in (choose(certfile=files.certificate, keyfile=files.key), choose(certfile=str(files.both))):
        assert isinstance(context, gevent.ssl.SSLContext)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_context_of_the_applications_own() -> None:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert choose(context) is context


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        ({"certfile": "missing", "keyfile": "key"}, r"certfile .*/missing: No such file or directory"),
        ({"certfile": "certificate", "keyfile": "missing"}, r"keyfile .*/missing: No such file or directory"),
        ({"certfile": "", "keyfile": "key"}, "keyfile is set without certfile"),
        ({"certfile": "certificate"}, r"do not go together \(.*\): they have to be a certificate and its own key"),
        ({"certfile": "certificate", "keyfile": "other_key"}, r"do not go together \(KEY_VALUES_MISMATCH\)"),
        ({"certfile": "junk", "keyfile": "key"}, "do not go together .*, in PEM"),
        ({"certfile": "certificate", "keyfile": "junk"}, "do not go together .*, in PEM"),
        ({"certfile": "certificate", "keyfile": "locked_key"}, "the key has a password: make an ssl.SSLContext"),
    ],
)
def test_files_that_cannot_be_used(files: Files, names: dict[str, str], cause: str) -> None:
    options = {option: str(files.certificate.parent / name) if name else "" for option, name in names.items()}
    with pytest.raises(SettingsError, match=cause):
        choose(**options)


def test_two_ways_are_one_too_many(files: Files) -> None:
    with pytest.raises(SettingsError, match="both ssl_context and certfile or keyfile are set"):
        choose(gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certfile=files.both)


@pytest.mark.parametrize("context", [ssl.create_default_context(), "context"])
def test_a_context_that_would_block(context: Any) -> None:
    with pytest.raises(SettingsError, match=r"is no gevent\.ssl\.SSLContext"):
        choose(context)


@pytest.mark.parametrize("source", ["keyword", "environment"])
def test_from_every_source(files: Files, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "check_patched", lambda: None)
    options = {"certfile": str(files.certificate), "keyfile": str(files.key)}
    if source == "environment":
        for name, value in options.items():
            monkeypatch.setenv(f"SOCKETIO_{name.upper()}", value)
        options = {}
    made = SocketIOServer(("127.0.0.1", 8443), lambda environ, start_response: [], **options)
    assert made._where() == "https://127.0.0.1:8443/"


@pytest.mark.parametrize("name", ["ca_certs", "cert_reqs", "ssl_version", "ciphers"])
def test_what_belongs_into_a_context(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "check_patched", lambda: None)
    with pytest.raises(SettingsError, match=rf"{name} is a matter of the ssl\.SSLContext"):
        SocketIOServer(("127.0.0.1", 8443), lambda environ, start_response: [], **{name: "x"})
