"""A delivered request becomes the row that the gateway would have made of it; nothing hostile in it gets further."""

import datetime as dt
import uuid

import msgspec
import pytest

from majordomo.admit.metadata import MetadataLimits
from majordomo.apis import Api
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.record import delivery, intake
from majordomo.record.delivery import Claude, DeliveredRequest, delivered
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.intake import Terms, UnfitError, take_in
from majordomo.record.rows import NIL_ORG, line, lost, normalised

KEY = uuid.UUID("0199c0de-0000-7000-8000-0000000000aa")
ORG = uuid.UUID(bytes=NIL_ORG)
LATER_US = 1_763_812_800_000_000  # a day after the requests of ``made``


@pytest.fixture(scope="module")
def pricer():
    return Pricer.load(None, None)


@pytest.fixture
def terms(pricer):
    return Terms(KEY, ORG, LATER_US, pricer, MetadataLimits(4, 20, 50))


@pytest.fixture
def anthropic(made):
    """A request of Claude Code's with everything that a row can hold."""
    session = "0199c0de-0000-7000-8000-0000000000bb"
    opening = made.opening(
        provider="anthropic",
        api="anthropic.messages",
        path="/v1/messages",
        client="claude-code",
        claude_session=session,
        claude_session_name="refactoring",
        client_session=session,
        client_version="2.1.197",
        agent_id="agent-1",
        parent_agent_id="agent-0",
        trace_id="t",
        span_path="a/b",
        span_name="b",
        provider_key_alias="work",
    )
    counts = {Bucket.INPUT: 1000, Bucket.CACHE_READ: 20, Bucket.CACHE_WRITE_1H: 7, Bucket.OUTPUT: 30}
    close = made.close(
        opening,
        requested_model="claude-sonnet-4-5",
        model="claude-sonnet-4-5-20250929",
        parts=(Part(None, counts),),
        speed="standard",
        geo="us",
        service_tier="standard",
        problems=("cut",),
        usage_state=UsageState.ESTIMATED,
        cache_creation_tokens=7,
        cache_creation_1h_tokens=7,
        cache_creation_5m_tokens=0,
        claude=ClaudeDetails(message_count=3, tool_names=("Bash", "Read"), tool_use_count=2, usage_cost=0.125),
    )
    return opening, close


def _json(opening, close):
    return msgspec.json.encode(delivered(opening, close))


def _changed(request, **fields):
    """The JSON of a delivered request with some members replaced or, by ``...``, left out."""
    plain = msgspec.json.decode(_json(*request))
    for name, value in fields.items():
        if value is ...:
            plain.pop(name)
        else:
            plain[name] = value
    return msgspec.json.encode(plain)


def test_a_delivered_request_is_the_same_row_but_for_key_and_price(anthropic, terms, pricer):
    """Every column of the line of COPY comes through; key and organisation are the deliverer's, the price is ours."""
    opening, close = anthropic
    taken = take_in(_json(opening, close), terms)
    reading = Reading(model=close.model, parts=close.parts, state=close.usage_state, service_tier="standard")
    reading.speed, reading.geo, reading.problems = "standard", "us", ("cut",)
    facts = RequestFacts(model="claude-sonnet-4-5")
    close.bill = pricer.bill("anthropic", Api.ANTHROPIC_MESSAGES, reading, facts, opening.requested_at)
    opening.api_key_id, opening.org_id = KEY.bytes, ORG.bytes
    assert close.bill.total_cost
    assert line(taken, frozenset({"Team"})) == line(normalised(opening, close), frozenset({"Team"}))
    assert taken.opening == opening
    assert taken.close == close


def test_what_the_sender_says_it_cost_is_not_even_read(anthropic, terms):
    """Costs that stand in a delivered request change nothing."""
    honest = take_in(_json(*anthropic), terms)
    lying = take_in(_changed(anthropic, total_cost="0", bill={"total_cost": 0}, input_cost=0), terms)
    assert lying == honest
    assert honest.close.bill.total_cost > 0


def test_a_lost_request_stays_lost(made, terms):
    """An opening without a close arrives as a row of outcome lost, without a price and without an end."""
    opening = made.opening()
    taken = take_in(_json(*lost(opening)[:2]), terms)
    assert taken.close == lost(opening).close
    assert taken.opening.metadata == opening.metadata


