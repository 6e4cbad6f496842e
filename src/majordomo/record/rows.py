"""One finished request as one line of COPY, in the text format.

Text is built directly: an object per cell, Decimal and datetime included, costs several times as much. All amounts come
from the same normalised close that the rollups add up, so that both always agree.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from majordomo.ids import read_uuid
from majordomo.meter.reading import Part, UsageState
from majordomo.price.bill import Bill
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.safe_text import NULL, array_cell, cell, json_cell, safe

#: The columns of a line, in its order.
COLUMNS = [
    "id",
    "org_id",
    "majordomo_api_key_id",
    "provider_api_key_hash",
    "provider_api_key_alias",
    "provider",
    "model",
    "requested_model",
    "api",
    "request_path",
    "request_method",
    "requested_at",
    "responded_at",
    "response_time_ms",
    "time_to_first_byte_ms",
    "status_code",
    "outcome",
    "streamed",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
    "usage_state",
    "usage",
    "service_tier",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_creation_cost",
    "tool_cost",
    "total_cost",
    "price_version",
    "model_alias_found",
    "billed",
    "error_type",
    "error_message",
    "problems",
    "raw_metadata",
    "indexed_metadata",
    "client",
    "claude_session_id",
    "agent_id",
    "parent_agent_id",
    "trace_id",
    "span_path",
    "span_name",
    "overridden_metadata",
]

#: The owner of everything in an installation that knows no organisations.
NIL_ORG = bytes(16)

NAME_LIMIT = 100  # varchar(100): provider, model
ALIAS_LIMIT = 255  # varchar(255)
HASH_LIMIT = 64  # varchar(64)
TEXT_LIMIT = 4096  # no column limit; what is longer is no id, path segment or message that anyone reads
PATH_LIMIT = 16_384
METADATA_LIMIT = 64 * 1024
INT4_MAX = 2**31 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


class Finished(NamedTuple):
    """A request that has ended; ``close`` tells how, and says ``lost`` where the journal did not."""

    opening: Opening
    close: Close
    journal_id: bytes | None = None  # whose front desk served it; None: it was served elsewhere


class Billed(msgspec.Struct, omit_defaults=True):
    """The column ``billed``: everything a later price or rule needs to bill the request again."""

    parts: tuple[Part, ...] = ()
    speed: str | None = None
    geo: str | None = None
    batch: bool = False


def lost(opening: Opening) -> Finished:
    """The row of a request of which nobody knows the end: its process died with it."""
    return Finished(
        opening,
        Close(
            id=opening.id,
            outcome=Outcome.LOST,
            status_code=None,
            responded_at=-1,
            response_time_ms=-1,
            time_to_first_byte_ms=None,
            streamed=False,
            requested_model=None,
            model=None,
            usage_state=UsageState.NONE,
            usage=None,
            input_tokens=None,
            output_tokens=None,
            cached_tokens=None,
            cache_creation_tokens=None,
            cache_creation_5m_tokens=None,
            cache_creation_1h_tokens=None,
            reasoning_tokens=None,
            prompt_tokens=None,
            service_tier=None,
            parts=(),
            speed=None,
            geo=None,
            batch=False,
            bill=Bill(),
            error_type=None,
            error_message=None,
        ),
    )


def normalised(opening: Opening, close: Close, journal_id: bytes | None = None) -> Finished:
    """The same, with names and numbers that fit their columns; what rows and rollups are both made from."""
    provider = safe(opening.provider, NAME_LIMIT)
    if provider is not opening.provider:
        opening.provider = provider
    if opening.org_id is None:
        opening.org_id = NIL_ORG
    if opening.requested_at > _LATEST_US or opening.requested_at < 0:
        opening.requested_at = max(0, min(_LATEST_US, opening.requested_at))
    for name, value in opening.metadata.items():
        if not (name.isprintable() and value.isprintable() and len(name) <= ALIAS_LIMIT):
            opening.metadata = {
                safe(name, ALIAS_LIMIT): safe(value, METADATA_LIMIT) for name, value in opening.metadata.items()
            }
            break
    if opening.overridden:
        opening.overridden = {
            safe(name, ALIAS_LIMIT): safe(value, METADATA_LIMIT) for name, value in opening.overridden.items()
        }
    if close.model is None:
        close.model = close.requested_model
    if close.model is not None:
        close.model = safe(close.model, NAME_LIMIT)
    close.response_time_ms = min(close.response_time_ms, INT4_MAX)
    if not (
        -INT4_MAX <= (close.input_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.output_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.cached_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.prompt_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.cache_creation_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.cache_creation_5m_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.cache_creation_1h_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.reasoning_tokens or 0) <= INT4_MAX
        and -INT4_MAX <= (close.status_code or 0) <= INT4_MAX
        and -INT4_MAX <= (close.time_to_first_byte_ms or 0) <= INT4_MAX
    ):
        _clamp(close)
    return Finished(opening, close, journal_id)


def _clamp(close: Close) -> None:
    for field in _COUNTS:
        count = getattr(close, field)
        if count is not None:
            setattr(close, field, max(-INT4_MAX, min(INT4_MAX, count)))


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
    "status_code",
    "time_to_first_byte_ms",
)


class _Cells(dict[str | None, str]):
    """Fields already made: most columns have few values. Bounded, as some callers would give them many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __missing__(self, value: str | None) -> str:
        text = cell(value, self._limit)
        if len(text) <= CACHED_TEXT:
            if len(self) >= CACHED_CELLS:
                self.clear()
            self[value] = text
        return text


