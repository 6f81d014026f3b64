"""What the chat remembers, in one SQLite file: rooms, messages, who is where, and the sessions of web.py."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

import settings
import web

SCHEMA = """
    CREATE TABLE IF NOT EXISTS rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL REFERENCES rooms (id),
        name TEXT NOT NULL, text TEXT NOT NULL, time TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS seats (
        id INTEGER PRIMARY KEY AUTOINCREMENT, room_id INTEGER NOT NULL REFERENCES rooms (id), token TEXT NOT NULL,
        name TEXT NOT NULL, key TEXT NOT NULL, process INTEGER NOT NULL,
        UNIQUE (room_id, token), UNIQUE (room_id, key));
    CREATE INDEX IF NOT EXISTS messages_of_room ON messages (room_id, id);
    CREATE TABLE IF NOT EXISTS sessions (session_id CHAR(128) PRIMARY KEY, atime DATETIME NOT NULL, data TEXT)
"""  # the sessions as web.py's DBStore wants them
FIRST_ROOM = "Lounge"
NAME_LENGTH = 30
TEXT_LENGTH = 1000
HISTORY = 50

# web.py hands datetimes to SQLite when it stores a session; SQLite has no such type.
sqlite3.register_adapter(datetime, lambda moment: moment.isoformat(" "))

# Each greenlet gets a connection of its own. Queries do not switch to another greenlet, so each is over at once.
database = web.database(dbn="sqlite", db=settings.CHAT_DATABASE)
database.printing = False  # otherwise every query, with all that is secret in it, goes to stderr
session_store = web.session.DBStore(database, "sessions")


class InputError(ValueError):
    """Something that a person did and can put right; the text is a sentence for them."""


class Room(NamedTuple):
    """A place to talk."""

    id: int
    name: str

    @property
    def channel(self) -> str:
        """The Socket.IO channel that the people in the room are subscribed to."""
        return f"room-{self.id}"


def create_tables() -> None:
    """Make the file and its tables if they do not exist, with a room to begin with."""
    for statement in SCHEMA.split(";"):
        database.query(statement)
    if not all_rooms():
        with suppress(InputError):  # another process was faster
            add_room(FIRST_ROOM)


def now() -> str:
    """The moment, as JSON and ``<time datetime>`` want it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


# What people type. ``object``, because a client may send anything.


def clean_name(value: object) -> str:
    """Return the name of a person or a room without stray blanks. Raises InputError."""
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not name:
        raise InputError("Please enter a name.")
    if len(name) > NAME_LENGTH:
        raise InputError(f"Please choose a shorter name: {NAME_LENGTH} characters at most, this one has {len(name)}.")
    if not name.isprintable():
        raise InputError("Please use letters, digits and signs that can be seen.")
    return name


def clean_text(value: object) -> str:
    """Return a message without blanks around it. Raises InputError."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise InputError("Please write something first.")
    if len(text) > TEXT_LENGTH:
        raise InputError(f"Please write less: {TEXT_LENGTH} characters at most, this has {len(text)}.")
    return text


# Rooms.


def all_rooms() -> list[Room]:
    """Every room, by name."""
    return [Room(row.id, row.name) for row in database.select("rooms", order="key")]


def find_room(room_id: object) -> Room | None:
    """Return the room with an id, or None: also for an id that cannot be one."""
    if not isinstance(room_id, int) or not 0 < room_id < 2**63:
        return None
    row = database.select("rooms", where={"id": room_id}).first()
    return Room(row.id, row.name) if row else None


def add_room(value: object) -> Room:
    """Open a room. Raises InputError if it cannot have this name."""
    name = clean_name(value)
    try:
        return Room(database.insert("rooms", name=name, key=name.casefold()), name)
    except sqlite3.IntegrityError:
        raise InputError(f"There is a room called “{name}” already.") from None


# Messages.


def add_message(room: Room, name: str, text: str) -> dict[str, Any]:
    """Keep a message and return it with its id and time, ready to be sent."""
    message = {"name": name, "text": text, "time": now()}
    return {"id": database.insert("messages", room_id=room.id, **message), **message}


def last_messages(room: Room) -> list[dict[str, Any]]:
    """The last messages of a room, oldest first."""
    rows = database.select(
        "messages", what="id, name, text, time", where={"room_id": room.id}, order="id DESC", limit=HISTORY
    )
    return [dict(row) for row in rows][::-1]


# Sessions.


def remember_name(session_id: str | None, name: str) -> None:
    """Keep somebody's name in their web.py session, so that the next room's page can suggest it.

    A Socket.IO event is not a page: web.py does not load and save the session around it, so this does both.
    """
    if session_id and session_id in session_store:
        session_store[session_id] = {**session_store[session_id], "name": name}