def test_every_field_of_a_journal_is_handed_over():
    """Whoever adds a field to the journal's frames has to decide what a delivery says of it."""
    own = {"bill", "api_key_id", "org_id", "overridden", "id"}  # decided by the gateway
    renamed = {
        "method": "request_method",
        "path": "request_path",
        "provider_key_hash": "provider_api_key_hash",
        "provider_key_alias": "provider_api_key_alias",
        "claude_session": "claude_session_id",
        "client_session": "client_session_id",
        "parts": "billed",
        "speed": "billed",
        "geo": "billed",
        "batch": "billed",
    }
    fields = {*Opening.__struct_fields__, *Close.__struct_fields__} - own
    assert {renamed.get(name, name) for name in fields} == set(DeliveredRequest.__struct_fields__) - own
    assert Claude.__struct_fields__ == ClaudeDetails.__struct_fields__


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"id": "nobody"}, "UUID"),
        ({"id": str(uuid.uuid4())}, "version 7"),
        ({"id": ...}, "id"),
        ({"requested_at": "yesterday"}, "requested_at"),
        ({"requested_at": "2025-11-21T12:00:00"}, "timezone"),
        ({"requested_at": 1}, "requested_at"),
        ({"outcome": "splendid"}, "outcome"),
        ({"usage_state": "guessed"}, "usage_state"),
        ({"api": "telepathy"}, "api"),
        ({"status_code": 99}, "status_code"),
        ({"status_code": 600}, "status_code"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 2**31}, "input_tokens"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"response_time_ms": -1}, "response_time_ms"),
        ({"provider_api_key_hash": "sk-ant-secret"}, "provider_api_key_hash"),
        ({"claude_session_id": "mine"}, "claude_session_id"),
        ({"metadata": {"Team": 1}}, "metadata"),
        ({"metadata": ["Team"]}, "metadata"),
        ({"provider": None}, "provider"),
        ({"billed": {"parts": [[None, {"input": -1}, None]]}}, "billed"),
        ({"billed": {"parts": [{"model": None, "counts": {"input": -1}}]}}, "count"),
        ({"billed": {"parts": [{"model": None, "counts": {"input": 10**12 + 1}}]}}, "count"),
        ({"billed": {"parts": [{"model": None, "counts": {"gold": 1}}]}}, "billed"),
        ({"billed": {"parts": [{"model": None, "counts": {}, "context": -1}]}}, "context"),
        ({"billed": {"parts": [{"model": "m" * 256, "counts": {}}]}}, "model"),
        ({"billed": {"parts": [{"model": f"m{n}", "counts": {}} for n in range(33)]}}, "models"),
        ({"claude": {"usage_cost": -0.5}}, "usage_cost"),
        ({"claude": {"usage_cost": "NaN"}}, "usage_cost"),
        ({"claude": {"message_count": -1}}, "message_count"),
    ],
)
def test_what_is_not_what_it_says_is_refused_by_name(anthropic, terms, changes, problem):
    """Ids, times, counts, outcomes: a wrong one is named, and its value is not repeated."""
    with pytest.raises(UnfitError, match=problem) as refused:
        take_in(_changed(anthropic, **changes), terms)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000 + b"]" * 100_000, b'{"id":1}'])
def test_what_is_no_request_at_all_is_refused(raw, terms):
    """Broken JSON, other JSON, bytes and bottomless nesting end in the one error."""
    with pytest.raises(UnfitError):
        take_in(raw, terms)


def test_too_many_parts_are_refused(made, terms, monkeypatch):
    """A request is billed in a bounded number of parts."""
    monkeypatch.setattr(intake, "MOST_PARTS", 2)
    opening = made.opening()
    close = made.close(opening, parts=(Part(None, {}),) * 3)
    with pytest.raises(UnfitError, match="parts"):
        take_in(_json(opening, close), terms)


@pytest.mark.parametrize(
    ("told", "kept", "corrected"),
    [
        ("2030-01-01T00:00:00Z", LATER_US, True),
        ("9999-12-31T23:59:59.999999-14:00", LATER_US, True),
        ("0001-01-01T00:00:00+14:00", intake.EARLIEST_US, True),
        ("1969-12-31T23:59:59Z", intake.EARLIEST_US, True),
        ("2025-11-22T12:04:59Z", LATER_US + 299_000_000, False),
        ("2025-11-21T13:00:00+01:00", 1_763_726_400_000_000, False),
    ],
)
def test_times_are_made_plausible_and_the_row_says_so(anthropic, terms, told, kept, corrected):
    """A clock that is far off costs a row its time, never the row."""
    taken = take_in(_changed(anthropic, requested_at=told), terms)
    assert taken.opening.requested_at == kept
    assert (intake.TIME_CORRECTED in taken.close.problems) is corrected
    assert kept <= taken.close.responded_at <= max(kept, LATER_US)


