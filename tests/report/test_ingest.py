"""``/api/v1/ingest`` on the real gateway: what it answers, whose rows it makes, and that no sender can upset it."""

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

import msgspec
import pytest
from gateway_fixture import Gateway
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_rows import exchange

from majordomo.clock import wall_us
from majordomo.ids import new_uuid
from majordomo.meter.reading import Part
from majordomo.record.delivery import MOST_BYTES, MOST_REQUESTS, delivered


def request(tag: str = "", **fields: Any) -> dict[str, Any]:
    """One request as it is delivered; ``fields`` replace members."""
    opening, close = exchange(wall_us() - 60_000_000, metadata={"Test-Case": tag})
    assert close is not None
    close.parts = (Part("gpt-5-mini", {"input": 100, "output": 10}),)  # type: ignore[dict-item]
    plain: dict[str, Any] = json.loads(msgspec.json.encode(delivered(opening, close)))
    return plain | fields


class Sender:
    """Delivers one journal."""

    def __init__(self, gateway: Gateway, key: str | None = None) -> None:
        self.gateway = gateway
        self.key = gateway.key if key is None else key
        self.journal = str(new_uuid(wall_us()))

    def send(self, body: Any, journal: str | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and answer. ``body``: bytes as they are, None to ask for the position, or what becomes JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            f"{self.gateway.base_url}/api/v1/ingest/{journal or self.journal}",
            data,
            {"X-Majordomo-Key": self.key, "Content-Type": "application/json"} | headers,
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def deliver(self, *requests: Any, at: int = 0) -> tuple[int, dict[str, Any]]:
        return self.send({"version": 1, "position": at, "requests": list(requests)})


@pytest.fixture
def sender(gateway: Gateway) -> Sender:
    return Sender(gateway)


def test_a_delivery_is_answered_with_the_position_and_is_in_sql_at_once(gateway: Gateway, sender: Sender) -> None:
    tag = gateway.tag()
    assert sender.send(None) == (200, {"position": 0})
    sent = [request(tag), request(tag)]
    assert sender.deliver(*sent) == (200, {"position": 2, "stored": 2, "duplicates": 0, "refused": 0})
    assert sender.send(None) == (200, {"position": 2})
    rows = gateway.rows(tag, 2)
    assert {str(row["id"]) for row in rows} == {one["id"] for one in sent}
    assert {str(row["delivered_from"]) for row in rows} == {sender.journal}
    assert all(row["total_cost"] is not None for row in rows)
    status, answer = sender.deliver(*sent)
    assert (status, answer["error"]["code"], answer["error"]["details"]) == (409, "position_moved", [{"position": 2}])
    assert sender.deliver(None, request(tag), sent[0], at=2) == (
        200,
        {"position": 5, "stored": 1, "duplicates": 1, "refused": 1},
    )


def test_what_the_gateway_recorded_itself_is_not_stored_twice(gateway: Gateway, sender: Sender) -> None:
    tag = gateway.tag()
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}
    asked = urllib.request.Request(
        f"{gateway.base_url}/v1/chat/completions", json.dumps(body).encode(), gateway.headers(tag)
    )
    with urllib.request.urlopen(asked, timeout=60) as reply:
        reply.read()
        request_id = reply.headers["X-Majordomo-Request-Id"]
    gateway.rows(tag, 1)
    status, answer = sender.deliver(request(tag, id=request_id))
    assert (status, answer["stored"], answer["duplicates"]) == (200, 0, 1)
    assert gateway.row(tag)["delivered_from"] is None


def test_a_sender_cannot_talk_its_key_out_of_the_owners_metadata(gateway: Gateway) -> None:
    made = gateway.create_key("bound sender")
    gateway.sql('UPDATE api_keys SET metadata = \'{"Team": "legal"}\' WHERE id = $1', uuid.UUID(made["id"]))
    tag = gateway.tag()
    sender = Sender(gateway, made["key"])
    assert sender.deliver(request(metadata={"Test-Case": tag, "Team": "other"}))[0] == 200
    row = gateway.row(tag)
    assert json.loads(row["raw_metadata"]) == {"Test-Case": tag, "Team": "legal"}
    assert json.loads(row["overridden_metadata"]) == {"Team": "other"}


