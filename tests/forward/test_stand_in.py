"""A proxy key is sent on as the real credential, at once after any change; it never reaches a provider itself."""

import json
from collections.abc import Callable
from hashlib import sha256

import pytest
from running_desk import KEY, RunningDesk, ask, ok
from wire import Peer, Providers

from majordomo.admit.proxy_keys import ProxyKey, ProxyKeys

TOKEN = "mdm_pk_" + "P" * 43
BODY = b'{"model":"m"}'
NOBODY = bytes(16)

Hold = Callable[..., None]


@pytest.fixture
def hold(desk: RunningDesk) -> Hold:
    """Let the desk know exactly this proxy key."""
    keys = ProxyKeys(desk.ring)
    desk.desk.planner.proxy_keys = keys  # type: ignore[attr-defined]

    def put(org: bytes = NOBODY, **credentials: bytes) -> None:
        desk.call(keys.replace_all, {sha256(TOKEN.encode()).hexdigest(): ProxyKey(org, credentials)})

    return put


@pytest.fixture
def caller(desk: RunningDesk) -> Peer:
    return desk.dial()


@pytest.mark.parametrize(
    ("target", "sent", "got"),
    [
        ("/v1/messages", f"x-api-key: {TOKEN}", b"x-api-key: real-one"),
        ("/v1/messages", f"authorization: Bearer {TOKEN}", b"authorization: Bearer real-one"),
        ("/v1/chat/completions", f"Authorization: Bearer {TOKEN}", b"Authorization: Bearer real-one"),
        ("/v1beta/models/m:generateContent", f"x-goog-api-key: {TOKEN}", b"x-goog-api-key: real-one"),
    ],
)
def test_the_real_credential_goes_where_the_proxy_key_stood(
    desk: RunningDesk, providers: Providers, hold: Hold, caller: Peer, target: str, sent: str, got: bytes
) -> None:
    hold(anthropic=b"real-one", openai=b"real-one", gemini=b"real-one")
    caller.send(ask(target, sent, body=BODY))
    provider = providers.accept()
    message = provider.request()
    provider.send(ok())
    assert caller.reply().status == 200
    assert got in message.lines and TOKEN.encode() not in message.head and message.body.startswith(b'{"model":"m"')
    assert desk.row().opening.provider_key_hash == sha256(TOKEN.encode()).hexdigest()


def test_a_key_in_the_query_is_swapped_too(desk: RunningDesk, providers: Providers, hold: Hold, caller: Peer) -> None:
    hold(gemini=b"real-one")
    caller.send(ask(f"/v1beta/models/m:generateContent?alt=sse&key={TOKEN}", body=BODY))
    provider = providers.accept()
    assert provider.request().start.split(b" ")[1].endswith(b"?alt=sse&key=real-one")
    provider.send(ok())
    assert caller.reply().status == 200


def test_an_api_key_of_anthropic_goes_into_its_own_header(
    desk: RunningDesk, providers: Providers, hold: Hold, caller: Peer
) -> None:
    """Claude Code with a token in its settings sends it as Authorization, which takes no API key."""
    hold(anthropic=b"sk-ant-api03-x")
    caller.send(ask("/v1/messages", f"Authorization: Bearer {TOKEN}", body=BODY))
    provider = providers.accept()
    message = provider.request()
    provider.send(ok())
    assert message.values("x-api-key") == ["sk-ant-api03-x"] and not message.values("authorization")


def test_every_change_counts_at_the_next_request_with_the_same_head(
    desk: RunningDesk, providers: Providers, hold: Hold, caller: Peer
) -> None:
    """Changed, then revoked: such a head is never remembered."""
    request = ask("/v1/messages", f"x-api-key: {TOKEN}", body=BODY)
    provider = None
    for real in (b"first", b"second"):
        hold(anthropic=real)
        for _ in range(2):
            caller.send(request)
            provider = provider or providers.accept()
            assert provider.request().values("x-api-key") == [real.decode()]
            provider.send(ok())
            assert caller.reply().status == 200
    desk.call(desk.desk.planner.proxy_keys.replace_all, {})  # type: ignore[attr-defined]
    caller.send(request)
    reply = caller.reply()
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize(
    ("credential", "org", "status", "words"),
    [
        ("mdm_pk_" + "Q" * 43, NOBODY, 401, "not known here"),
        ("mdm_pk_short", NOBODY, 401, "not known here"),
        (TOKEN + "x", NOBODY, 401, "not known here"),
        (TOKEN, b"\x07" * 16, 401, "not known here"),  # another organisation's
    ],
)
def test_what_is_no_proxy_key_of_the_callers_organisation_goes_nowhere(
    desk: RunningDesk,
    providers: Providers,
    hold: Hold,
    caller: Peer,
    credential: str,
    org: bytes,
    status: int,
    words: str,
) -> None:
    hold(org, openai=b"real-one")
    caller.send(ask("/v1/chat/completions", f"Authorization: Bearer {credential}", body=BODY))
    reply = caller.reply()
    assert reply.status == status and words in json.loads(reply.body)["error"]["message"]
    assert not desk.pool.opened


def test_a_provider_that_it_does_not_stand_for_is_named(
    desk: RunningDesk, providers: Providers, hold: Hold, caller: Peer
) -> None:
    """No credential goes to another provider than its own."""
    hold(anthropic=b"real-one")
    caller.send(ask("/v1/chat/completions", f"Authorization: Bearer {TOKEN}", body=BODY))
    reply = caller.reply()
    assert reply.status == 401 and "no credential for openai" in json.loads(reply.body)["error"]["message"]
    assert not desk.pool.opened


def test_before_they_are_known_the_caller_is_asked_to_wait(desk: RunningDesk, caller: Peer) -> None:
    desk.desk.planner.proxy_keys = ProxyKeys(desk.ring)  # type: ignore[attr-defined]
    caller.send(ask("/v1/messages", f"x-api-key: {TOKEN}", body=BODY, key=KEY))
    reply = caller.reply()
    assert (reply.status, reply.values("retry-after")) == (503, ["1"])
