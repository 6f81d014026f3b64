"""The live part of the chat: what happens when a browser's Socket.IO client says something.

There are two kinds of channels. Every page follows the ``lobby``, where it hears who is in which room. The people
*in* a room are subscribed to its channel, ``room-1`` or ``room-2`` or ..., where the talking happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import models
import web
from people import Seat, people

from webpy_socketio import (
    Refused,
    broadcast,
    broadcast_channel,
    channel_overflow,
    on_event,
    on_finish,
    on_message,
    on_server_side_event,
    on_subscribe,
    server_side_emit,
    to,
)

LOBBY = "lobby"
SESSION_COOKIE = "chat_session"
TOKEN_LENGTHS = range(16, 65)

# Who is in a room now makes worthless who was: a page that is slow to read is sent only the newest of each room.
channel_overflow(f"^{LOBBY}$", "latest", key=lambda event, message: message["room"])


@on_subscribe
def follow(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Let every page follow the lobby, and tell it who is where: from then on it hears what changes.

    Nobody listens at the door of a room: its channel comes with joining it.
    """
    if channel != LOBBY:
        raise Refused("Join a room to follow it.")
    socket.send({"action": "everybody", "rooms": people.everywhere()})


@on_event("join")
def join(request: Any, socket: Any, context: dict[str, Any], room_id: object, name: object, token: object) -> Any:
    """Enter a room under a name. The answer holds what the page shows first: the people and the last messages."""
    with refusing_bad_input():
        room = models.find_room(room_id)
        if room is None or not isinstance(token, str) or len(token) not in TOKEN_LENGTHS:
            raise Refused("This room cannot be joined like that. Please reload the page.")
        name = models.clean_name(name)
        leave_seat(socket, context)
        seat = people.sit(room, name, token)
    context["seat"] = seat
    socket.subscribe(room.channel)  # before the messages are read, so that none can be missed
    announce_people(socket, room)
    models.remember_name(web.cookies().get(SESSION_COOKIE), seat.name)
    return {"name": seat.name, "people": people.names(room.id), "messages": models.last_messages(room)}


@on_event("leave")
def leave(request: Any, socket: Any, context: dict[str, Any]) -> Any:
    """Go out of the room, and stay connected."""
    seat = leave_seat(socket, context)
    return {"people": people.names(seat.room.id) if seat else []}


@on_message(channel="^room-")
def talk(request: Any, socket: Any, context: dict[str, Any], message: object) -> bool:
    """Keep what somebody says, and pass it on to the room, themselves included.

    Only sockets in a room get here. The channel is named, because otherwise the message would go to all channels of
    the socket: to the lobby as well.
    """
    seat: Seat = context["seat"]
    with refusing_bad_input():
        text = models.clean_text(message)
    saved = models.add_message(seat.room, seat.name, text)
    socket.send_and_broadcast_channel({"action": "message", **saved}, seat.room.channel)
    return True


@on_finish
def go(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Free the name of somebody whose connection ended, whatever ended it."""
    leave_seat(socket, context)


@contextmanager
def refusing_bad_input() -> Iterator[None]:
    """Answer the client with the sentence of an InputError."""
    try:
        yield
    except models.InputError as error:
        raise Refused(str(error)) from None


def leave_seat(socket: Any, context: dict[str, Any]) -> Seat | None:
    """Give back the seat of a connection and return it; None if it has none."""
    seat: Seat | None = context.pop("seat", None)
    if seat:
        socket.unsubscribe(seat.room.channel)
        if people.rise(seat):
            announce_people(socket, seat.room)
    return seat


def announce_people(socket: Any, room: models.Room) -> None:
    """Tell all others who is in a room now; the one who came or went learns it from the answer.

    Each process tells its own clients what it finds itself. What another found could arrive late, and would be the last
    word on who is there.
    """
    socket.to(LOBBY, local=True).send(people_message(room.id))
    server_side_emit("people", room.id)


@on_server_side_event("people")
def announce_people_here(room_id: int) -> None:
    """In another process somebody came or went."""
    to(LOBBY, local=True).send(people_message(room_id))


def people_message(room_id: int) -> dict[str, Any]:
    """Who is in a room now, for the pages."""
    return {"action": "people", "room": room_id, "people": people.names(room_id)}


def announce(text: str, room: models.Room | None) -> None:
    """Send a system message to a room, or to everybody if there is none. Raises NoSocket if nobody would get it."""
    message = {"action": "system", "text": text, "time": models.now()}
    if room:
        broadcast_channel(message, room.channel)
    else:
        broadcast(message)
