"""The roll: who is in the channels with presence, as Redis has it for all processes of a cluster.

Each step is a script, so that Redis decides who is the first of a user and who the last, and tells the subscribers in
the same moment: every process hears of the changes in one order. The keys have a hash tag in common, by which a Redis
Cluster has them all in one place:

* ``processes``: until when each process is believed to live, by Redis' own clock, which it puts off again and again;
* ``of#<process>``: what a process has of whom: how many sockets, by place and key;
* ``in#<place>``: who is in a channel: since when, and how many sockets of each process, by key, in JSON;
* ``epoch``: a random text, by which it is known whether Redis has forgotten everything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..presences import Place
from .redis_dial import Dial

#: An attendant, by its place and key.
Item = tuple[Place, str]
#: What a process has of somebody who is not there at all; who is waited for has 0.
ABSENT = -1

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_HELLO = (
    _NOW
    + """
local epoch = redis.call('GET', KEYS[3])
if not epoch then
  epoch = ARGV[3]
  redis.call('SET', KEYS[3], epoch)
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return {epoch, redis.call('ZCARD', KEYS[1]), redis.call('HGETALL', KEYS[2])}
"""
)
_BEAT = (
    _NOW
    + """
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) < now then return false end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return {redis.call('ZCARD', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now, 'LIMIT', 0, 10)}
"""
)
# A dead process may turn out to live: then it is neither buried, nor is anything taken from it.
_CHANGE = (
    _NOW
    + """
