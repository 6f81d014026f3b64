"""``example/cluster.py``: the chat on two processes behind nginx is one chat."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

from tests.nginx.recipes import find_nginx
from tests.redis_servers import require_redis
from tests.serving import ROOT, Server, free_port, wait_for

COMMAND = [sys.executable, str(ROOT / "example" / "cluster.py"), "--ports"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the chat's file."""
    return tmp_path_factory.mktemp("chat") / "chat.sqlite3"


@pytest.fixture(scope="module")
def chat(database: Path) -> Iterator[Server]:
    """All of it, started by one command."""
    find_nginx()
    require_redis()
    ports = [str(free_port()) for _ in range(3)]
    with Server([*COMMAND, *ports], int(ports[0]), {"CHAT_DATABASE": str(database)}) as server:
        yield server


class Person:
    """Somebody in the lounge, whose browser has a cookie of nginx's."""

    def __init__(self, chat: Server, number: int) -> None:
        self.name = f"Person {number}"
        self.heard: list[Any] = []
        self._client = socketio.Client(reconnection=False)
        self._client.on("message", self.heard.append)
        self._client.connect(chat.url, headers={"Cookie": f"route={number:03x}"})
        self._client.call("__subscribe__", "lobby")
        self.answer = self._client.call("join", (1, self.name, f"token of person {number}"))

    def say(self, text: str) -> None:
        """Say something to all in the room."""
        assert self._client.call("message", text) is True

    def words(self) -> list[str]:
        """What was said in the room."""
        return [message["text"] for message in self.heard if message["action"] == "message"]

    def people(self) -> list[str]:
        """Who is in the room, as far as has been told."""
        told = [message["people"] for message in self.heard if message["action"] == "people"]
        return list(told[-1] if told else self.answer["people"])

    def leave(self) -> None:
        """Close the browser."""
        self._client.shutdown()


def processes(database: Path) -> int:
    """How many processes have people."""
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT COUNT(DISTINCT process) FROM seats").fetchone()[0])
    finally:
        connection.close()


def test_two_processes_are_one_chat(chat: Server, database: Path) -> None:
    assert requests.get(f"{chat.url}/static/chat.css", timeout=5).headers["Server"].startswith("nginx")
    persons = [Person(chat, 0)]
    while processes(database) < 2:
        assert len(persons) < 32, chat.log
        persons.append(Person(chat, len(persons)))
    names = [person.name for person in persons]
    assert persons[-1].answer["people"] == sorted(names)
    for person in (persons[0], persons[-1]):
        person.say(f"hello from {person.name}")
    said = [f"hello from {persons[0].name}", f"hello from {persons[-1].name}"]
    for person in persons:
        wait_for(lambda person=person: sorted(person.words()) == said, 10)
        wait_for(lambda person=person: person.people() == sorted(names), 10)
    persons.pop().leave()
    for person in persons:
        wait_for(lambda person=person: person.people() == sorted(names[:-1]), 10)
    for person in persons:
        person.leave()


def test_in_the_end_they_end_together_and_leave_nothing(chat: Server, database: Path) -> None:
    person = Person(chat, 0)
    chat.stop()
    assert chat.process is not None
    assert chat.process.returncode == 0
    assert processes(database) == 0
    assert "Traceback" not in chat.log
    for port in chat.command[-2:]:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    person.leave()
