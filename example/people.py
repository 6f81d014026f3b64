"""Who is in which room: kept in memory, since nobody stays in a room longer than their connection lasts."""

from __future__ import annotations

from typing import NamedTuple

from models import InputError, Room


class Seat(NamedTuple):
    """Somebody's place in a room. The token is a secret of the window that took it."""

    room: Room
    name: str
    token: str


class People:
    """The seats of every room: each window has one seat in a room, and each name one window."""

    def __init__(self) -> None:
        self._rooms: dict[int, dict[str, Seat]] = {}

    def sit(self, seat: Seat) -> None:
        """Take a seat. Raises InputError if somebody else in the room has the name.

        A window may come back (after a short failure of its network, say) before the server noticed that its last
        connection is dead. It shows its token, and so gets its place back at once.
        """
        seats = self._rooms.get(seat.room.id, {})
        for other in seats.values():
            if other.name.casefold() == seat.name.casefold() and other.token != seat.token:
                raise InputError(f"Somebody called “{other.name}” is in the room already. Please choose another name.")
        self._rooms[seat.room.id] = {**seats, seat.token: seat}

    def rise(self, seat: Seat) -> bool:
        """Give a seat back; False if a newer connection of the same window sits there by now."""
        seats = self._rooms.get(seat.room.id, {})
        if seats.get(seat.token) is not seat:
            return False
        del seats[seat.token]
        if not seats:
            del self._rooms[seat.room.id]
        return True

    def names(self, room_id: int) -> list[str]:
        """The people in a room, by name."""
        return sorted((seat.name for seat in self._rooms.get(room_id, {}).values()), key=str.casefold)

    def everywhere(self) -> dict[str, list[str]]:
        """The people of every room that is not empty. The keys are strings, as JSON has it."""
        return {str(room_id): self.names(room_id) for room_id in self._rooms}


people = People()