local process = ARGV[1]
local deadline = redis.call('ZSCORE', KEYS[1], process)
local lives = deadline and tonumber(deadline) >= now or false
if lives ~= (ARGV[2] == 'lives') then return false end
local results = {}
for first = 5, #ARGV, 6 do
  local place, user, count, since = ARGV[first], ARGV[first + 1], tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local here = ARGV[3] .. place
  local text = redis.call('HGET', here, user)
  local entry = text and cjson.decode(text) or {since = since, at = {}}
  if count < 0 then
    entry.at[process] = nil
    redis.call('HDEL', KEYS[2], place .. '\\n' .. user)
  else
    entry.at[process] = count
    entry.since = math.min(entry.since, since)
    redis.call('HSET', KEYS[2], place .. '\\n' .. user, count)
  end
  local total = -1
  for _, some in pairs(entry.at) do total = math.max(total, 0) + some end
  local told = 0
  if total >= 0 then
    redis.call('HSET', here, user, cjson.encode(entry))
    if not text then told = 1 end
  elseif text then
    redis.call('HDEL', here, user)
    told = -1
  end
  if told ~= 0 and ARGV[first + 4] ~= '' then
    redis.call('PUBLISH', ARGV[4], told == 1 and ARGV[first + 4] or ARGV[first + 5])
  end
  results[#results + 1] = {told, entry.since, math.max(total, 0)}
end
return results
"""
)
_BURY = (
    _NOW
    + """
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if deadline and tonumber(deadline) < now and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
"""
)
_LEAVE = (
    _NOW
    + """
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
end
"""
)
_ITEMS = "return redis.call('HKEYS', KEYS[1])"
_READ = "return redis.call('HGETALL', KEYS[1])"
_POST = "redis.call('PUBLISH', ARGV[1], ARGV[2] .. cjson.encode(redis.call('HGETALL', KEYS[1])))"


class Hello(NamedTuple):
    """What a process learns when it comes, or comes back."""

    epoch: str
    #: How many processes there are.
    processes: int
    #: What Redis has of this one.
    registered: dict[Item, int]


class Pulse(NamedTuple):
    """What a process learns when it says that it lives."""

    #: How many processes there are.
    processes: int
    #: Some of those that have not said so for too long.
    dead: list[str]


class Change(NamedTuple):
    """What a process has of somebody from now on, and what the subscribers are told if that makes a difference."""

    item: Item
    #: How many sockets; ABSENT for none at all.
    sockets: int
    #: Milliseconds since 1970.
    since: int
    #: What is published of one who is new, or has gone; nothing if nobody is told.
    joined: bytes = b""
    left: bytes = b""


class Outcome(NamedTuple):
    """What became of a change: 1 if somebody is new by it in all the cluster, -1 if they have gone."""

    told: int
    since: int
    connections: int


class Entry(NamedTuple):
    """Somebody in a channel."""

    since: int
    #: How many sockets each process has.
    at: dict[str, int]


class Roll:
    """The steps of one process. All of them wait for Redis, and raise what TROUBLE has.

    :param key: what the names of all keys begin with.
    :param uid: of the process.
    :param life: seconds for which a process is believed to live when it has said so.
    :param channel: where changes are published.
    """

    def __init__(self, dial: Dial, key: str, uid: str, life: float, channel: bytes) -> None:
        self._dial = dial
        self._base = f"{key}-{{presence}}#"
        self._processes = f"{self._base}processes"
        self._uid = uid
        self._life = round(life * 1000)
        self._channel = channel

    def hello(self, epoch: str) -> Hello:
        """Live.

        :param epoch: what it is from now on, if Redis has none.
        """
        keys = (self._processes, self._of(self._uid), f"{self._base}epoch")
        answer, processes, flat = self._dial.run(_HELLO, keys, (self._uid, self._life, epoch))
        return Hello(answer.decode(), processes, {_item(name): int(count) for name, count in _pairs(flat)})

    def beat(self) -> Pulse | None:
        """Live on; None if it is too late for that, as others may have begun to bury this process."""
        answer = self._dial.run(_BEAT, (self._processes,), (self._uid, self._life))
        return None if answer is None else Pulse(answer[0], [uid.decode() for uid in answer[1]])

    def change(self, changes: Sequence[Change], dead: str | None = None) -> list[Outcome] | None:
        """Change what this process has, or take from a dead one; None if it is dead, or the other is not."""
        uid = dead or self._uid
        args: list[Any] = [uid, "lives" if dead is None else "is dead", f"{self._base}in#", self._channel]
        for (place, key), sockets, since, joined, left in changes:
            args += [_name(place), key, sockets, since, joined, left]
        answer = self._dial.run(_CHANGE, (self._processes, self._of(uid)), args)
        return None if answer is None else [Outcome(*outcome) for outcome in answer]

    def items(self, dead: str) -> list[Item]:
        """What there still is of a process."""
        return [_item(name) for name in self._dial.run(_ITEMS, (self._of(dead),), ())]

    def bury(self, dead: str) -> None:
        """Forget a dead process, of which nothing is left."""
        self._dial.run(_BURY, (self._processes, self._of(dead)), (dead,))

    def leave(self, seconds: float) -> None:
        """Be dead in so many seconds: the others take what there still is of this process then."""
        self._dial.run(_LEAVE, (self._processes, self._of(self._uid)), (self._uid, round(seconds * 1000)))

    def read(self, place: Place) -> dict[str, Entry]:
        """Who is in a channel, by key."""
        return read_entries(self._dial.run(_READ, (self._in(place),), ()))

    def post(self, place: Place, channel: bytes) -> None:
        """Have it published who is in a channel, among the changes; see :func:`read_post`."""
        self._dial.run(_POST, (self._in(place),), (channel, f"{_name(place)}\n"))

    def _of(self, uid: str) -> str:
        return f"{self._base}of#{uid}"

    def _in(self, place: Place) -> str:
        return f"{self._base}in#{_name(place)}"


def read_post(payload: bytes) -> tuple[Place, dict[str, Entry]]:
    """Return what :meth:`Roll.post` has published: a channel, and who is in it."""
    name, _, flat = payload.partition(b"\n")
    return Place(*json.loads(name)), read_entries([part.encode() for part in json.loads(flat)])


def read_entries(flat: Sequence[bytes]) -> dict[str, Entry]:
    """Return those in a channel, by key."""
    return {key.decode(): Entry(**json.loads(text)) for key, text in _pairs(flat)}


def _name(place: Place) -> str:
    """A place as text: ASCII, in one line, and the same each time."""
    return json.dumps(place)


def _item(name: bytes) -> Item:
    place, _, key = name.partition(b"\n")
    return Place(*json.loads(place)), key.decode()


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """What HGETALL returns, by two."""
    return list(zip(flat[::2], flat[1::2], strict=True))
