"""What the journal holds: an opening when a request is admitted, a close when it has ended.

On disk a frame is ``length u32 | crc32 u32 | kind u8 | payload``, little-endian; length and checksum cover kind and
payload. A frame that is short or whose checksum is off ends the readable part of a segment.
"""

from enum import StrEnum

import msgspec

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import Part, UsageState
from majordomo.price.bill import Bill


class Outcome(StrEnum):
    """How a request ended. ``llm_requests.outcome``."""

    COMPLETED = "completed"
    CLIENT_CLOSED = "client_closed"
    PROVIDER_BROKE = "provider_broke"
    REFUSED = "refused"
    GATEWAY_STOPPED = "gateway_stopped"
    LOST = "lost"


class Opening(msgspec.Struct, array_like=True, gc=False, kw_only=True):
    """Everything known before the request leaves. Enough to write a row with outcome ``lost``."""

    id: bytes  # UUIDv7, 16 bytes
    requested_at: int  # microseconds since the Unix epoch
    api_key_id: bytes
    org_id: bytes | None
    provider: str
    api: str
    method: str
    path: str  # without any key= parameter
    provider_key_hash: str | None
    provider_key_alias: str | None
    metadata: dict[str, str]
    client: str | None = None
    claude_session: str | None = None  # the session the row is grouped by; a UUID's text
    claude_session_name: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    trace_id: str | None = None
    span_path: str | None = None
    span_name: str | None = None
    client_session: str | None = None  # the session as Claude Code itself counts it; a UUID's text
    client_version: str | None = None  # Claude Code's own version
    overridden: dict[str, str] | None = None  # the caller's metadata where the key's own stands in its place


class Close(msgspec.Struct, array_like=True, gc=False, kw_only=True):
    """Everything known when the request has ended."""

    id: bytes
    outcome: Outcome
    status_code: int | None
    responded_at: int  # microseconds since the Unix epoch: the last byte went to the caller
    response_time_ms: int
    time_to_first_byte_ms: int | None
    streamed: bool
    requested_model: str | None
    model: str | None
    usage_state: UsageState
    usage: bytes | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_creation_tokens: int | None
    cache_creation_5m_tokens: int | None
    cache_creation_1h_tokens: int | None
    reasoning_tokens: int | None
    prompt_tokens: int | None
    service_tier: str | None
    # what was billed, in full, so that a later price or rule can replay it
    parts: tuple[Part, ...]
    speed: str | None
    geo: str | None
    batch: bool
    bill: Bill
    error_type: str | None
    error_message: str | None
    problems: tuple[str, ...] = ()
    billed_once: str | None = None  # what the bill is for, where several requests can be told of it
    claude: ClaudeDetails | None = None  # where the request is Claude Code's and was served
