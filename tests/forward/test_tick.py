"""A tick deals with many exchanges at once, and keeps the fault of one from the others."""

from collections.abc import Callable

import pytest
from running_desk import RunningDesk, ask, ok
from wire import Providers

from majordomo.forward.exchange import Exchange


def test_a_fault_in_one_exchange_is_a_500_and_its_neighbour_is_served(
    open_desk: Callable[..., RunningDesk], providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Exchange.go

    def faulty(self: Exchange, *, recorded: bool) -> None:
        if b"/broken" in self.request.plan.head.target:
            raise RuntimeError("made for the test")
        sound(self, recorded=recorded)

    monkeypatch.setattr(Exchange, "go", faulty)
    desk = open_desk()
    broken, served = desk.dial(), desk.dial()
    broken.send(ask("/v1/messages?from=/broken", body=b"{}"))
    served.send(ask("/v1/messages", body=b"{}"))
    provider = providers.accept()
    provider.request()  # before it answers: a provider that speaks first is cut off
    provider.send(ok())
    assert served.reply().status == 200
    assert broken.reply().status == 500
    broken.assert_ended()
    assert desk.desk.books.counters.faults == 1
    desk.errors.clear()  # the fault was logged, as it should be