def test_metadata_has_the_limits_and_the_spelling_of_headers(anthropic, terms):
    """Too many, too long and the gateway's own names are left out; what is left is in Title-Case and printable."""
    told = {
        "user-id": "u\0",
        "TEAM": "x",
        "Key": "mdm_sk_x",
        "long": "v" * 51,
        "n" * 21: "x",
        "a": "1",
        "b": "2",
        "c": "3",
    }
    taken = take_in(_changed(anthropic, metadata=told), terms)
    assert taken.opening.metadata == {"User-Id": "u\ufffd", "Team": "x", "A": "1", "B": "2"}
    assert intake.METADATA_DROPPED in taken.close.problems


def test_texts_are_cut_and_credentials_masked(anthropic, terms):
    """Names end at a column's width before anything is kept under them, and no credential gets into a row."""
    taken = take_in(
        _changed(
            anthropic,
            provider="p" * 10_000,
            model="m" * 10_000,
            service_tier="t" * 10_000,
            request_path="/v1/messages?key=secret",
            error_message="invalid key sk-ant-0123456789",
            problems=["x" * 10_000] * 1000,
            usage={"filler": "x" * (intake.MOST_USAGE_BYTES + 1)},
            billed={"speed": "s" * 10_000, "geo": "g" * 10_000},
        ),
        terms,
    )
    opening, close, _ = taken
    assert len(opening.provider) <= 255
    assert max(len(text) for text in (close.model, close.service_tier, close.speed, close.geo)) <= 255
    assert opening.path == "/v1/messages"
    assert "0123456789" not in close.error_message
    assert len(close.problems) == intake.MOST_PROBLEMS
    assert len(close.usage) < 100


def test_a_delivered_mark_cannot_take_the_bill_off_somebody_elses_request(anthropic, terms):
    """What is billed once is so within the key that delivers it."""
    taken = take_in(_changed(anthropic, billed_once="response:resp_1"), terms)
    assert taken.close.billed_once == f"{KEY}:response:resp_1"


def test_a_free_request_and_an_error_cost_nothing(made, terms):
    """The pricer judges them as it does in a front desk: 0 where nothing was used, no price where usage is missing."""
    opening = made.opening()
    nothing = {"parts": (), "usage": None, "bill": Bill(), "input_tokens": None}
    failed = made.close(opening, status_code=529, error_type="overloaded_error", usage_state=UsageState.NONE, **nothing)
    assert take_in(_json(opening, failed), terms).close.bill.total_cost == 0
    unread = made.close(opening, problems=("cut",), usage_state=UsageState.ESTIMATED, **nothing)
    assert take_in(_json(opening, unread), terms).close.bill.total_cost is None
    assert take_in(_json(opening, unread), terms).close.bill.problems == ("no_usage",)


def test_usage_that_is_no_json_is_handed_over_as_a_string(made):
    """The journal keeps whatever the provider sent; a delivery is JSON all the same."""
    opening = made.opening()
    for usage in (b"{broken", b"\xff\xfe", b"[" * 5000):
        plain = msgspec.json.decode(_json(opening, made.close(opening, usage=usage)))
        assert isinstance(plain["usage"], str)


def test_a_journals_extreme_numbers_fit_a_delivery(made, terms):
    """Times beyond the calendar and counts beyond a column arrive as the nearest that can be kept."""
    opening = msgspec.structs.replace(made.opening(), requested_at=2**62)
    close = made.close(opening, responded_at=2**62, response_time_ms=2**40, input_tokens=-5, output_tokens=2**40)
    taken = take_in(_json(opening, close), terms)
    assert taken.opening.requested_at == LATER_US
    assert taken.close.input_tokens is None
    assert taken.close.output_tokens == 2**31 - 1
    assert delivery._moment(-1) == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert taken.close.outcome is Outcome.COMPLETED


def test_a_keys_own_metadata_stands_above_what_is_delivered(anthropic, terms):
    """As with requests that went through the gateway, the row keeps what was overridden."""
    taken = take_in(_changed(anthropic, metadata={"Team": "mine", "A": "1"}), terms._replace(owned={"Team": "legal"}))
    assert taken.opening.metadata == {"Team": "legal", "A": "1"}
    assert taken.opening.overridden == {"Team": "mine"}
