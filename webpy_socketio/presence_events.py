"""Presence events: the handlers of those who join and leave, run in the process that has them to tell.

Those of one channel run one after the other, in the order in which it happened.
"""

from __future__ import annotations

from functools import partial

from .events import Events
from .handlers import Handler
from .inbox import Inbox
from .logs import logger, printable
from .presences import Place, Presence
from .runner import Runner


class PresenceEvents:
    """Those of one node.

    :param most: events of one channel that may wait for a handler that does not come to an end.
    """

    def __init__(self, events: Events, runner: Runner, most: int) -> None:
        self._events = events
        self._runner = runner
        self._most = most
        self._inboxes: dict[Place, Inbox] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a handler runs."""
        return bool(self._inboxes)

    def tell(self, place: Place, presence: Presence, has_joined: bool) -> None:
        """Have the handlers run for one who has joined, or left."""
        event = self._events.on_join if has_joined else self._events.on_leave
        handlers = event.matching(place.namespace, (place.channel,))
        if not handlers:
            return
        inbox = self._inboxes.get(place)
        if inbox is None:
            inbox = self._inboxes[place] = Inbox(self._runner, None)
            inbox.put(0, self._run, handlers, place, presence)
            inbox.when_idle(partial(self._forget, place))
        elif inbox.backlog < self._most:
            inbox.put(0, self._run, handlers, place, presence)
        else:
            logger.error("%s is not run: %d before it wait in %s", event.name, self._most, printable(place.channel))

    def _forget(self, place: Place) -> None:
        del self._inboxes[place]

    def _run(self, handlers: list[Handler], place: Place, presence: Presence) -> None:
        for handler in handlers:
            try:
                handler.function(place.channel, presence)
            except self._runner.failures as error:
                logger.error("%s raised %s", handler.where, type(error).__name__, exc_info=error)
