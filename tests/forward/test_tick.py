"""A tick deals with many exchanges at once, and keeps the fault of one from the others."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from budget_terms import dollars, limit
from running_desk import RunningDesk, ask, ok
from wire import Providers

from majordomo.forward.books import Books
from majordomo.forward.caller import Caller
from majordomo.forward.exchange import Exchange
from majordomo.record.frames import Close


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


def test_what_budgets_refuse_in_one_tick_is_on_record_with_one_write_before_any_of_it_is_answered(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(desk, dollars(0.000001))
    done: list[str] = []
    close, answer = Books.close, Caller.answer

    def closing(self: Books, closes: Sequence[Close]) -> None:
        close(self, closes)
        done.append(f"{len(closes)} on record")

    def answering(self: Caller, *told: Any, **also: Any) -> None:
        answer(self, *told, **also)
        done.append("answered")

    monkeypatch.setattr(Books, "close", closing)
    monkeypatch.setattr(Caller, "answer", answering)
    callers = [desk.dial() for _ in range(3)]
    body = b'{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}'
    asking = ask("/v1/messages", body=body)
    for caller in callers:  # so that the desk knows their connections
        caller.send(asking)
        assert caller.reply().status == 402
    done.clear()
    desk.call(lambda: [caller.send(asking) for caller in callers])  # while the loop looks at nothing
    assert [caller.reply().status for caller in callers] == [402] * 3
    assert done == ["3 on record", "answered", "answered", "answered"]