CACHED_CELLS = 4096
CACHED_TEXT = 256  # characters

_names = _Cells(NAME_LIMIT)
_aliases = _Cells(ALIAS_LIMIT)
_hashes = _Cells(HASH_LIMIT)
_paths = _Cells(PATH_LIMIT)
_plain = str.__str__  # an enumeration's text, without going through its Python attributes
_LINE = "\t".join(["%s"] * len(COLUMNS))


def line(finished: Finished, active: frozenset[str]) -> str:
    """The line of COPY, without its newline; ``active``: the metadata keys that are copied to ``indexed_metadata``."""
    opening, close, _ = finished
    bill = close.bill
    metadata = opening.metadata
    raw = json_cell(_to_json(metadata).decode()) if metadata else "{}"
    indexed = _indexed(metadata, active, raw) if active else "{}"
    return _LINE % (
        opening.id.hex(),
        (opening.org_id or NIL_ORG).hex(),
        opening.api_key_id.hex(),
        _hashes[opening.provider_key_hash],
        _aliases[opening.provider_key_alias],
        _names[opening.provider],
        _names[close.model],
        _names[close.requested_model],
        _names[opening.api],
        _paths[opening.path],
        _names[opening.method],
        stamp(opening.requested_at),
        stamp(close.responded_at) if close.responded_at >= 0 else NULL,
        close.response_time_ms if close.response_time_ms >= 0 else NULL,
        NULL if close.time_to_first_byte_ms is None else close.time_to_first_byte_ms,
        NULL if close.status_code is None else close.status_code,
        _plain(close.outcome),
        "t" if close.streamed else "f" if close.outcome is not Outcome.LOST else NULL,
        NULL if close.input_tokens is None else close.input_tokens,
        NULL if close.output_tokens is None else close.output_tokens,
        NULL if close.cached_tokens is None else close.cached_tokens,
        NULL if close.cache_creation_tokens is None else close.cache_creation_tokens,
        NULL if close.cache_creation_5m_tokens is None else close.cache_creation_5m_tokens,
        NULL if close.cache_creation_1h_tokens is None else close.cache_creation_1h_tokens,
        NULL if close.reasoning_tokens is None else close.reasoning_tokens,
        NULL if close.prompt_tokens is None else close.prompt_tokens,
        _plain(close.usage_state),
        _usage(close.usage) if close.usage else NULL,
        _names[close.service_tier],
        usd_text(bill.input_cost),
        usd_text(bill.output_cost),
        usd_text(bill.cache_read_cost),
        usd_text(bill.cache_creation_cost),
        usd_text(bill.tool_cost),
        usd_text(bill.total_cost),
        _names[bill.price_version],
        "t" if bill.model_found else "f",
        _billed(close) if close.parts else NULL,
        _names[close.error_type],
        cell(close.error_message, TEXT_LIMIT),
        array_cell(close.problems + bill.problems, TEXT_LIMIT) if close.problems or bill.problems else "{}",
        raw,
        indexed,
        _aliases[opening.client],
        uuid_cell(opening.claude_session),
        cell(opening.agent_id, TEXT_LIMIT),
        cell(opening.parent_agent_id, TEXT_LIMIT),
        cell(opening.trace_id, TEXT_LIMIT),
        cell(opening.span_path, TEXT_LIMIT),
        cell(opening.span_name, TEXT_LIMIT),
        json_cell(_to_json(opening.overridden).decode()) if opening.overridden else "{}",
    )


def usd_text(femto: int | None) -> str:
    """Femto-dollars as USD in decimal, exact and without trailing zeros; ``\\N`` for None."""
    if not femto:
        return NULL if femto is None else "0"
    if femto < 0:
        return "-" + usd_text(-femto)
    digits = str(femto)
    if len(digits) <= 15:
        return "0." + digits.zfill(15).rstrip("0")
    return f"{digits[:-15]}.{digits[-15:]}".rstrip("0").rstrip(".")


_seconds: dict[int, str] = {}
_SECONDS_KEPT = 4096  # a batch spans few seconds; a replay of old journals passes through many


def stamp(wall_us: int) -> str:
    """Microseconds since the epoch as a timestamptz in UTC; a year that PostgreSQL would not read becomes a far one."""
    second, micros = divmod(wall_us if 0 <= wall_us <= _LATEST_US else _LATEST_US, 1_000_000)
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) >= _SECONDS_KEPT:
            _seconds.clear()
        text = _seconds[second] = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{micros:06d}+00"


def uuid_cell(text: str | None) -> str:
    """A field of COPY's text format; what is no UUID becomes NULL."""
    found = read_uuid(text) if text else None
    return found.hex if found else NULL


def _indexed(metadata: dict[str, str], active: frozenset[str], raw: str) -> str:
    if metadata.keys() <= active:
        return raw
    chosen = {name: value for name, value in metadata.items() if name in active}
    return json_cell(_to_json(chosen).decode())


def _billed(close: Close) -> str:
    return json_cell(_to_json(Billed(close.parts, close.speed, close.geo, close.batch)).decode())


def _usage(usage: bytes) -> str:
    """The provider's usage as JSON that jsonb takes; what is no such JSON is kept as a JSON string."""
    try:
        text = usage.decode()
        _from_json(text)
    except (ValueError, RecursionError):  # msgspec's and Unicode's errors are ValueErrors
        text = _to_json(safe(usage.decode("utf-8", "replace"), METADATA_LIMIT)).decode()
    else:
        if "\\u0000" in text:
            text = _to_json(safe(text, METADATA_LIMIT)).decode()
    return json_cell(text)
