"""The backplane of a single process keeps the promises of all."""

from __future__ import annotations

from tests.backplane.contract import BackplaneContract, message
from tests.backplane.presence_contract import PresenceContract
from tests.fakes import FakeMember, make_delivery
from webpy_socketio.acks import Ballot
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.backplane.memory import MemoryBackplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.envelope import Selection


class TestMemoryPresence(PresenceContract):
    """The suite of the register of presences."""

    factory = MemoryBackplane


class TestMemoryBackplane(BackplaneContract):
    """The suite of the contract."""

    factory = MemoryBackplane

    def test_fits_the_protocol(self) -> None:
        backplane: Backplane = MemoryBackplane()
        assert backplane.publish(message()) == 0

    def test_nothing_is_delivered_after_the_stop(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "a")
        backplane.stop(1.0)
        assert backplane.publish(message()) == 0
        assert backplane.sockets(Selection()) == []
        done: list[bool] = []
        question = backplane.ask(message(), Ballot(lambda: done.append(True)), 1.0)
        backplane.stop_asking(question)
        assert done == [True], "nobody is waited for"
        for operation in (backplane.subscribe, backplane.unsubscribe):
            operation(Selection(), ["x"])
        backplane.disconnect(Selection())
        assert (member.received, member.done) == ([], [])

    def test_two_processes_share_nothing(self, backplane: Backplane, delivery: Delivery) -> None:
        other_delivery = make_delivery()
        member, stranger = FakeMember(delivery, "a"), FakeMember(other_delivery, "b")
        other = MemoryBackplane()
        other.start(other_delivery)
        assert backplane.publish(message()) == 1
        assert (len(member.received), len(stranger.received)) == (1, 0)
