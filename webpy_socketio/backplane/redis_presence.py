"""The register of presences of many processes: one greenlet holds what this process has against what Redis has of it.

It works on what is true now, not on a log of what happened: whatever becomes of Redis, or of this process in the eyes
of the others, in the end both say the same. What makes a difference to the cluster is decided, and told to the
subscribers, by Redis; see :mod:`.redis_roll`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from ..attendance import Attendance
from ..delivery import Delivery
from ..errors import AckTimeout
from ..presence_events import PresenceEvents
from ..presences import Place, Presence, all_here, joined, left, presence_of
from ..runner import Runner, Waiter
from ..settings import Settings
from .inquiries import new_id
from .redis_bus import FIRST_PAUSE, GRACE, LONGEST_PAUSE, Bus
from .redis_dial import TROUBLE, Dial
from .redis_roll import ABSENT, Change, Entry, Item, Pulse, Roll, read_post
from .redis_wire import Names, decode_broadcast, encode_broadcast

T = TypeVar("T")
#: Whose broadcasts these are: also the process that made the change takes them from Redis, in their order.
PUBLISHER = "presence"
#: Changes in one step: Redis does nothing else meanwhile.
BATCH = 100
#: A process that has not said for so many times ``redis_timeout`` that it lives is dead to the others.
LIVES = 1.5
#: Seconds between two looks at something that is to be soon.
SOON = 0.05
TAKEN_FOR_DEAD = "this one was taken for dead"
#: Who is in a channel with no process.
NOBODY = Entry(2**63, {})


class RedisPresence:
    """The presences of one process of a cluster."""

    def __init__(self, bus: Bus, names: Names, uid: str, dial: Dial, runner: Runner, settings: Settings) -> None:
        self._bus = bus
        self._names = names
        self._uid = uid
        self._runner = runner
        self._seconds = settings.redis_timeout
        self._roll = Roll(dial, settings.redis_key, uid, LIVES * self._seconds, names.presences)
        #: What Redis has of this process, or soon will; what is to be held against it; whom the list is to be sent to;
        #: and for which channels it has not been asked for yet.
        self._registered: dict[Item, int] = {}
        self._changed: dict[Item, None] = {}
        self._arrived: dict[Place, dict[str, None]] = {}
        self._unasked: dict[Place, None] = {}
        self._epoch: str | None = None
        #: How many processes there were when that could last be told.
        self._processes = 0
        self._next_beat = 0.0
        #: Whether what Redis has is true, as far as this process knows, and whether it ever was away.
        self._is_settled = self._was_away = False
        self._is_over = False
        self._waiter: Waiter | None = None
        self._kill: Callable[[], None] | None = None
        self._ended = runner.waiter()

    def start(self, delivery: Delivery, attendance: Attendance, events: PresenceEvents) -> None:
        """Begin to follow what changes, as soon as presence is declared for any channel."""
        self._delivery = delivery
        self._attendance = attendance
        self._events = events
        attendance.on_change = self._note
        attendance.on_arrival = self._greet
        self._bus.on_return = self._greet_all
        if attendance.rules:
            self._wake()

    def here(self, place: Place) -> list[Presence]:
        """List who is in a channel. Raises AckTimeout, with those of this process, if Redis does not tell."""
        self._wake()
        until = self._runner.now() + self._seconds
        while not self._is_settled and self._bus.is_ready and self._runner.now() < until:
            self._pause(SOON)
        try:
            entries = self._roll.read(place) if self._is_settled else None
        except TROUBLE:
            entries = None
        if entries is None:
            here = list(self._attendance.here(place).values())
            raise AckTimeout("it is not known who is there in other processes: Redis is not reached", here)
        return _presences(self._with_own(place, entries))

    def receive(self, channel: bytes, payload: bytes) -> bool:
        """Tell the subscribers here what is published of presence; False if it is something else."""
        if channel == self._names.presences:
            self._delivery.deliver(decode_broadcast(payload), can_wait=False)
        elif channel == self._names.my_presences:
            self._receive_list(payload)
        else:
            return False
        return True

    def _receive_list(self, payload: bytes) -> None:
        """Take a list that this process has asked for, from among the changes."""
        place, entries = read_post(payload)
        # Whoever came after that was asked for gets all changes that are newer than the list, too.
        sids = self._arrived.pop(place, None)
        if sids:
            self._delivery.deliver(all_here(place, sids, _presences(entries)), can_wait=False)

    def stop(self, deadline: float) -> None:
        """Tell Redis the last changes, and leave it to the other processes to wait for those who may come back."""
        if self._kill is not None:
            self._is_over = True
            self._wake()
            if not (self._is_settled and self._ended.wait(deadline)):
                self._kill()

    # What is new here.

    def _note(self, place: Place, key: str) -> None:
        item = place, key
        if self._count(item) != self._registered.get(item, ABSENT):
            self._changed[item] = None
            self._wake()
        else:
            self._changed.pop(item, None)

    def _greet(self, place: Place, sid: str) -> None:
        if self._is_settled:  # else everybody will be greeted then
            self._arrived.setdefault(place, {})[sid] = None
            self._unasked[place] = None
            self._wake()

    def _greet_all(self) -> None:
        """Send the list to all subscribers: they may have missed something."""
        if not self._is_settled:
            return
        for place, attendants in self._attendance.places.items():
            if self._attendance.is_shown(place):
                self._arrived[place] = {sid: None for attendant in attendants.values() for sid in attendant.sids}
        self._unasked.update(dict.fromkeys(self._arrived))
        self._wake()

    def _count(self, item: Item) -> int:
        attendant = self._attendance.find(*item)
        return ABSENT if attendant is None else len(attendant.sids)

    def _wake(self) -> None:
        if self._kill is None:
            self._bus.hold((self._names.presences, self._names.my_presences))
            self._kill = self._runner.spawn(self._work)
        if self._waiter is not None:
            self._waiter.set()

    # The greenlet.

    def _work(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._is_over:
                try:
                    self._enter()
                    pause = FIRST_PAUSE
                    while not self._is_over:
                        self._turn()
                    self._leave()
                except Exception as error:  # whatever it is, trying again is better than silence
                    self._is_settled, self._was_away = False, True
                    self._bus.complain(f"presence is not shared with other processes: {error}")
                    self._pause(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._ended.set()

    def _enter(self) -> None:
        """Find out what Redis has of this process, and what has to be changed."""
        self._is_settled = False
        hello = self._roll.hello(new_id())
        self._next_beat = self._runner.now() + self._seconds / 2
        if hello.epoch == self._epoch or not self._was_away:
            self._registered = hello.registered
            self._processes = hello.processes
        else:
            self._restore()
        self._epoch = hello.epoch
        here = {(place, key) for place, attendants in self._attendance.places.items() for key in attendants}
        for item in here.union(self._registered):
            self._note(*item)
        self._is_settled = True
        self._greet_all()

    def _restore(self) -> None:
        """Redis has forgotten everything. Tell it what it knew, and give the others the time to do so.

        Only then it is right again who is the first of a user, and who the last.
        """
        for batch in _batches(list(self._registered)):
            if self._roll.change([Change(item, self._registered[item], self._since(item)) for item in batch]) is None:
                raise ConnectionError(TAKEN_FOR_DEAD)
        until = self._runner.now() + GRACE
        before = self._processes
        while self._runner.now() < until:
            pulse = self._beat()
            if before and pulse.processes >= before:
                return
            self._pause(SOON)

    def _turn(self) -> None:
        if self._runner.now() >= self._next_beat:
            for dead in self._beat().dead:
                self._bury(dead)
        if self._changed:
            self._tell_changes()
        is_heard = self._bus.hears(self._names.presences, self._names.my_presences)
        for place in list(islice(self._unasked, BATCH if is_heard else 0)):
            del self._unasked[place]
            self._roll.post(place, self._names.my_presences)
        if not (self._changed or (self._unasked and is_heard) or self._is_over):
            self._waiter = self._runner.waiter()
            self._waiter.wait(SOON if self._unasked else max(0.0, self._next_beat - self._runner.now()))
            self._waiter = None

    def _beat(self) -> Pulse:
        pulse = self._roll.beat()
        if pulse is None:
            raise ConnectionError(TAKEN_FOR_DEAD)
        self._next_beat = self._runner.now() + self._seconds / 2
        self._processes = pulse.processes
        return pulse

    def _tell_changes(self) -> None:
        """Tell Redis what is true now of some that have changed."""
        items = list(islice(self._changed, BATCH))
        before = [(item, self._registered.get(item, ABSENT)) for item in items]
        changes = [self._change(item, self._count(item)) for item in items]
        for change in changes:
            del self._changed[change.item]
            self._register(change.item, change.sockets)  # what changes meanwhile is held against that
        try:
            self._make(changes)
        except BaseException:
            for item, count in before:
                self._register(item, count)
            raise

    def _register(self, item: Item, count: int) -> None:
        if count == ABSENT:
            self._registered.pop(item, None)
        else:
            self._registered[item] = count

    def _bury(self, dead: str) -> None:
        """Take what there still is of a dead process, and tell who has gone with it."""
        for items in _batches(self._roll.items(dead)):
            if not self._make([self._change(item, ABSENT) for item in items], dead):
                return  # it lives after all
        self._roll.bury(dead)

    def _make(self, changes: Sequence[Change], dead: str | None = None) -> bool:
        """Make changes, and tell what has become different by them; False if the dead process was not dead."""
        outcomes = self._roll.change(changes, dead)
        if outcomes is None:
            if dead is None:
                raise ConnectionError(TAKEN_FOR_DEAD)
            return False
        for change, (told, since, connections) in zip(changes, outcomes, strict=True):
            if told:
                place, key = change.item
                self._events.tell(place, presence_of(key, since, connections), told > 0)
        return True

    def _change(self, item: Item, count: int) -> Change:
        place, key = item
        since = self._since(item)
        if not self._attendance.is_shown(place):
            return Change(item, count, since)
        presence = presence_of(key, since, max(count, 0))
        new, gone = (encode_broadcast(PUBLISHER, event(place, presence)) for event in (joined, left))
        return Change(item, count, since, new, gone)

    def _leave(self) -> None:
        while self._changed:
            self._tell_changes()
        self._roll.leave(self._attendance.grace)

    def _since(self, item: Item) -> int:
        attendant = self._attendance.find(*item)
        return round(self._runner.time() * 1000) if attendant is None else attendant.since

    def _with_own(self, place: Place, entries: Mapping[str, Entry]) -> dict[str, Entry]:
        """Return those in a channel as it is now, even if Redis does not know all of this process yet."""
        true = {}
        own = self._attendance.places.get(place, {})
        for key in entries.keys() | own.keys():
            entry = entries.get(key, NOBODY)
            at = {uid: count for uid, count in entry.at.items() if uid != self._uid}
            since = entry.since
            if key in own:
                at[self._uid] = len(own[key].sids)
                since = min(since, own[key].since)
            if at:
                true[key] = Entry(since, at)
        return true

    def _pause(self, seconds: float) -> None:
        self._runner.waiter().wait(seconds)


def _presences(entries: Mapping[str, Entry]) -> list[Presence]:
    """Those in a channel; who has been there longest comes first."""
    presences = [presence_of(key, entry.since, sum(entry.at.values())) for key, entry in entries.items()]
    return sorted(presences, key=lambda presence: presence.since)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
