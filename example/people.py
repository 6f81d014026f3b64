"""Who is in which room: kept in the database, so that several processes on one machine know of each other's people."""

from __future__ import annotations

import os
import sqlite3
from typing import NamedTuple

from models import InputError, Room, database


class Seat(NamedTuple):
    """Somebody's place in a room, with a number that no other place has had."""

    id: int
    room: Room
    name: str


class People:
    """The seats of every room: each window has one seat in a room, and each name one window."""

    def sit(self, room: Room, name: str, token: str) -> Seat:
        """Take a seat. Raises InputError if somebody else in the room has the name.

        A window may come back (after a short failure of its network, say) before the server noticed that its last
        connection is dead. It shows its token, a secret of its own, and so gets its place back at once.
        """
        try:
            with database.transaction():
                database.delete("seats", where={"room_id": room.id, "token": token})
                seat_id = database.insert(
                    "seats", room_id=room.id, token=token, name=name, key=name.casefold(), process=os.getpid()
                )
        except sqlite3.IntegrityError:
            other = database.select("seats", where={"room_id": room.id, "key": name.casefold()}).first()
            taken = other.name if other else name
            raise InputError(f"Somebody called “{taken}” is in the room already. Please choose another name.") from None
        return Seat(seat_id, room, name)

    def rise(self, seat: Seat) -> bool:
        """Give a seat back; False if a newer connection of the same window has taken its place by now."""
        return bool(database.delete("seats", where={"id": seat.id}))

    def names(self, room_id: int) -> list[str]:
        """The people in a room, by name."""
        return [row.name for row in database.select("seats", where={"room_id": room_id}, order="key")]

    def everywhere(self) -> dict[str, list[str]]:
        """The people of every room that is not empty. The keys are strings, as JSON has it."""
        rooms: dict[str, list[str]] = {}
        for row in database.select("seats", order="room_id, key"):
            rooms.setdefault(str(row.room_id), []).append(row.name)
        return rooms

    def forget_lost(self) -> None:
        """Free the seats of processes that were killed, which could not do so themselves; to be called at the start."""
        for row in list(database.select("seats", what="DISTINCT process")):
            if row.process == os.getpid() or not _is_alive(row.process):
                database.delete("seats", where={"process": row.process})


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # to send it a signal
        return True
    return True


people = People()
