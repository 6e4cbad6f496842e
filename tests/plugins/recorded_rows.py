"""Made-up requests, recorded the real way: frames in a journal, moved by the writer into real PostgreSQL."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from majordomo.ids import IdMaker
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import Bucket, Part, UsageState
from majordomo.price.bill import Bill
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.journal import Journal
from majordomo.record.writer import Writer

Exchange = tuple[Opening, Close | None]

KEYS = (UUID(int=0x11), UUID(int=0x22))
HOUR_US = 3_600_000_000
#: Of each millisecond, as a maker never goes back: ids are in the order of their requests whatever was made before.
_ids: defaultdict[int, IdMaker] = defaultdict(IdMaker)
_TARGETS = (
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5"),
    ("anthropic", "claude-x"),
    ("deepseek", "chat"),
    ("openai", None),
)


def exchange(
    at_us: int,
    *,
    key: UUID = KEYS[0],
    provider: str = "openai",
    model: str | None = "gpt-5-mini",
    metadata: dict[str, str] | None = None,
    outcome: Outcome = Outcome.COMPLETED,
    status: int | None = 200,
    state: UsageState = UsageState.FINAL,
    uncached: int = 100,
    cached: int = 0,
    written: int = 0,
    output: int = 10,
    costs: tuple[int, int, int, int, int] | None = (25, 3, 0, 200, 0),
    ms: int = 420,
    request_id: bytes | None = None,
) -> Exchange:
    """One request. ``costs``: input, cache read, cache creation, output, tool in femto-USD; None: no price is known."""
    request_id = request_id or _ids[at_us // 1000].make(at_us)
    opening = Opening(
        id=request_id,
        requested_at=at_us,
        api_key_id=key.bytes,
        org_id=None,
        provider=provider,
        api="openai.chat",
        method="POST",
        path="/v1/chat/completions",
        provider_key_hash="ab" * 32,
        provider_key_alias=None,
        metadata=metadata or {},
    )
    if outcome is Outcome.LOST:
        return opening, None
    bill = Bill(price_version="v1", problems=("unknown_model",))
    if costs is not None:
        i, r, w, o, t = costs
        bill = Bill(
            input_cost=i,
            cache_read_cost=r,
            cache_creation_cost=w,
            output_cost=o,
            tool_cost=t,
            total_cost=sum(costs),
            price_version="v1",
            model_found=True,
        )
    counts = {Bucket.INPUT: uncached, Bucket.CACHE_READ: cached, Bucket.CACHE_WRITE: written, Bucket.OUTPUT: output}
    return opening, Close(
        id=request_id,
        outcome=outcome,
        status_code=status,
        responded_at=at_us + ms * 1000,
        response_time_ms=ms,
        time_to_first_byte_ms=ms // 2,
        streamed=False,
        requested_model=model,
        model=model,
        usage_state=state,
        usage=b'{"prompt_tokens":%d}' % (uncached + cached + written),
        input_tokens=uncached + cached + written,
        output_tokens=output,
        cached_tokens=cached,
        cache_creation_tokens=written,
        cache_creation_5m_tokens=None,
        cache_creation_1h_tokens=None,
        reasoning_tokens=output // 2,
        prompt_tokens=uncached + cached + written,
        service_tier=None,
        parts=(Part(model, {bucket: count for bucket, count in counts.items() if count}),),
        speed=None,
        geo=None,
        batch=False,
        bill=bill,
        error_type=None if status is None or status < 400 else "overloaded",
        error_message=None,
    )


def in_session(made: Exchange, session: UUID, claude: ClaudeDetails | None = None, **labels: Any) -> Exchange:
    """The same request as one of Claude Code's, in a session; ``labels`` as in an opening."""
    opening, close = made
    opening = msgspec.structs.replace(opening, claude_session=str(session), client="claude-code", **labels)
    return opening, close and msgspec.structs.replace(close, claude=claude)


def varied(count: int, since_us: int, span_us: int, seed: int = 7) -> list[Exchange]:
    """Requests of all kinds, spread over ``span_us`` microseconds; the same for the same seed."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        kind = chance.random()
        provider, model = chance.choice(
            [
                ("openai", "gpt-5-mini"),
                ("openai", "gpt-5"),
                ("anthropic", "claude-x"),
                ("deepseek", "chat"),
                ("openai", None),
            ]
        )
        metadata = {"User-Id": f"user-{chance.randrange(40)}"}
        if chance.random() < 0.7:
            metadata["Feature"] = chance.choice(["chat", "review", "search", "Ünïcode ☃", ""])
        made.append(
            exchange(
                since_us + chance.randrange(span_us),
                key=chance.choice(KEYS),
                provider=provider,
                model=model,
                metadata=metadata,
                outcome=Outcome.LOST if kind < 0.03 else Outcome.CLIENT_CLOSED if kind < 0.08 else Outcome.COMPLETED,
                status=chance.choice([400, 429, 529]) if kind > 0.9 else 200,
                state=UsageState.ESTIMATED if 0.08 < kind < 0.15 else UsageState.FINAL,
                uncached=chance.randrange(5000),
                cached=chance.randrange(3000),
                written=chance.randrange(500),
                output=chance.randrange(900),
                costs=None if 0.2 < kind < 0.3 else tuple(chance.randrange(10**14) for _ in range(5)),  # type: ignore[arg-type]
                ms=chance.randrange(9000),
            )
        )
    return made


def record(dsn: str, folder: Path, exchanges: Iterable[Exchange]) -> None:
    """Bring requests into the database as the gateway does; one without a close becomes a lost one."""
    journal = Journal.create(folder / "journal", segment_bytes=1 << 20, now_us=1)
    for opening, close in exchanges:
        journal.append_opening(opening)
        if close is not None:
            journal.append_close(close)
    journal.close()

    async def move() -> None:
        writer = Writer(dsn, folder / "journal", folder / "dead_letters")
        try:
            await writer.drain()
            assert not writer.stats.dead_letters
        finally:
            await writer.close()

    asyncio.run(move())