def test_a_key_is_asked_for(gateway: Gateway, sender: Sender) -> None:
    for key, code in (("", "gateway_key_missing"), ("mdm_sk_" + "x" * 43, "gateway_key_unknown")):
        stranger = Sender(gateway, key)
        for status, answer in (stranger.deliver(request()), stranger.send(None)):
            assert (status, answer["error"]["code"]) == (401, code)
    owned = gateway.create_key("another")
    tag = gateway.tag()
    sender.deliver(request(tag))
    other = Sender(gateway, owned["key"])
    other.journal = sender.journal
    for status, answer in (other.deliver(request(tag), at=1), other.send(None)):
        assert (status, answer["error"]["code"]) == (409, "foreign_journal")
    # Whatever it says of key, organisation and price, the row is the deliverer's and priced here.
    lies = {"majordomo_api_key_id": str(uuid.uuid4()), "org_id": str(uuid.uuid4()), "total_cost": "0"}
    tag = gateway.tag()
    other.journal = str(uuid.uuid4())
    assert other.deliver(request(tag, **lies))[0] == 200
    row = gateway.row(tag)
    assert str(row["majordomo_api_key_id"]) == owned["id"]
    assert row["org_id"].int == 0
    assert row["total_cost"] > 0


def test_unfit_requests_are_named_by_their_places_and_nothing_is_taken(gateway: Gateway, sender: Sender) -> None:
    tag = gateway.tag()
    status, answer = sender.deliver(request(tag), request(tag, status_code=42), request(tag, id="me"))
    assert (status, answer["error"]["code"]) == (422, "unfit_requests")
    assert [found["index"] for found in answer["error"]["details"]] == [1, 2]
    assert sender.send(None) == (200, {"position": 0})
    assert gateway.sql("SELECT count(*) FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1", tag)[0][0] == 0


def test_what_is_no_delivery_is_refused_with_its_reason(sender: Sender) -> None:
    assert sender.send({"version": 9, "position": 0, "requests": []})[1]["error"]["code"] == "malformed_delivery"
    many: list[Any] = [None] * (MOST_REQUESTS + 1)
    assert sender.deliver(*many)[0] == 400
    assert sender.send(b" " * (MOST_BYTES + 1))[0] == 413
    assert sender.send(b"{}", **{"Content-Encoding": "gzip"})[0] == 415
    assert sender.send(b"{}", journal="not-a-uuid")[0] == 422
    assert sender.send(b"")[0] == 400


def test_the_largest_delivery_is_taken(gateway: Gateway, sender: Sender) -> None:
    """As many requests as there may be, in one transaction, while others ask for a page."""
    tag = gateway.tag()
    began = time.monotonic()
    status, answer = sender.deliver(*(request(tag) for _ in range(MOST_REQUESTS)))
    assert (status, answer["stored"]) == (200, MOST_REQUESTS), time.monotonic() - began
    assert len(gateway.rows(tag, MOST_REQUESTS)) == MOST_REQUESTS


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["\0", "\ud7ff", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1e400", "x" * 9000])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_MEMBERS = sorted(request())


@st.composite
def _mangled(draw: st.DrawFn) -> Any:
    """A request with some members replaced, taken away or added; or something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_JSON)
    made = request("hostile")
    for name in draw(st.lists(st.sampled_from(_MEMBERS), max_size=3, unique=True)):
        if draw(st.booleans()):
            made[name] = draw(_JSON)
        else:
            del made[name]
    made.update(
        draw(st.dictionaries(st.sampled_from(["usage", "metadata", "billed", "claude", "new"]), _JSON, max_size=2))
    )
    return made


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(_mangled(), max_size=4), at=st.just(0) | _JSON, version=st.just(1) | _JSON)
def test_no_delivery_upsets_the_gateway(gateway: Gateway, requests: list[Any], at: Any, version: Any) -> None:
    """Whatever is sent is taken or refused with a reason, never with a 5xx, and no row is another key's."""
    sender = Sender(gateway)
    status, answer = sender.send({"version": version, "position": at, "requests": requests})
    assert status in (200, 400, 409, 422), answer
    if status == 200:
        assert answer["position"] == len(requests) == answer["stored"] + answer["duplicates"] + answer["refused"]
    else:
        assert answer["error"]["message"]
        assert sender.send(None) == (200, {"position": 0})
    of_others = "SELECT count(*) FROM llm_requests WHERE delivered_from = $1 AND majordomo_api_key_id <> ALL($2)"
    own = "SELECT id FROM api_keys WHERE name = 'tests'"
    keys = [row["id"] for row in gateway.sql(own)]
    assert gateway.sql(of_others, uuid.UUID(sender.journal), keys)[0][0] == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), cut=st.integers(0, 400))
def test_no_bytes_upset_the_gateway(gateway: Gateway, body: bytes, cut: int) -> None:
    """Noise, and deliveries with noise in their middle."""
    whole = json.dumps({"version": 1, "position": 0, "requests": [request("noise")]}).encode()
    for sent in (body, whole[:cut] + body + whole[cut:]):
        status, _ = Sender(gateway).send(sent)
        assert status in (200, 400, 422)
