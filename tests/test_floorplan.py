"""The floor plan holds: imports only fall, and gevent stays in its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "webpy_socketio"

RANKS = {
    "errors": 0, "reasons": 0, "options": 0, "overflow": 0, "origin_rules": 0,
    "settings": 1, "logs": 1, "metrics": 1, "identifiers": 1, "extras": 1,
    "hints": 2, "patches": 2, "descriptors": 2, "tokens": 2,
    "wire.packets": 10, "wire.messages": 10, "wire.proxy_protocol": 10, "wire.forwarded_elements": 10,
    "wire.values": 11, "wire.jsonp": 11,
    "wire.frames": 11, "wire.engine_v4": 12, "wire.engine_v3": 12,
    "wire.socketio": 12, "wire.plain": 12, "wire.engine_v2": 13, "wire.deflate": 13, "wire.sse": 13,
    "wire.dialects": 14,
    "wire.prepared": 15,
    "engine.heartbeat": 20, "engine.droppables": 19, "engine.outbox": 20, "engine.deadlines": 20,
    "engine.session": 21,
    "places": 21, "roaming": 22, "channels": 22, "web_sessions": 22, "owners": 22, "acks": 22, "runner": 22,
    "inbox": 23, "declarations": 23, "overflow_rules": 24, "presence_rules": 24, "handlers": 24,
    "conversation": 24,
    "envelope": 24,
    "events": 25, "history": 25,
    "answers": 26, "subscriptions": 26, "class_namespaces": 26, "recovery": 26,
    "overflows": 26, "presences": 26, "presence_events": 27, "attendance": 28,
    "delivery": 30,
    "backplane.presence_contract": 39,
    "backplane.contract": 40, "backplane.memory_presence": 40,
    "backplane.memory": 41, "backplane.redis_values": 41, "backplane.redis_dial": 41, "backplane.handshakes": 41,
    "backplane.redis_wire": 42, "backplane.redis_publisher": 42, "backplane.redis_subscriber": 42,
    "backplane.wires": 43, "backplane.redis_bus": 43, "backplane.redis_post": 43,
    "backplane.inquiries": 44, "backplane.respondent": 44,
    "backplane.stream_reader": 44, "backplane.streams_wire": 44, "backplane.stream_order": 44,
    "backplane.redis_roll": 44, "backplane.redis_presence": 45,
    "backplane.stream_history": 45, "backplane.stream_sessions": 46,
    "backplane.cluster": 46,
    "backplane.redis": 47, "backplane.streams": 47, "backplane.streams_post": 45,
    "services": 46,
    "targets": 47, "addressees": 47,
    "receivers": 48,
    "sockets": 49,
    "middleware": 50, "dispatch": 50,
    "namespaces": 51,
    "socket_owners": 52,
    "peers": 53, "plain_peers": 53, "sse_peers": 54,
    "hub": 53,
    "goodbyes": 54,
    "node": 55,
    "shortcuts": 56, "emitter": 56,
    "collector": 57,
    "transports.probe": 60, "transports.bodies": 60,
    "transports.streams": 60, "transports.workers": 60, "transports.http": 60,
    "transports.intake": 61, "transports.service": 61, "transports.colleagues": 61,
    "transports.polling": 61, "transports.websocket": 62, "transports.requests": 62, "transports.tls": 61,
    "transports.proxy_headers": 61, "transports.borrowed": 61,
    "transports.clock": 62, "transports.watch": 62,
    "transports.plain": 63, "transports.sse": 63,
    "forwarded": 68, "responses": 68,
    "admission": 69, "compression": 69, "environs": 69, "origins": 69,
    "farewell": 70, "gate": 70, "scripts": 70,
    "uploads": 70, "repeats": 70, "publishing": 71, "sse_door": 71,
    "plain_door": 71, "polls": 71, "reports": 71,
    "door": 72,
    "startup": 73, "listeners": 73, "certificates": 73, "crew": 73,
    "doors": 74, "page_tokens": 74,
    "engineio": 75, "webpy": 75, "wsgi": 75,
    "handler": 76,
    "front": 77,
    "server_options": 77,
    "server": 78,
    "testing": 79, "gunicorn_server": 79,
    "worker": 80,
    "": 80,
    "applications": 80, "processes": 80,
    "serving": 81, "reloading": 81,
    "doctor.findings": 81, "doctor.site": 81,
    "doctor.polling": 82,
    "doctor.http_checks": 83,
    "doctor.websocket_checks": 84,
    "doctor.examination": 85,
    "cli": 86,
    "__main__": 87,
}  # fmt: skip
PACKAGES = {"wire", "engine", "backplane", "transports", "doctor"}
MAY_USE_GEVENT = {"transports.streams", "transports.workers", "transports.polling", "transports.websocket",
                  "transports.requests", "transports.tls", "transports.clock", "transports.probe",
                  "transports.bodies", "transports.borrowed", "transports.watch", "transports.colleagues", "patches",
                  "certificates", "farewell", "crew", "handler", "front", "server_options", "server",
                  "gunicorn_server", "worker"}  # fmt: skip
LONGEST_MODULE = 350
LONGEST_FUNCTION = 40


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in PACKAGES:
            yield name, path


def imports(name: str, path: Path) -> Iterator[tuple[str, ast.AST, ast.AST | None]]:
    """Every import as (what, the statement, the function it stands in)."""
    tree = ast.parse(path.read_text())
    inside = {
        child: node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.If))
        for child in ast.walk(node)
    }
    package = name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, inside.get(node)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            for alias in node.names:
                full = f"{module}.{alias.name}".strip(".")
                what = full if node.level and full in RANKS else module
                yield (what if not node.level else f"webpy_socketio.{what}"), node, inside.get(node)


def test_every_module_has_a_place_in_the_plan() -> None:
    assert {name for name, _ in modules()} == set(RANKS)


def test_imports_only_fall() -> None:
    climbs = [
        f"{name} ({RANKS[name]}) imports {target} ({RANKS[target]})"
        for name, path in modules()
        for what, _, _ in imports(name, path)
        if what.startswith("webpy_socketio")
        and (target := what.removeprefix("webpy_socketio").strip(".")) is not None
        and RANKS[target] >= RANKS[name]
    ]
    assert climbs == []


def test_no_import_hides_in_a_function_or_a_condition() -> None:
    hidden = [f"{name}: {what}" for name, path in modules() for what, _, function in imports(name, path) if function]
    assert hidden == []


def test_gevent_stays_in_its_rooms() -> None:
    strays = {
        name
        for name, path in modules()
        for what, _, _ in imports(name, path)
        if what.split(".")[0] in ("gevent", "greenlet") and name not in MAY_USE_GEVENT
    }
    assert strays == set()


def test_webpy_stays_with_its_door() -> None:
    users = {name for name, path in modules() for what, _, _ in imports(name, path) if what.split(".")[0] == "web"}
    assert users == {"startup", "webpy"}


def test_generations_are_known_in_one_place() -> None:
    assert [name for name, path in modules() if ".revision ==" in path.read_text()] == []


def test_modules_and_functions_stay_small() -> None:
    large = []
    for name, path in modules():
        text = path.read_text()
        if text.count("\n") > LONGEST_MODULE:
            large.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                doc = ast.get_docstring(node, clean=False)
                length = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)  # type: ignore[operator]
                if length > LONGEST_FUNCTION:
                    large.append(f"{name}.{node.name}: {length} lines")
    assert large == []


def test_everything_public_has_a_docstring() -> None:
    bare = []
    for name, path in modules():
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            bare.append(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                protocol = any(ast.unparse(base).startswith("Protocol") for base in node.bases)
                bare += [] if ast.get_docstring(node) else [f"{name}.{node.name}"]
                bare += [
                    f"{name}.{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                    and not method.name.startswith("_")
                    and not ast.get_docstring(method)
                    and not protocol
                    and not any(ast.unparse(d) == "overload" for d in method.decorator_list)
                ]
            elif isinstance(node, ast.FunctionDef) and node in tree.body and not node.name.startswith("_"):
                bare += [] if ast.get_docstring(node) else [f"{name}.{node.name}"]
    assert bare == []
