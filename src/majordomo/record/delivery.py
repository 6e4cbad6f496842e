"""What a companion hands to a gateway: finished requests of its local journal as JSON, version 1.

Not the journal's own frames: those may change with every version, this form only by addition. It says what was used and
never what it cost; the gateway prices it. Names are those of the columns in ``llm_requests`` where there is one.
"""

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec

from majordomo.apis import Api
from majordomo.ids import read_uuid
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import UsageState
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.rows import INT4_MAX, Billed

VERSION = 1

#: Requests in one delivery: a transaction of some 50 ms, so that the writer hardly waits.
MOST_REQUESTS = 500
#: Bytes of one delivery: a request is some 1.5 KB of JSON, one with a whole batch's results some MB.
MOST_BYTES = 8 * 1024 * 1024

#: A position counts requests; no journal holds as many as would not fit a JSON number.
MOST_POSITION = 2**53 - 1

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST_US = (dt.datetime(9999, 12, 31, tzinfo=dt.UTC) - _EPOCH) // dt.timedelta(microseconds=1)

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=INT4_MAX)]
Status = Annotated[int, msgspec.Meta(ge=100, le=599)]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Dollars = Annotated[float, msgspec.Meta(ge=0, le=1e9)]

_NOTHING = msgspec.Raw(b"null")


class Claude(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is kept of a request of Claude Code's: the fields of ``ClaudeDetails``, by name."""

    message_count: Count | None = None
    user_message_count: Count | None = None
    assistant_message_count: Count | None = None
    is_plan_mode: bool = False
    system_prompt_hash: Hash | None = None
    query_class: str | None = None
    effort: str | None = None
    context_window: Count | None = None
    tool_names: tuple[str, ...] = ()
    tool_use_count: Count = 0
    has_thinking: bool = False
    stop_reason: str | None = None
    usage_cost: Dollars = 0.0


class DeliveredRequest(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One finished request."""

    id: UUID  # version 7
    requested_at: Moment
    responded_at: Moment | None = None
    provider: str
    api: Api
    request_method: str
    request_path: str
    provider_api_key_hash: Hash | None = None
    provider_api_key_alias: str | None = None
    metadata: dict[str, str] = {}
    client: str | None = None
    claude_session_id: UUID | None = None
    claude_session_name: str | None = None
    client_session_id: UUID | None = None
    client_version: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    trace_id: str | None = None
    span_path: str | None = None
    span_name: str | None = None
    outcome: Outcome
    status_code: Status | None = None
    response_time_ms: Count | None = None
    time_to_first_byte_ms: Count | None = None
    streamed: bool = False
    requested_model: str | None = None
    model: str | None = None
    usage_state: UsageState = UsageState.NONE
    usage: msgspec.Raw = msgspec.field(default_factory=lambda: _NOTHING)  # the provider's own usage, as it came
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_creation_tokens: Count | None = None
    cache_creation_5m_tokens: Count | None = None
    cache_creation_1h_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    prompt_tokens: Count | None = None
    service_tier: str | None = None
    billed: Billed = msgspec.field(default_factory=Billed)  # what the provider bills for: the price is made from it
    error_type: str | None = None
    error_message: str | None = None
    problems: tuple[str, ...] = ()
    billed_once: str | None = None
    claude: Claude | None = None


class Delivery(msgspec.Struct, kw_only=True):
    """The next requests of a journal: ``position`` of them were taken before. ``null`` stands for one left out."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    position: Annotated[int, msgspec.Meta(ge=0, le=MOST_POSITION)]
    requests: list[msgspec.Raw]


def delivered(opening: Opening, close: Close) -> DeliveredRequest:
    """A finished request of a journal in the form in which it is handed over."""
    at = _moment(opening.requested_at)
    return DeliveredRequest(
        id=UUID(bytes=opening.id),
        requested_at=at,
        responded_at=_moment(close.responded_at) if close.responded_at >= 0 else None,
        provider=opening.provider,
        api=Api(opening.api),
        request_method=opening.method,
        request_path=opening.path,
        provider_api_key_hash=opening.provider_key_hash,
        provider_api_key_alias=opening.provider_key_alias,
        metadata=opening.metadata,
        client=opening.client,
        claude_session_id=_session(opening.claude_session),
        claude_session_name=opening.claude_session_name,
        client_session_id=_session(opening.client_session),
        client_version=opening.client_version,
        agent_id=opening.agent_id,
        parent_agent_id=opening.parent_agent_id,
        trace_id=opening.trace_id,
        span_path=opening.span_path,
        span_name=opening.span_name,
        outcome=close.outcome,
        status_code=close.status_code,
        response_time_ms=_count(close.response_time_ms),
        time_to_first_byte_ms=_count(close.time_to_first_byte_ms),
        streamed=close.streamed,
        requested_model=close.requested_model,
        model=close.model,
        usage_state=close.usage_state,
        usage=_raw(close.usage),
        input_tokens=_count(close.input_tokens),
        output_tokens=_count(close.output_tokens),
        cached_tokens=_count(close.cached_tokens),
        cache_creation_tokens=_count(close.cache_creation_tokens),
        cache_creation_5m_tokens=_count(close.cache_creation_5m_tokens),
        cache_creation_1h_tokens=_count(close.cache_creation_1h_tokens),
        reasoning_tokens=_count(close.reasoning_tokens),
        prompt_tokens=_count(close.prompt_tokens),
        service_tier=close.service_tier,
        billed=Billed(close.parts, close.speed, close.geo, close.batch),
        error_type=close.error_type,
        error_message=close.error_message,
        problems=close.problems,
        billed_once=close.billed_once,
        claude=_claude(close.claude),
    )


def _claude(details: ClaudeDetails | None) -> Claude | None:
    return None if details is None else Claude(**msgspec.structs.asdict(details))


def _session(text: str | None) -> UUID | None:
    return read_uuid(text) if text else None


def _moment(wall_us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=max(0, min(_LATEST_US, wall_us)))


def _count(count: int | None) -> int | None:
    """Within what a column holds; what is below zero was never measured."""
    return None if count is None or count < 0 else min(count, INT4_MAX)


def _raw(usage: bytes | None) -> msgspec.Raw:
    if not usage:
        return _NOTHING
    try:
        msgspec.json.decode(usage)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return msgspec.Raw(msgspec.json.encode(usage.decode("utf-8", "replace")))
    return msgspec.Raw(usage)
