"""Fan-out to one channel or to many small ones: what the clients of these scenarios do, as in drivers.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clients import WebSocket, close_websockets, open_websockets
from drivers import FOREVER
from frames import TEXT, client_frame, server_frame
from groups import Group, Receiver
from load import Loop, WrongData
from messages import Message, text_messages

JOINED = server_frame(TEXT, b'430["ok"]')


class Fanout:
    """Groups of sockets, each busy with its own casts. An operation is one message received by one socket."""

    def __init__(self, loop: Loop, groups: Sequence[tuple[Group, Sequence[WebSocket]]]) -> None:
        self.loop = loop
        self._groups = [group for group, _ in groups]
        self._receivers = [self.receiver(group, websocket) for group, members in groups for websocket in members]

    @property
    def operations(self) -> int:
        """All messages that all receivers have received."""
        return sum(group.operations for group in self._groups)

    def receiver(self, group: Group, websocket: WebSocket) -> Receiver:
        """The receiver on this socket."""
        return Receiver(group, websocket)

    def start(self) -> None:
        """Put the first casts in flight."""
        for receiver in self._receivers:
            self.loop.handle(receiver.websocket.sock, receiver.on_readable)
        for group in self._groups:
            group.start()

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def finish(self) -> None:
        """Wait for the last casts and check that every socket has received all of its group's."""
        self.loop.run_until(lambda: all(group.is_quiet for group in self._groups))
        casts = sum(receiver.count for receiver in self._receivers)
        if casts != self.operations or casts != sum(group.casts * group.size for group in self._groups):
            raise WrongData(f"{casts} messages were received, {self.operations} were due")

    def stop(self) -> None:
        """Start no more casts, check, and hang up."""
        for group in self._groups:
            group.stop()
        self.finish()
        close_websockets(self.loop, [receiver.websocket for receiver in self._receivers])


def fanout_to_all(loop: Loop, port: int, receivers: int, in_flight: int, messages: Sequence[Message]) -> Fanout:
    """Everybody is in the one channel, and the first socket casts to it."""
    sockets = open_websockets(loop, port, receivers)
    return Fanout(loop, [(Group(sockets, messages, in_flight), sockets)])


def fanout_to_channels(loop: Loop, port: int, channels: int, members: int) -> Fanout:
    """Many channels with a few members each, one cast in flight in each of them."""
    sockets = open_websockets(loop, port, channels * members)
    rooms = [sockets[number::channels] for number in range(channels)]
    join(loop, [(websocket, f"room-{number}") for number, room in enumerate(rooms) for websocket in room])
    messages = [text_messages(f"tell room-{number}", number) for number in range(channels)]
    return Fanout(loop, [(Group(room, ring, 1), room) for room, ring in zip(rooms, messages, strict=True)])


def join(loop: Loop, wishes: Sequence[tuple[WebSocket, str]]) -> None:
    """Let each socket subscribe to a channel, and wait for all acknowledgements."""
    joined: list[WebSocket] = []

    def on_answer(websocket: WebSocket) -> Callable[[], None]:
        def handler() -> None:
            if frames := websocket.frames():
                if frames != [JOINED]:
                    raise WrongData(f"{frames} instead of {JOINED!r}")
                joined.append(websocket)

        return handler

    for websocket, channel in wishes:
        loop.handle(websocket.sock, on_answer(websocket))
        websocket.send(client_frame(TEXT, f'420["join","{channel}"]'.encode(), b"\x71\x82\x93\xa4"))
    loop.run_until(lambda: len(joined) == len(wishes))
