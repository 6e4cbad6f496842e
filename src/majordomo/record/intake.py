"""A delivered request, checked and made into a row of the key that delivers it. Everything in it is hostile.

Ids, times, counts and outcomes must be what they say they are, or the request is refused. Texts are cut and made safe
as those of any request are. Whose row it is and what it cost is decided here, whatever the sender says.
"""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import msgspec

from majordomo.admit.metadata import OWN_NAMES, MetadataLimits, bound, collect
from majordomo.meter import text
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import Reading, RequestFacts
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.record.delivery import DeliveredRequest
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.rows import Finished, lost, normalised

#: Items of the largest batch that a provider takes; every one of them may be billed apart.
MOST_PARTS = 100_000
#: Models that one request is billed for: a reply names its own, and an advisor's or a fallback's.
MOST_MODELS = 32
#: Units of one kind in one part. A million times the longest prompt there is; the database sums cost in numerics.
MOST_UNITS = 10**12
#: A usage object as long as this is not one that a provider sent for one reply.
MOST_USAGE_BYTES = 1024 * 1024
MOST_PROBLEMS = 64
MOST_TOOLS = 256
_TOO_LONG = b'"too long to keep"'

#: How far a sender's clock may be ahead before its times count as wrong (microseconds).
TOLERATED_AHEAD_US = 5 * 60 * 1_000_000
#: Before there was an API to call.
EARLIEST_US = int(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
#: The problem code of a row whose times were not plausible.
TIME_CORRECTED = "time_corrected"
#: The problem code of a row whose metadata was over its limits.
METADATA_DROPPED = "metadata_dropped"

_UUID_VERSION = 7
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_NO_USAGE = (b"", b"null")

_decode = msgspec.json.Decoder(DeliveredRequest).decode


class Terms(NamedTuple):
    """Under which a delivery is taken."""

    key_id: UUID
    org_id: UUID
    now_us: int
    pricer: Pricer
    limits: MetadataLimits
    owned: Mapping[str, str] = MappingProxyType({})  # the key's own metadata, above whatever the sender says


class UnfitError(ValueError):
    """A delivered request that cannot become a row. The message says why, and repeats nothing of it."""


def take_in(raw: bytes | msgspec.Raw, terms: Terms) -> Finished:
    """The row that one delivered request becomes.

    Raises:
        UnfitError: it is none.
    """
    try:
        request = _decode(raw)
    except (ValueError, RecursionError) as wrong:  # msgspec's errors are ValueErrors
        raise UnfitError(_reason(wrong)) from None
    _check(request)
    requested_at, corrected = _plausible(_microseconds(request.requested_at), terms.now_us)
    told = _metadata(request, terms.limits)
    opening = _opening(request, requested_at, told, terms)
    problems = [text.safe_text(problem, text.NAME_LIMIT) for problem in request.problems[:MOST_PROBLEMS]]
    if corrected:
        problems.append(TIME_CORRECTED)
    if len(told) < len(request.metadata):
        problems.append(METADATA_DROPPED)
    if request.outcome is Outcome.LOST:
        finished = lost(opening)
        finished.close.problems = tuple(problems)
        return normalised(*finished)
    close = _close(request, requested_at, tuple(problems), terms)
    close.bill = _bill(opening, close, request, terms.pricer)
    return normalised(opening, close)


def _check(request: DeliveredRequest) -> None:
    if request.id.version != _UUID_VERSION:
        raise UnfitError("its id is no UUID of version 7")
    parts = request.billed.parts
    if len(parts) > MOST_PARTS:
        raise UnfitError(f"it is billed in more than {MOST_PARTS} parts")
    if len({part.model for part in parts}) > MOST_MODELS:
        raise UnfitError(f"it is billed for more than {MOST_MODELS} models")
    for part in parts:
        if part.model is not None and len(part.model) > text.NAME_LIMIT:
            raise UnfitError(f"the name of a model has more than {text.NAME_LIMIT} characters")
        if part.context is not None and not 0 <= part.context <= MOST_UNITS:
            raise UnfitError(f"a part's context is not between 0 and {MOST_UNITS}")
        if any(not 0 <= count <= MOST_UNITS for count in part.counts.values()):
            raise UnfitError(f"a part's count is not between 0 and {MOST_UNITS}")


def _metadata(request: DeliveredRequest, limits: MetadataLimits) -> dict[str, str]:
    """As if it had come in headers."""
    pairs = ((name.lower().encode("utf-8", "replace"), value) for name, value in request.metadata.items())
    return collect(
        [(name, value.encode("utf-8", "replace")) for name, value in pairs if name not in OWN_NAMES], limits
    ).values


def _opening(request: DeliveredRequest, requested_at: int, told: dict[str, str], terms: Terms) -> Opening:
    metadata, overridden = bound(told, terms.owned)
    return Opening(
        id=request.id.bytes,
        requested_at=requested_at,
        api_key_id=terms.key_id.bytes,
        org_id=terms.org_id.bytes,
        provider=text.name(request.provider) or "",
        api=request.api.value,
        method=request.request_method,
        path=request.request_path.partition("?")[0],  # a credential may stand behind it
        provider_key_hash=request.provider_api_key_hash,
        provider_key_alias=request.provider_api_key_alias,
        metadata=metadata,
        overridden=overridden or None,
        client=request.client,
        claude_session=_text(request.claude_session_id),
        claude_session_name=request.claude_session_name,
        client_session=_text(request.client_session_id),
        client_version=request.client_version,
        agent_id=request.agent_id,
        parent_agent_id=request.parent_agent_id,
        trace_id=request.trace_id,
        span_path=request.span_path,
        span_name=request.span_name,
    )


def _close(request: DeliveredRequest, requested_at: int, problems: tuple[str, ...], terms: Terms) -> Close:
    ended = -1
    if request.responded_at is not None:
        ended = max(requested_at, min(_microseconds(request.responded_at), terms.now_us))
    mark = request.billed_once
    return Close(
        id=request.id.bytes,
        outcome=request.outcome,
        status_code=request.status_code,
        responded_at=ended,
        response_time_ms=-1 if request.response_time_ms is None else request.response_time_ms,
        time_to_first_byte_ms=request.time_to_first_byte_ms,
        streamed=request.streamed,
        requested_model=text.name(request.requested_model),
        model=text.name(request.model),
        usage_state=request.usage_state,
        usage=_usage(request.usage),
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        cached_tokens=request.cached_tokens,
        cache_creation_tokens=request.cache_creation_tokens,
        cache_creation_5m_tokens=request.cache_creation_5m_tokens,
        cache_creation_1h_tokens=request.cache_creation_1h_tokens,
        reasoning_tokens=request.reasoning_tokens,
        prompt_tokens=request.prompt_tokens,
        service_tier=text.name(request.service_tier),
        parts=request.billed.parts,
        speed=text.name(request.billed.speed),
        geo=text.name(request.billed.geo),
        batch=request.billed.batch,
        bill=Bill(),
        error_type=text.name(request.error_type),
        error_message=None if request.error_message is None else text.message(request.error_message),
        problems=problems,
        # Within the key: what it says it was told must not take the bill off somebody else's request.
        billed_once=None if mark is None else text.mark(str(terms.key_id), mark),
        claude=_details(request),
    )


def _details(request: DeliveredRequest) -> ClaudeDetails | None:
    claude = request.claude
    if claude is None:
        return None
    told = msgspec.structs.asdict(claude)
    told["tool_names"] = tuple(text.safe_text(name, text.NAME_LIMIT) for name in claude.tool_names[:MOST_TOOLS])
    return ClaudeDetails(**told)


def _bill(opening: Opening, close: Close, told: DeliveredRequest, pricer: Pricer) -> Bill:
    """By the gateway's own prices, for the moment of the request."""
    reading = Reading(
        model=close.model,
        parts=close.parts,
        state=close.usage_state,
        service_tier=close.service_tier,
        speed=close.speed,
        geo=close.geo,
        batch=close.batch,
        error_type=close.error_type,
        error_message=close.error_message,
        problems=told.problems,
    )
    facts = RequestFacts(model=close.requested_model)
    return pricer.bill(opening.provider, told.api, reading, facts, opening.requested_at)


def _plausible(wall_us: int, now_us: int) -> tuple[int, bool]:
    """The time, and whether it had to be corrected."""
    if wall_us > now_us + TOLERATED_AHEAD_US:
        return now_us, True
    if wall_us < EARLIEST_US:
        return EARLIEST_US, True
    return wall_us, False


def _usage(raw: msgspec.Raw) -> bytes | None:
    usage = bytes(raw)
    if usage in _NO_USAGE:
        return None
    return usage if len(usage) <= MOST_USAGE_BYTES else _TOO_LONG


def _microseconds(moment: dt.datetime) -> int:
    try:
        return (moment - _EPOCH) // _MICROSECOND
    except OverflowError:
        raise UnfitError("a time is out of all bounds") from None


def _text(session: UUID | None) -> str | None:
    return None if session is None else str(session)


def _reason(wrong: Exception) -> str:
    """What is wrong, in words of the decoder's own, which name the place and the type and no value."""
    return "it is nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
