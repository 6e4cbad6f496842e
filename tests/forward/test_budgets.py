"""The gate on real sockets: what a budget governs leaves only when there is room, and every end settles."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import msgspec
import pytest
from budget_terms import budget, dollars, limit, requests
from running_desk import KEY, RunningDesk, ask, ok
from wire import Message, Peer, Providers, eventually

from majordomo.budget.model import Unit
from majordomo.budget.purse import Purse
from majordomo.budget.windows import Kind, Window
from majordomo.price.bill import FEMTO_PER_USD
from majordomo.record.frames import Outcome

MESSAGES, CHAT, GENERATE = "/v1/messages", "/v1/chat/completions", "/v1beta/models/gemini-2.5-flash:generateContent"
BODIES = {
    MESSAGES: b'{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}',
    CHAT: b'{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}',
    GENERATE: b'{"contents":[{"parts":[{"text":"Hello"}]}],"generationConfig":{"maxOutputTokens":100}}',
}
BODY = BODIES[MESSAGES]
REPLY = ok(
    b'{"type":"message","model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":20,"output_tokens":10}}'
)
COST = (20 * 3 + 10 * 15) * FEMTO_PER_USD // 1_000_000


def purse(desk: RunningDesk) -> Purse:
    """The only cell."""
    (found,) = desk.call(desk.gate.purses)
    assert isinstance(found, Purse)
    return found


def told(reply: Message, name: str) -> str | None:
    return reply.value(f"X-Majordomo-Budget-{name}")


def test_a_served_request_settles_at_its_real_cost_and_its_reply_tells_what_is_left(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, dollars(1))
    caller.send(ask(MESSAGES, body=BODY))
    upstream = providers.accept()
    assert upstream.request().body == BODY
    assert purse(desk).reserved > COST
    upstream.send(REPLY)
    reply = caller.reply()
    assert reply.status == 200
    assert (told(reply, "Name"), told(reply, "Unit"), told(reply, "Limit")) == ("team", "usd", "1.000000")
    assert told(reply, "Remaining") == "1.000000"
    assert told(reply, "Resets-At") is None
    close = desk.closed_row()
    assert close.bill.total_cost == COST
    assert (purse(desk).reserved, purse(desk).used, purse(desk).at_risk) == (0, COST, 0)


@pytest.mark.parametrize("path", list(BODIES))
def test_a_request_without_room_never_leaves_and_is_told_so_as_its_api_says_it(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str
) -> None:
    limit(desk, dollars(0.000001, contact="ann@example.com", window=Kind.DAY))
    caller.send(ask(path, body=BODIES[path]))
    reply = caller.reply()
    providers.assert_nobody_called()
    error = json.loads(reply.body)["error"]
    kinds = {
        MESSAGES: (402, "billing_error", None),
        CHAT: (429, "insufficient_quota", "insufficient_quota"),
        GENERATE: (402, None, 402),
    }
    assert (reply.status, error.get("type"), error.get("code")) == kinds[path]
    for said in ("'team'", "$0.00 of $0.000001 spent", "may need $0.0", "resets at 20", "ask ann@example.com"):
        assert said in error["message"]
    assert reply.value("X-Should-Retry") == "false"
    assert reply.value("Retry-After") is None
    assert told(reply, "Remaining") == "0.000001"
    assert (told(reply, "Resets-At") or "").endswith("Z")
    close = desk.closed_row()
    assert (close.outcome, close.status_code) == (Outcome.REFUSED, kinds[path][0])
    assert (close.error_type, close.bill.total_cost) == ("budget_exceeded", 0)
    assert purse(desk).reserved == purse(desk).used == 0


def test_as_many_leave_at_once_as_there_is_room_for(desk: RunningDesk, providers: Providers) -> None:
    limit(desk, requests(3))
    callers = [desk.dial() for _ in range(5)]
    for caller in callers:
        caller.send(ask(MESSAGES, body=BODY))
    for _ in range(3):
        providers.serve(REPLY)
    assert sorted(caller.reply().status for caller in callers) == [200, 200, 200, 402, 402]
    providers.assert_nobody_called()
    assert purse(desk).room == 0


@pytest.mark.parametrize("way", ["before the provider", "in mid-reply", "provider breaks"])
def test_nothing_stays_reserved_however_a_request_ends(open_desk: Any, providers: Providers, way: str) -> None:
    desk = open_desk(on_hangup="cut")
    limit(desk, dollars(1))
    caller = desk.dial()
    caller.send(ask(MESSAGES, body=BODY))
    upstream = providers.accept()
    upstream.request()
    assert purse(desk).reserved > 0
    if way == "in mid-reply":
        upstream.send(REPLY[:60])
        eventually(lambda: desk.rows_so_far())
    if way == "provider breaks":
        upstream.hang_up()
        assert caller.reply().status == 502
    else:
        caller.hang_up()
    desk.rows(closed=1)
    eventually(lambda: purse(desk).reserved == 0)


def test_free_calls_pass_a_spent_budget(desk: RunningDesk, providers: Providers) -> None:
    limit(desk, requests(0))
    for request in (
        ask("/v1/messages/count_tokens", body=BODY),
        ask("/v1/models", "anthropic-version: 2023-06-01"),
        ask("/v1/messages", method="HEAD"),
        ask("/v1/messages/batches/b/results", "anthropic-version: 2023-06-01"),
    ):
        caller = desk.dial()
        caller.send(request)
        upstream = providers.accept()
        upstream.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert b" 200 " in caller.head()
    own = desk.dial()
    own.send(ask("/health"))
    assert own.reply().status == 200


def test_a_body_in_pieces_is_held_and_goes_on_unchanged(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    limit(desk, dollars(1))
    body = b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[],"pad":"' + b"x" * 300_000 + b'"}'
    request = ask(MESSAGES, body=body)
    for start in range(0, len(request), 50_000):
        caller.send(request[start : start + 50_000])
    upstream = providers.accept()
    assert upstream.request().body == body
    upstream.send(REPLY)
    assert caller.reply().status == 200


def test_a_chunked_body_is_sent_on_chunked_after_the_gate(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, dollars(1))
    head = ask(MESSAGES, "Transfer-Encoding: chunked", method="POST")
    caller.send(head, b"%x\r\n%b\r\n" % (20, BODY[:20]), b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY) - 20, BODY[20:]))
    upstream = providers.accept()
    assert upstream.request().body == BODY
    upstream.send(REPLY)
    assert caller.reply().status == 200


def test_usage_is_still_asked_for_in_a_governed_stream_and_nowhere_else(
    desk: RunningDesk, providers: Providers
) -> None:
    limit(desk, dollars(1))
    for path, changed in ((CHAT, True), ("/v1/responses", False), (MESSAGES, False)):
        caller = desk.dial()
        stream = BODIES.get(path, BODIES[CHAT]).replace(b'"max_tokens":100', b'"max_tokens":100,"stream":true')
        caller.send(ask(path, body=stream))
        upstream = providers.accept()
        sent = upstream.request().body
        assert (b"include_usage" in sent) == changed, path
        assert changed or sent == stream
        upstream.send(ok())
        assert caller.reply().status == 200
        upstream.hang_up()


def test_the_tightest_of_several_budgets_is_named_and_all_must_have_room(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, dollars(1), requests(1, name="calls"))
    caller.send(ask(MESSAGES, body=BODY))
    providers.serve(REPLY)
    assert told(caller.reply(), "Name") in ("team", "calls")
    caller.send(ask(MESSAGES, body=BODY))
    refused = caller.reply()
    assert refused.status == 402
    assert told(refused, "Name") == "calls"
    assert "1 of 1 requests spent" in json.loads(refused.body)["error"]["message"]
    assert sum(found.reserved for found in desk.call(desk.gate.purses)) == 0


def test_a_budget_that_only_warns_refuses_nothing(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    limit(desk, dollars(0, action="warn"))
    caller.send(ask(MESSAGES, body=BODY))
    providers.serve(REPLY)
    reply = caller.reply()
    assert (reply.status, told(reply, "Remaining")) == (200, "0.000000")
    desk.rows(closed=1)
    assert purse(desk).used == COST


@pytest.mark.parametrize(
    ("on_unpriced", "ceiling", "status"),
    [("refuse", None, 402), ("allow", None, 200), ("ceiling", 1, 200), ("ceiling", FEMTO_PER_USD, 402)],
)
def test_a_model_without_a_price_is_refused_let_through_or_counted_at_a_ceiling(
    desk: RunningDesk, caller: Peer, providers: Providers, on_unpriced: str, ceiling: int | None, status: int
) -> None:
    limit(desk, dollars(1, on_unpriced=on_unpriced, ceiling=ceiling))
    caller.send(ask(MESSAGES, body=BODY.replace(b"claude-sonnet-4-5", b"nobody-knows")))
    if status == 200:
        providers.serve(REPLY.replace(b"claude-sonnet-4-5", b"nobody-knows-this"))
    assert caller.reply().status == status
    desk.rows(closed=1)
    assert purse(desk).used == (30 * ceiling if ceiling and status == 200 else 0)


def test_a_raised_budget_lets_the_next_request_through(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    limit(desk, requests(0))
    caller.send(ask(MESSAGES, body=BODY))
    assert caller.reply().status == 402
    limit(desk, requests(1))
    caller.send(ask(MESSAGES, body=BODY))
    providers.serve(REPLY)
    assert caller.reply().status == 200


@pytest.mark.parametrize("path", list(BODIES))
def test_requests_that_come_too_fast_are_told_when_to_try_again(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str
) -> None:
    pace = budget(Unit.REQUESTS, 1, Kind.MINUTE, name="pace")
    limit(desk, pace)
    first = desk.dial()
    first.send(ask(path, body=BODIES[path]))
    providers.serve(REPLY)
    assert first.reply().status == 200
    caller.send(ask(path, body=BODIES[path]))
    reply = caller.reply()
    assert reply.status == 429
    assert 1 <= int(reply.value("Retry-After") or 0) <= 60
    assert reply.value("X-Should-Retry") is None
    error = json.loads(reply.body)["error"]
    assert "'pace' lets 1 requests through a minute" in error["message"]
    assert error.get("type", error.get("status")) in ("rate_limit_error", "RESOURCE_EXHAUSTED")
    assert desk.rows(closed=2)[1][1].error_type == "rate_limited"


def test_only_so_many_run_at_one_time(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    limit(desk, budget(Unit.CONCURRENT, 1))
    caller.send(ask(MESSAGES, body=BODY))
    upstream = providers.accept()
    upstream.request()
    second = desk.dial()
    second.send(ask(MESSAGES, body=BODY))
    refused = second.reply()
    assert (refused.status, refused.value("Retry-After")) == (429, "1")
    upstream.send(REPLY)
    assert caller.reply().status == 200
    second.send(ask(MESSAGES, body=BODY))
    upstream.request()
    upstream.send(REPLY)
    assert second.reply().status == 200


def test_what_can_never_fit_a_rate_limit_is_not_told_to_try_again(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, budget(Unit.TOKENS, 10, Kind.MINUTE, name="pace"))
    caller.send(ask(MESSAGES, body=BODY))
    reply = caller.reply()
    assert (reply.status, reply.value("Retry-After"), reply.value("X-Should-Retry")) == (402, None, "false")
    assert "may need" in json.loads(reply.body)["error"]["message"]


def test_a_window_that_rolls_tells_when_all_of_it_is_back(desk: RunningDesk, caller: Peer) -> None:
    one = requests(0)
    limit(desk, msgspec.structs.replace(one, window=Window(kind=Kind.ROLLING, length=86_400)))
    caller.send(ask(MESSAGES, body=BODY))
    reply = caller.reply()
    assert (
        "counts the last 24h: room comes back as they pass, all of it by 20"
        in json.loads(reply.body)["error"]["message"]
    )
    again = datetime.fromisoformat(told(reply, "Resets-At") or "")
    assert timedelta(hours=24) < again - datetime.now(UTC) < timedelta(hours=24, minutes=25)


DEAR = REPLY.replace(b'"output_tokens":10', b'"output_tokens":99')  # as long, and dearer than a budget of $0.001


def test_a_free_model_is_not_stopped_with_the_dear_ones(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    limit(desk, dollars(0.001))
    caller.send(ask(MESSAGES, body=BODY.replace(b"100", b"1")))
    upstream = providers.accept()
    upstream.request()
    upstream.send(DEAR)
    assert caller.reply().status == 200
    desk.rows(closed=1)
    assert purse(desk).room < 0
    caller.send(ask(GENERATE.replace("gemini-2.5-flash", "gemma-3"), body=BODIES[GENERATE]))
    upstream.request()
    upstream.send(REPLY)
    assert caller.reply().status == 200
    caller.send(ask(MESSAGES, body=BODY))
    assert caller.reply().status == 402


SPEECH = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'


def test_what_is_not_billed_by_tokens_does_not_pass_a_spent_budget_as_if_it_were_free(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, dollars(0))
    caller.send(ask("/v1/audio/transcriptions", "Content-Type: multipart/form-data; boundary=b", body=SPEECH))
    assert caller.reply().status == 429
    providers.assert_nobody_called()
    assert desk.closed_row().error_type == "budget_exceeded"


CLAUDE = ("X-Majordomo-Client: claude-code", "X-Claude-Code-Session-Id: 11111111-2222-4333-8444-555555555555")
TURN = (
    b'{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}],"tools":[{"name":"Bash"}],'
    b'"max_tokens":9}'
)
TITLE = (
    b'{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"Hello"}],"system":[{"type":"text",'
    b'"text":"Generate a concise, sentence-case title"}],"max_tokens":9}'
)


@pytest.mark.parametrize("mode", ["balanced", "strict"])
def test_what_claude_code_asks_on_the_side_takes_no_turn_from_the_main_loop(
    desk: RunningDesk, providers: Providers, mode: str
) -> None:
    limit(desk, budget(Unit.TURNS, 1, mode=mode))
    running = []
    for body, *more in ((TITLE,), (TURN,), (TITLE,), (TURN, "X-Claude-Code-Agent-Id: a0123456789abcdef")):
        caller = desk.dial()
        caller.send(ask(MESSAGES, *CLAUDE, *more, body=body))
        running.append((caller, providers.accept()))
    refused = desk.dial()
    refused.send(ask(MESSAGES, *CLAUDE, body=TURN))
    assert refused.reply().status == 402
    for caller, upstream in running:
        upstream.request()
        upstream.send(REPLY)
        assert caller.reply().status == 200
    desk.rows(closed=5)
    assert (purse(desk).used, purse(desk).reserved) == (1, 0)


def test_a_strict_budget_in_requests_asks_for_no_highest_cost(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    limit(desk, requests(1, mode="strict"))
    caller.send(ask(MESSAGES, body=BODY.replace(b'"max_tokens":100,', b"")))
    providers.serve(REPLY)
    assert caller.reply().status == 200


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_a_fault_of_the_gate_itself_stops_nobody_whose_budget_does_not_say_so(
    desk: RunningDesk, caller: Peer, providers: Providers, monkeypatch: pytest.MonkeyPatch, fail: str, status: int
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.gate, "_estimator", type("Broken", (), {"estimate": broken}))
    limit(desk, dollars(1, fail=fail))
    caller.send(ask(MESSAGES, body=BODY))
    if status == 200:
        providers.serve(REPLY)
    assert caller.reply().status == status
    assert desk.closed_row().error_type == (None if status == 200 else "budget_undecided")


def test_a_refusal_can_be_a_429_that_asks_not_to_be_retried(open_desk: Any, providers: Providers) -> None:
    desk = open_desk(budget_refusal="429")
    limit(desk, requests(0))
    for path, status in ((MESSAGES, 429), (CHAT, 429), (GENERATE, 402)):
        caller = desk.dial()
        caller.send(ask(path, body=BODIES[path]))
        reply = caller.reply()
        assert (reply.status, reply.value("X-Should-Retry"), reply.value("Retry-After")) == (status, "false", None)
    providers.assert_nobody_called()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_refusal_can_be_a_reply_that_an_sdk_reads_and_nobody_counts(
    open_desk: Any, providers: Providers, stream: bool
) -> None:
    desk = open_desk(budget_refusal="reply")
    limit(desk, dollars(0))
    messages: Any = [{"role": "user", "content": "Hello"}]
    url, headers = f"http://127.0.0.1:{desk.port}", {"X-Majordomo-Key": KEY}
    with anthropic.Anthropic(base_url=url, api_key="k", default_headers=headers, max_retries=0) as client:
        if stream:
            with client.messages.stream(model="claude-opus-4-8", max_tokens=9, messages=messages) as pieces:
                said = pieces.get_final_message()
        else:
            said = client.messages.create(model="claude-opus-4-8", max_tokens=9, messages=messages)
    [block] = said.content
    assert block.type == "text"
    assert block.text.startswith("The budget 'team' has no room for this request: $0.00 of $0.00 spent")
    assert (said.stop_reason, said.model, said.usage.output_tokens) == ("end_turn", "claude-opus-4-8", 0)
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.REFUSED, 200, "budget_exceeded")
    assert close.bill.total_cost == 0
    providers.assert_nobody_called()


def test_other_apis_and_other_refusals_stay_errors_where_budgets_reply(open_desk: Any) -> None:
    desk = open_desk(budget_refusal="reply")
    limit(desk, requests(0))
    caller = desk.dial()
    caller.send(ask(CHAT, body=BODIES[CHAT]))
    assert caller.reply().status == 429
    first = desk.dial()
    first.send(ask("/v1/messages", body=b"{", key="mdm_sk_wrong"))
    assert first.reply().status == 401
