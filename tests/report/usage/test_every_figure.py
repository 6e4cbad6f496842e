"""Latency, errors, runs, caching and what-if, of random rows, periods, zones and filters: each figure worked out again.

What is expected is plain Python over the rows, and bills of the pricer; none of it goes through the questions' SQL.
"""

import datetime as dt
import os
import random
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
import pytest
import usage_book
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from recorded_rows import KEYS, Exchange, exchange, in_session, record
from usage_book import HOURS, SESSION, SPAN_US, START, START_US, Book, Row, agrees, both_near, rows_of, value

from majordomo.apis import Api
from majordomo.clock import wall_us
from majordomo.meter.reading import Bucket, Part, UsageState
from majordomo.price.bill import Bill, usd
from majordomo.price.pricer import Pricer
from majordomo.price.reprice import reprice
from majordomo.record import users
from majordomo.record.database import Connection
from majordomo.record.frames import Outcome
from majordomo.report.questions import metadata_keys

#: FIGURES_SEED makes other rows.
SEED = os.environ.get("FIGURES_SEED", "20261125")
ROWS = 500
#: From then on Feature is in the index.
ACTIVE_SINCE = dt.datetime(2026, 10, 27, tzinfo=dt.UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
MODELS = (
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-pro"),
    ("baseten", "house"),  # has no price
    ("openai", None),
)
#: Other prices, and whether they have a rate for writing to a cache; else what is written there is input.
TARGETS = {
    ("anthropic", "claude-haiku-4-5"): True,
    ("anthropic", "claude-sonnet-4-5"): True,
    ("openai", "gpt-5-mini"): False,
    ("gemini", "gemini-2.5-pro"): False,
    ("openai", "no-such-model"): False,
}
FILTERS = (
    "model:gpt-5",
    "-model:gpt-5",
    "-model",
    "model:gemini-2.5-pro",
    f"key:{KEYS[1]}",
    "provider:openai",
    "-provider:anthropic",
    "status:200",
    "outcome:completed",
    "-error_type:overloaded",
    "client:claude-code",
    "run:run-1",
    "-run",
    "Feature:chat",
    "-Feature:chat",
    "Feature",
    "User-Id:user-3",
)
GROUPS = ("provider", "model", "key", "status", "run", "Feature", "User-Id")
SMALLEST = Decimal("0.000000000001")

PRICES = Pricer.load(None, None)


class Period(msgspec.Struct, frozen=True):
    """A period as it is asked for by the clock of a zone, and as it is."""

    zone: str
    asked: tuple[str, str]
    since: dt.datetime
    until: dt.datetime

    @property
    def parameters(self) -> dict[str, str]:
        """For a question."""
        return {"timezone": self.zone, "since": self.asked[0], "until": self.asked[1]}


@some.composite
def periods(draw: Any) -> Period:
    """To the minute, hour or day of a zone, before, within and behind the rows."""
    zone, grain = draw(some.sampled_from(ZONES)), draw(some.sampled_from((1, 60, 1440)))
    minute = some.integers(-90 // grain, (HOURS * 60 + 90) // grain)
    one, other = sorted(draw(some.lists(minute, min_size=2, max_size=2, unique=True)))
    base = START.replace(tzinfo=None, hour=0, minute=0) if grain > 1 else START.replace(tzinfo=None)
    local = [base + dt.timedelta(minutes=at * grain) for at in (one, other)]
    since, until = (at.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC) for at in local)
    return Period(zone, (local[0].isoformat(), local[1].isoformat()), since, until)


chosen_filters = some.lists(some.sampled_from(FILTERS), max_size=3, unique=True).map(tuple)
thoroughly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def billed(provider: str, model: str | None, parts: tuple[Part, ...], *, batch: bool = False) -> Bill:
    """The pricer's own bill, by the prices of today."""
    return reprice(
        PRICES, provider=provider, api=Api.OPENAI_CHAT, model=model, parts=parts, service_tier=None, speed=None,
        geo=None, batch=batch, requested_at_us=wall_us(),
    )  # fmt: skip


def random_part(chance: random.Random, provider: str, model: str | None) -> Part:
    """Tokens by class; Gemini's prompts on both sides of a bracket, Anthropic's below it and written to caches, too."""
    longest = 150_000 if provider == "gemini" else 30_000
    counts = {Bucket.INPUT: chance.randrange(longest), Bucket.OUTPUT: chance.randrange(5_000)}
    if chance.random() < 0.6:
        counts[Bucket.CACHE_READ] = chance.randrange(longest)
    if provider == "anthropic":
        counts[Bucket.CACHE_WRITE_5M] = chance.randrange(20_000)
        counts[Bucket.CACHE_WRITE_1H] = chance.choice((0, chance.randrange(20_000)))
    if model == "gpt-5" and chance.random() < 0.2:
        counts[Bucket.WEB_SEARCH] = chance.randrange(1, 4)
    return Part(None, {bucket: count for bucket, count in counts.items() if count})


def random_exchange(chance: random.Random) -> Exchange:
    """One request of any kind."""
    provider, model = chance.choice(MODELS)
    parts = tuple(random_part(chance, provider, model) for _ in range(chance.choice((1, 1, 1, 2))))
    batch = provider == "openai" and chance.random() < 0.1
    counts = {bucket: sum(part.counts.get(bucket, 0) for part in parts) for bucket in Bucket}
    outcome = chance.choices(list(Outcome), [80 if one is Outcome.COMPLETED else 4 for one in Outcome])[0]
    status = chance.choices([200, 400, 429, 500, 529, None], [85, 3, 3, 3, 3, 3])[0]
    made = exchange(
        START_US + chance.randrange(SPAN_US),
        key=chance.choice(KEYS),
        provider=provider,
        model=model,
        metadata={
            name: text
            for name, text in (("User-Id", f"user-{chance.randrange(9)}"), ("Feature", chance.choice(("chat", "a/b"))))
            if chance.random() < 0.7
        },
        outcome=outcome,
        status=status,
        uncached=counts[Bucket.INPUT],
        cached=counts[Bucket.CACHE_READ],
        written=counts[Bucket.CACHE_WRITE_5M] + counts[Bucket.CACHE_WRITE_1H],
        output=counts[Bucket.OUTPUT],
        ms=min(3_600_000, int(chance.lognormvariate(7, 2.5))),
    )
    return labelled(chance, made, parts, billed(provider, model, parts, batch=batch), batch)


def labelled(chance: random.Random, made: Exchange, parts: tuple[Part, ...], bill: Bill, batch: bool) -> Exchange:
    """The same with what it was billed for and how it failed; some of Claude Code's, some of runs."""
    opening, close = in_session(made, SESSION) if chance.random() < 0.2 else made
    if chance.random() < 0.5:
        depth = chance.randrange(4)
        path = "/".join(chance.choice("abc") for _ in range(depth)) or None
        opening = msgspec.structs.replace(opening, trace_id=f"run-{chance.randrange(6)}", span_path=path)
    if close is None:
        return opening, None
    failed = (close.status_code or 0) >= 400
    return opening, msgspec.structs.replace(
        close,
        parts=parts,
        bill=bill,
        batch=batch,
        usage_state=chance.choice((UsageState.FINAL, UsageState.ESTIMATED)),
        time_to_first_byte_ms=None if chance.random() < 0.2 else chance.randrange(close.response_time_ms + 1),
        error_type=chance.choice(("overloaded", "rate_limited", None)) if failed else None,
        error_message=f"said {chance.randrange(5)}" if failed else None,
    )


@pytest.fixture
def figures(member: Any, postgres_dsn: str, tmp_path: Path) -> Book:
    """Random requests; those of the last days have Feature in the index."""
    chance = random.Random(SEED)
    made = sorted((random_exchange(chance) for _ in range(ROWS)), key=lambda one: one[0].requested_at)
    border = int(ACTIVE_SINCE.timestamp()) * 1_000_000
    record(postgres_dsn, tmp_path / "1", [one for one in made if one[0].requested_at < border])

    async def activate(connection: Connection) -> None:
        await metadata_keys.activate(connection, "Feature")
        await connection.execute(
            "UPDATE llm_requests_metadata_keys SET activated_at = $1 WHERE is_active", ACTIVE_SINCE
        )

    member.database(activate)
    record(postgres_dsn, tmp_path / "2", [one for one in made if one[0].requested_at >= border])
    rows = rows_of(member, users.DEFAULT_ORG)
    assert len(rows) == ROWS
    return Book(member, rows)


def test_percentiles_in_all_over_time_and_by_anything(figures: Book) -> None:
    """Within the promised bound: from histograms of hours and days, from rows, and from both."""

    @thoroughly
    @given(
        periods(),
        some.sampled_from(("hour", "day", "week", "month")),
        chosen_filters,
        some.sampled_from(GROUPS),
        some.integers(1, 6),
    )
    def holds(period: Period, granularity: str, filters: tuple[str, ...], group: str, limit: int) -> None:
        rows = figures.within(period.since, period.until, filters)
        told = figures.ask(
            "latency", *filters, granularity=granularity, group_by=group, limit=limit, **period.parameters
        )
        assert both_near(told["total"], rows)
        over_time = usage_book.by(rows, lambda row: usage_book.bucket(row["requested_at"], granularity, period.zone))
        starts = [dt.datetime.fromisoformat(start) for start in told["buckets"]]
        assert over_time.keys() <= set(starts)
        assert all(both_near(point, over_time.get(at, [])) for at, point in zip(starts, told["points"], strict=True))
        timed = [row for row in rows if row["response_time_ms"] is not None or row["time_to_first_byte_ms"] is not None]
        expected = usage_book.by(timed, lambda row: value(row, group))
        shown = {share["value"] for share in told["rows"] if not share["is_rest"]}
        assert (len(shown - {None}), None in shown) == (min(limit, len(expected.keys() - {None})), None in expected)
        rest = [row for name, those in expected.items() if name not in shown for row in those]
        for share in told["rows"]:
            assert both_near(share, rest if share["is_rest"] else expected[share["value"]])
        assert any(share["is_rest"] for share in told["rows"]) == bool(rest)

    holds()


KIND = ("error_type", "status_code", "outcome", "provider", "model")


def test_every_kind_of_failure(figures: Book) -> None:
    """How many of each, first and last, and the newest one with what it was told."""

    @thoroughly
    @given(periods(), chosen_filters, some.integers(1, 60))
    def holds(period: Period, filters: tuple[str, ...], limit: int) -> None:
        rows = figures.within(period.since, period.until, filters)
        told = figures.ask("errors", *filters, limit=limit, **period.parameters)
        expected = usage_book.by(filter(usage_book.failed, rows), lambda row: tuple(row[name] for name in KIND))
        assert (told["requests"], told["kinds"]) == (len(rows), len(expected))
        assert told["errors"] == sum(map(len, expected.values()))
        assert [kind["requests"] for kind in told["rows"]] == sorted(map(len, expected.values()), reverse=True)[:limit]
        for kind in told["rows"]:
            those = expected[tuple(kind[name] for name in KIND)]
            first, last = (pick(those, key=lambda row: row["requested_at"]) for pick in (min, max))
            assert kind["requests"] == len(those)
            assert dt.datetime.fromisoformat(kind["first_at"]) == first["requested_at"]
            assert dt.datetime.fromisoformat(kind["last_at"]) == last["requested_at"]
            assert (kind["sample"]["id"], kind["sample"]["message"]) == (str(last["id"]), last["error_message"])

    holds()


def ended(rows: Iterable[Row]) -> dt.datetime:
    """When the last reply of these ended."""
    return max(row["responded_at"] or row["requested_at"] for row in rows)


def spans_ms(told: Any, rows: list[Row]) -> bool:
    """Whether beginning, last request and length are those of these rows."""
    first = min(row["requested_at"] for row in rows)
    return (
        dt.datetime.fromisoformat(told["first_at"]) == first
        and dt.datetime.fromisoformat(told["last_at"]) == max(row["requested_at"] for row in rows)
        and told["duration_ms"] == (ended(rows) - first) // dt.timedelta(milliseconds=1)
    )


def test_every_run_and_every_page_of_runs(figures: Book) -> None:
    """Its sums, spans and length as far as its requests are asked about, the last seen first, each on one page."""

    @thoroughly
    @given(periods(), chosen_filters, some.integers(1, 4))
    def holds(period: Period, filters: tuple[str, ...], limit: int) -> None:
        rows = figures.within(period.since, period.until, filters)
        expected = usage_book.by((row for row in rows if row["trace_id"]), lambda row: row["trace_id"])
        found: list[Any] = []
        cursor = None
        while cursor or not found:
            page = figures.ask("runs", *filters, limit=limit, cursor=cursor, **period.parameters)
            found += page["runs"]
            cursor = page["next_cursor"]
            if not page["runs"]:
                break
        seen = {run: max(row["requested_at"] for row in those) for run, those in expected.items()}
        assert [run["run"] for run in found] == sorted(expected, key=lambda run: (seen[run], run), reverse=True)
        for run in found:
            those = expected[run["run"]]
            assert agrees(run["usage"], those) and spans_ms(run, those)
            assert run["spans"] == len({row["span_path"] for row in those} - {None})

    holds()


def test_every_part_of_every_runs_tree(figures: Book) -> None:
    """Alone and with all below it, whichever parts there are."""
    for run, rows in usage_book.by(figures.rows, lambda row: row["trace_id"]).items():
        if run is None:
            continue
        told = figures.api("GET", f"/usage/runs/{quote(run)}").json
        paths = {"", *(above for row in rows if (path := row["span_path"]) for above in _upwards(path))}
        assert sorted(span["path"] for span in told["spans"]) == sorted(paths) and told["left_out"] == 0
        for span in told["spans"]:
            path = span["path"]
            own = [row for row in rows if (row["span_path"] or "") == path]
            below = [row for row in rows if path == "" or f"{row['span_path']}/".startswith(f"{path}/")]
            assert agrees(span["own"], own) and agrees(span["total"], below) and spans_ms(span, below)
            assert span["models"] == sorted({row["model"] for row in own if row["model"]})


def _upwards(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def parts_of(row: Row) -> tuple[Part, ...]:
    """What a row was billed for."""
    return msgspec.json.decode(row["billed"], type=_Billed).parts if row["billed"] else ()


class _Billed(msgspec.Struct):
    parts: tuple[Part, ...] = ()
    batch: bool = False


def is_batch(row: Row) -> bool:
    """Whether a row is of a batch."""
    return bool(row["billed"]) and msgspec.json.decode(row["billed"], type=_Billed).batch


def as_input(parts: Iterable[Part], *classes: Bucket) -> tuple[Part, ...]:
    """The same with tokens of these classes as input."""
    made = []
    for part in parts:
        counts = {bucket: count for bucket, count in part.counts.items() if bucket not in classes}
        moved = sum(part.counts.get(bucket, 0) for bucket in classes)
        counts[Bucket.INPUT] = counts.get(Bucket.INPUT, 0) + moved
        made.append(Part(None, {bucket: count for bucket, count in counts.items() if count}))
    return tuple(made)


WRITES = (Bucket.CACHE_WRITE_5M, Bucket.CACHE_WRITE_1H)


def test_what_caches_saved(figures: Book) -> None:
    """Request by request: the bill as if all its cached tokens were plain input, less the bill as it was."""
    saved = {
        row["id"]: usd(cost) - row["total_cost"]
        for row in figures.rows
        if row["total_cost"] is not None
        and (cost := billed(
            row["provider"], row["model"], as_input(parts_of(row), Bucket.CACHE_READ, *WRITES), batch=is_batch(row)
        ).total_cost) is not None
    }  # fmt: skip

    @thoroughly
    @given(periods(), chosen_filters)
    def holds(period: Period, filters: tuple[str, ...]) -> None:
        rows = figures.within(period.since, period.until, filters)
        told = figures.ask("caching", *filters, **period.parameters)
        by_model = usage_book.by(rows, lambda row: (row["provider"], row["model"]))
        cached = {
            model: those
            for model, those in by_model.items()
            if sum((row["cached_tokens"] or 0) + (row["cache_creation_tokens"] or 0) for row in those)
        }
        assert {(row["provider"], row["model"]) for row in told["rows"]} == cached.keys()
        unknown = 0
        for row in told["rows"]:
            those = cached[row["provider"], row["model"]]
            sums = usage_book.sums(those)
            for name in ("prompt_tokens", "cached_tokens", "cache_creation_tokens", "cache_read_cost"):
                assert row[name] == sums[name]
            rate = sums["cached_tokens"] / sums["prompt_tokens"]
            assert row["cache_hit_rate"] == pytest.approx(rate, abs=1e-4)
            if (row["provider"], row["model"]) in MODELS[:4]:
                expected = sum((saved[one["id"]] for one in those if one["id"] in saved), Decimal(0))
                assert abs(Decimal(row["saved"]) - expected) <= SMALLEST
            else:
                assert row["saved"] is None
                unknown += sums["cached_tokens"]
        assert told["unknown"] == unknown
        assert Decimal(told["saved"]) == sum((Decimal(row["saved"] or 0) for row in told["rows"]), Decimal(0))

    holds()


def test_what_it_would_have_cost_elsewhere(figures: Book) -> None:
    """Request by request: the other model's bill for the same quantities."""
    elsewhere = {
        (row["id"], target): billed(
            *target, as_input(parts_of(row), *(() if writes else WRITES)), batch=is_batch(row)
        ).total_cost
        for row in figures.rows
        for target, writes in TARGETS.items()
    }

    @thoroughly
    @given(periods(), chosen_filters, some.sampled_from(sorted(TARGETS)))
    def holds(period: Period, filters: tuple[str, ...], target: tuple[str, str]) -> None:
        rows = [row for row in figures.within(period.since, period.until, filters) if row["usage_state"] != "none"]
        told = figures.ask("what-if", *filters, provider=target[0], model=target[1], **period.parameters)
        expected = usage_book.by(rows, lambda row: (row["provider"], row["model"]))
        assert {(row["provider"], row["model"]) for row in told["rows"]} == expected.keys()
        compared = []
        for row in told["rows"]:
            those = expected[row["provider"], row["model"]]
            priced = [one for one in those if one["total_cost"] is not None]
            assert (row["requests"], row["unpriced"]) == (len(priced), len(those) - len(priced))
            assert Decimal(row["actual_cost"]) == sum((one["total_cost"] for one in priced), Decimal(0))
            costs = [elsewhere[one["id"], target] for one in priced]
            if None in costs:
                assert row["what_if_cost"] is row["difference"] is None and row["not_priced"]
                continue
            compared.append(row)
            assert row["not_priced"] == []
            assert Decimal(row["what_if_cost"]) == usd(sum(cost for cost in costs if cost))
            assert Decimal(row["difference"]) == Decimal(row["what_if_cost"]) - Decimal(row["actual_cost"])
        for name in ("actual_cost", "what_if_cost", "difference"):
            assert Decimal(told["total"][name]) == sum((Decimal(row[name]) for row in compared), Decimal(0))
        assert told["total"]["requests"] == sum(row["requests"] for row in compared)
        assert told["not_compared"] == len(rows) - told["total"]["requests"]

    holds()
