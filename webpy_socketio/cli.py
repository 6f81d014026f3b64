"""The command line: ``python -m webpy_socketio serve MODULE:APP``, ``... emit VALUE`` and ``... doctor URL``.

Exit statuses: 0 when all went well, 1 for what is wrong with the application, its settings, Redis or a deployment, 2
for arguments that cannot be.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from .doctor.examination import examine
from .doctor.site import Site
from .emitter import Emitter
from .errors import EventError, PacketError, SettingsError, UnsendableValue
from .options import PUBSUB, REDIS_ADAPTERS
from .processes import start_again
from .reloading import serve_reloading
from .serving import serve
from .settings import load_settings
from .startup import is_patched
from .wire.values import decode_value

#: Settings that have an option of their own.
PLACES = {
    "host": "address to listen on; empty: every interface",
    "port": "port to listen on",
    "unix": "path of a Unix socket to listen on",
    "fd": "number of an inherited descriptor to listen on",
    "certfile": "file of the certificate, and of those that vouch for it",
    "keyfile": "file of the certificate's key",
    "workers": "number of processes; more than 1 need a Redis server, see redis_url",
}
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m webpy_socketio", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving, emitting, examining = _add_serve(commands), _add_emit(commands), _add_doctor(commands)
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            return _serve(serving, options)
        if options.command == "emit":
            return _emit(emitting, options)
        return _examine(examining, options)
    except SettingsError as error:
        sys.stderr.write(f"webpy_socketio: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser("serve", help="serve an application", allow_abbrev=False)
    parser.add_argument("application", metavar="MODULE[:APP]", help="what to serve; APP is 'application' if not given")
    for name, meaning in PLACES.items():
        parser.add_argument(f"--{name}", help=meaning)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting")
    parser.add_argument("--access-log", action="store_true", help="write each request for a page to standard error")
    parser.add_argument("--reload", action="store_true", help="start anew when a .py file changes; for development")
    return parser


def _add_emit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser("emit", help="send to the clients of all processes at a Redis", allow_abbrev=False)
    parser.add_argument("values", nargs="*", metavar="VALUE", help="the event's arguments: JSON, or else text")
    parser.add_argument("--url", default=os.environ.get("SOCKETIO_REDIS_URL"), help="where Redis is (redis_url)")
    parser.add_argument(
        "--key", default=os.environ.get("SOCKETIO_REDIS_KEY", "socket.io"), help="redis_key (socket.io)"
    )
    adapter = os.environ.get("SOCKETIO_REDIS_ADAPTER", PUBSUB)
    parser.add_argument("--adapter", default=adapter, choices=REDIS_ADAPTERS, help="redis_adapter (pubsub)")
    parser.add_argument(
        "--channel", action="append", default=[], metavar="C", help="to its subscribers only; may be repeated"
    )
    parser.add_argument("--namespace", default="/", metavar="N", help="the namespace (/)")
    parser.add_argument("--event", metavar="E", help="the event's name (message)")
    return parser


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser("doctor", help="examine a deployment as a browser sees it", allow_abbrev=False)
    parser.add_argument("url", metavar="URL", help="the page's address, like https://example.com/")
    parser.add_argument("--resource", default="socket.io", help="path under which Socket.IO answers (socket.io)")
    parser.add_argument("--origin", help="origin of the page, if it is on another site than the URL")
    parser.add_argument("--idle", type=float, metavar="SECONDS", help="how long to stay connected and silent")
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
    return parser


def _serve(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    settings = _settings(parser, options)
    if options.reload:
        if not settings.keys().isdisjoint(("unix", "fd")):
            parser.error("--reload listens on --host and --port only")
        if settings.get("workers", "1") != "1":
            parser.error("--reload runs one process: leave --workers out")
        return serve_reloading(options.application, settings, options.access_log)
    if not is_patched():
        start_again()
    serve(options.application, settings, options.access_log)
    return 0


def _settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, str]:
    """The settings of a command line. Raises SettingsError for one that cannot be."""
    settings: dict[str, str] = {name: getattr(options, name) for name in PLACES if getattr(options, name) is not None}
    for pair in options.set:
        name, separator, value = pair.partition("=")
        if not separator:
            parser.error(f"--set {pair}: write --set NAME=VALUE, like --set ping_interval=10")
        if name in settings:
            parser.error(f"--set {pair}: {name} is given twice")
        settings[name] = value
    load_settings(settings)
    return settings


def _emit(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.url is None:
        parser.error("say where Redis is: --url redis://127.0.0.1:6379, or SOCKETIO_REDIS_URL in the environment")
    if options.event is None and not options.values:
        parser.error("say what to send: a VALUE, or --event if it has no arguments")
    emitter = Emitter(options.url, key=options.key, adapter=options.adapter)
    try:
        target = emitter.to(*options.channel, namespace=options.namespace)
        target.emit("message" if options.event is None else options.event, *map(_value, options.values))
    except (EventError, UnsendableValue) as error:
        parser.error(str(error))
    except emitter.trouble as error:
        sys.stderr.write(f"webpy_socketio: Redis cannot be told: {error}\n")
        return 1
    return 0


def _value(text: str) -> Any:
    """What an argument stands for."""
    try:
        return decode_value(text)
    except PacketError:
        return text


def _examine(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.idle is not None and not 0 < options.idle < float("inf"):
        parser.error("--idle must be a number of seconds above 0")
    try:
        site = Site(options.url, options.resource, options.insecure)
    except ValueError as error:
        parser.error(str(error))
    return 1 if examine(site, options.origin or site.origin, options.idle, _write) else 0


def _write(text: str) -> None:
    """Write at once: some checks take their time."""
    sys.stdout.write(text)
    sys.stdout.flush()
