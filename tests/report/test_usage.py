"""Sums of usage equal plain SQL over the rows, wherever they are read from."""

import asyncio
import datetime as dt
import itertools
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from recorded_rows import HOUR_US, KEYS, exchange, record, varied

from majordomo.meter.reading import UsageState
from majordomo.record.database import Connection, connect
from majordomo.record.frames import Outcome
from majordomo.record.registry import MAX_NAMES
from majordomo.report.questions import cells, metadata_keys, pivot
from majordomo.report.questions.calendar import by_time
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import parse_filters
from majordomo.report.questions.known import known
from majordomo.report.questions.periods import Granularity, Period
from majordomo.report.questions.pivot import Breakdown
from majordomo.report.questions.scope import BEGINNING, END, cut, only_rows
from majordomo.report.questions.usage import Usage

Answer = TypeVar("Answer")

START = dt.datetime(2026, 10, 30, 21, 17, tzinfo=dt.UTC)
START_US = int(START.timestamp()) * 1_000_000
DAYS = 4

#: The same sums, worked out anew over the rows by a statement that shares nothing with the questions.
SUMS = """
SELECT count(*) AS requests,
    count(*) FILTER (WHERE status_code > 399
        OR outcome = ANY ('{provider_broke,refused,gateway_stopped,lost}')) AS errors,
    count(*) FILTER (WHERE total_cost IS NULL AND usage_state IN ('final', 'drained', 'estimated')) AS unpriced,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(response_time_ms), 0) AS response_time_ms,
    coalesce(sum(input_cost), 0) AS input_cost,
    coalesce(sum(output_cost), 0) AS output_cost,
    coalesce(sum(cache_read_cost), 0) AS cache_read_cost,
    coalesce(sum(cache_creation_cost), 0) AS cache_creation_cost,
    coalesce(sum(tool_cost), 0) AS tool_cost,
    coalesce(sum(total_cost), 0) AS total_cost
FROM llm_requests
"""

VALUES = {
    "provider": "provider",
    "model": "nullif(model, '')",
    "key": "majordomo_api_key_id::text",
    "status": "status_code::text",
    "outcome": "outcome",
    "hour": """to_char(date_trunc('hour', requested_at), 'YYYY-MM-DD"T"HH24:MI"Z"')""",
    "day": "requested_at::date::text",
    "month": "to_char(requested_at, 'YYYY-MM')",
}


class Asked:
    """A database with recorded requests, and a way to ask it."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder

    def __call__(self, question: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        async def ask() -> Answer:
            connection = await connect(self.dsn, purpose="test")
            try:
                return await question(connection)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return self(lambda connection: connection.fetch(sql, *arguments))

    def by(self, dimension: str, limit: int = 1000, **narrowed: Any) -> Breakdown:
        if dimension not in list(Granularity):
            return self._breakdown(Dimension(dimension), limit, narrowed)

        async def ask(connection: Connection) -> Breakdown:
            scope = await made_scope(connection, **narrowed)
            period = Period(scope.since, scope.until, "UTC", running=False)
            return await by_time(connection, scope, period, Granularity(dimension), limit)

        return self(ask)

    def by_metadata(self, key: str, limit: int = 1000, **narrowed: Any) -> Breakdown:
        return self._breakdown(Dimension(key, is_metadata=True), limit, narrowed)

    def _breakdown(self, by: Dimension, limit: int, narrowed: dict[str, Any]) -> Breakdown:
        async def ask(connection: Connection) -> Breakdown:
            return await pivot.breakdown(connection, await made_scope(connection, **narrowed), by, limit)

        return self(ask)

    def summary(self, **narrowed: Any) -> pivot.Summary:
        async def ask(connection: Connection) -> pivot.Summary:
            return await pivot.summary(connection, await made_scope(connection, **narrowed))

        return self(ask)


async def made_scope(
    connection: Connection, since: dt.datetime = BEGINNING, until: dt.datetime = END, filters: tuple[str, ...] = ()
) -> Scope:
    """Requests of all organisations in a time that pass filters as people write them."""
    names = await known(connection, None)
    return Scope(org_id=None, since=since, until=until, filters=parse_filters(filters, names.metadata), known=names)


@pytest.fixture
def asked(postgres_dsn: str, tmp_path: Path) -> Asked:
    """An empty database."""
    return Asked(postgres_dsn, tmp_path)


@pytest.fixture
def busy(asked: Asked) -> Asked:
    """Four days of requests of all kinds across the turn of a month."""
    record(asked.dsn, asked.folder, varied(600, START_US, DAYS * 24 * HOUR_US))
    return asked


def agree(usage_: Usage, row: asyncpg.Record) -> bool:
    return all(getattr(usage_, name) == row[name] for name in row.keys() if name != "value")  # noqa: SIM118


def test_the_summary_is_the_sum_over_all_rows(busy: Asked) -> None:
    """Requests, tokens and costs of everything equal plain sums, to the last digit."""
    answer = busy.summary()
    assert agree(answer.usage, busy.rows(SUMS)[0])
    assert answer.usage.requests == 600
    uncertain = busy.rows(
        "SELECT count(*) FILTER (WHERE usage_state = 'estimated') AS e, "
        "count(*) FILTER (WHERE outcome = 'lost') AS l FROM llm_requests"
    )[0]
    assert (answer.estimated, answer.lost) == (uncertain["e"], uncertain["l"])
    assert answer.lost and answer.estimated and answer.usage.unpriced and answer.usage.errors


@pytest.mark.parametrize("dimension", VALUES)
def test_each_dimension_equals_sql_over_the_rows(busy: Asked, dimension: str) -> None:
    """Every value has the sums that its rows have, and the values add up to the summary."""
    answer = busy.by(dimension)
    expected = busy.rows(SUMS.replace("SELECT", f"SELECT {VALUES[dimension]} AS value,", 1) + " GROUP BY 1")
    found = {share.value: share.usage for share in answer.shares}
    assert found.keys() == {row["value"] for row in expected}
    assert all(agree(found[row["value"]], row) for row in expected)
    assert answer.total == busy.summary().usage
    assert answer.rest is None


@pytest.mark.parametrize(
    ("filters", "where"),
    [
        ((f"key:{KEYS[1]}",), f"majordomo_api_key_id = '{KEYS[1]}'"),
        (("provider:openai",), "provider = 'openai'"),
        (("model:gpt-5",), "model = 'gpt-5'"),
        (("-model",), "model IS NULL"),
        (("Feature:chat",), "raw_metadata->>'Feature' = 'chat'"),
        (("Feature:Ünïcode ☃", "User-Id:user-3"),
         "raw_metadata->>'Feature' = 'Ünïcode ☃' AND raw_metadata->>'User-Id' = 'user-3'"),
        (("provider:openai", f"key:{KEYS[0]}", "Feature:"),
         f"provider = 'openai' AND majordomo_api_key_id = '{KEYS[0]}' AND raw_metadata->>'Feature' = ''"),
    ],
)  # fmt: skip
def test_filters_choose_the_same_rows_as_sql(busy: Asked, filters: tuple[str, ...], where: str) -> None:
    """A filter, or several, gives the sums of exactly the rows that match it."""
    expected = busy.rows(f"{SUMS} WHERE {where}")[0]
    assert agree(busy.summary(filters=filters).usage, expected)
    assert agree(busy.by("model", filters=filters).total, expected)
    assert agree(busy.by_metadata("User-Id", filters=filters).total, expected)


def test_any_stretch_of_time_is_exact(busy: Asked) -> None:
    """Wherever a stretch begins and ends, rows at its edges and sums within give what the rows alone give."""
    minutes = some.integers(-90, DAYS * 24 * 60 + 90)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(minutes, minutes, some.sampled_from([1, 60, 1440]))
    def holds(one: int, other: int, grain: int) -> None:
        base = START.replace(hour=0, minute=0) if grain > 1 else START
        since, until = (base + dt.timedelta(minutes=at // grain * grain) for at in sorted((one, other)))
        scope = {"since": since, "until": until}
        expected = busy.rows(f"{SUMS} WHERE requested_at >= $1 AND requested_at < $2", since, until)[0]
        assert agree(busy.summary(**scope).usage, expected)
        assert agree(busy.by("hour", **scope).total, expected)

    holds()


def test_sums_and_rows_give_the_same_answer(busy: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that the rollups answer is answered the same by the rows alone."""
    since = START.replace(hour=0, minute=0) + dt.timedelta(days=1)
    summed = ("provider", "model", "key", "hour", "day", "month")
    from_sums = {dimension: busy.by(dimension, since=since) for dimension in summed}
    monkeypatch.setattr(cells, "cut", lambda stretch, **_: only_rows(stretch))
    for dimension, answer in from_sums.items():
        rows_answer = busy.by(dimension, since=since)
        assert {s.value: s.usage for s in rows_answer.shares} == {s.value: s.usage for s in answer.shares}


def test_whole_days_are_read_from_the_sums_alone(busy: Asked) -> None:
    """With the rows gone, as after retention, a question over all time still has its answer."""
    before = busy.summary().usage
    busy.rows("DELETE FROM llm_requests")
    assert busy.summary().usage == before


def test_metadata_has_a_row_for_those_without_it(busy: Asked) -> None:
    """``by Feature`` names requests without one, keeps the empty value apart, and adds up to the total."""
    answer = busy.by_metadata("Feature")
    expected = busy.rows(SUMS.replace("SELECT", "SELECT raw_metadata->>'Feature' AS value,", 1) + " GROUP BY 1")
    found = {share.value: share.usage for share in answer.shares}
    assert {None, "", "Ünïcode ☃"} < found.keys()
    assert all(agree(found[row["value"]], row) for row in expected)
    assert answer.total == busy.summary().usage


def test_metadata_from_sums_equals_metadata_from_rows(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """After activation, the part that the sums answer agrees with the rows, long values and (none) included."""
    long_value = "x" * 400
    first = [exchange(START_US + n * HOUR_US, metadata={"Feature": "early"}) for n in range(3)]
    record(asked.dsn, asked.folder / "1", first)
    assert asked(lambda connection: metadata_keys.activate(connection, "Feature")) == [KEYS[0]]
    long_ago = dt.datetime(2026, 10, 31, 0, 0, tzinfo=dt.UTC)
    asked.rows("UPDATE llm_requests_metadata_keys SET activated_at = $1", long_ago)
    later = [exchange(START_US + (12 + n) * HOUR_US, metadata={"Feature": f"f{n % 3}"}) for n in range(40)]
    later += [exchange(START_US + 20 * HOUR_US, metadata={"Feature": long_value + end}) for end in ("a", "b")]
    later += [exchange(START_US + 21 * HOUR_US, metadata={"Team": "legal"})]
    record(asked.dsn, asked.folder / "2", later)
    assert asked.rows("SELECT count(*) FROM usage_by_metadata_hourly")[0][0] > 0
    from_sums = asked.by_metadata("Feature")
    monkeypatch.setattr(cells, "cut", lambda stretch, **_: only_rows(stretch))
    from_rows = asked.by_metadata("Feature")
    assert {s.value: s.usage for s in from_sums.shares} == {s.value: s.usage for s in from_rows.shares}
    assert from_sums.total == from_rows.total == asked.summary().usage
    asked.rows("DELETE FROM llm_requests")
    monkeypatch.undo()
    kept = {s.value for s in asked.by_metadata("Feature", since=START + dt.timedelta(hours=9)).shares}
    assert {"f0", "f1", "f2", None} < kept  # so the sums did answer


def test_a_metadata_key_is_read_from_rows_while_some_api_key_has_it_inactive(asked: Asked) -> None:
    """Activated for one API key only, the other's requests are not missed."""
    made = [exchange(START_US + n, key=KEYS[n % 2], metadata={"Feature": "chat"}) for n in range(10)]
    record(asked.dsn, asked.folder / "1", made[:2])
    asked(lambda connection: metadata_keys.activate(connection, "Feature", (KEYS[0],)))
    asked.rows("UPDATE llm_requests_metadata_keys SET activated_at = '2000-01-01' WHERE is_active")
    record(asked.dsn, asked.folder / "2", made[2:])
    assert [(s.value, s.usage.requests) for s in asked.by_metadata("Feature").shares] == [("chat", 10)]


def test_a_name_beyond_the_registry_is_found_in_the_rows(asked: Asked) -> None:
    """An API key that sent too many names to be registered still has its requests found by each of them."""
    names = [exchange(START_US + n, metadata={f"N{n}": "x"}) for n in range(MAX_NAMES + 5)]
    record(asked.dsn, asked.folder, names)
    missing = asked.rows("SELECT key_name FROM llm_requests_metadata_keys")
    last = next(name for n in range(MAX_NAMES + 5) if (name := f"N{n}") not in {row["key_name"] for row in missing})
    answer = asked.by_metadata(last)
    assert {share.value: share.usage.requests for share in answer.shares} == {"x": 1, None: MAX_NAMES + 4}


def test_a_limit_puts_the_others_into_one_row(busy: Asked) -> None:
    """The foremost values stand alone, the others together, and the total does not change."""
    whole, cut_short = busy.by_metadata("User-Id"), busy.by_metadata("User-Id", limit=5)
    assert cut_short.shares == whole.shares[:5]
    assert cut_short.rest_values == len(whole.shares) - 5
    assert cut_short.total == whole.total
    assert cut_short.rest is not None
    assert cut_short.rest.requests == sum(share.usage.requests for share in whole.shares[5:])


def test_costliest_first_and_time_newest_first(busy: Asked) -> None:
    """Values are in the order of their cost; hours, days and months run back from now."""
    costs = [share.usage.total_cost for share in busy.by("model").shares]
    assert costs == sorted(costs, reverse=True)
    days = [share.value or "" for share in busy.by("day").shares]
    assert days == sorted(days, reverse=True)


def test_an_unknown_price_is_counted_and_never_a_cost_of_nothing(asked: Asked) -> None:
    """An unpriced request adds its tokens, no cost, and is named; a refused one that used nothing is not."""
    record(
        asked.dsn,
        asked.folder,
        [
            exchange(START_US, costs=None, uncached=7, output=3),
            exchange(START_US, costs=None, outcome=Outcome.REFUSED, status=429, state=UsageState.NONE),
        ],
    )
    answer = asked.summary().usage
    assert (answer.requests, answer.unpriced, answer.errors, answer.total_cost) == (2, 1, 1, Decimal(0))


def test_costs_keep_the_last_femto_dollar(asked: Asked) -> None:
    """Sums of very large and very small costs lose no digit."""
    record(
        asked.dsn,
        asked.folder,
        [exchange(START_US, costs=(cost, 0, 0, 0, 0)) for cost in (1, 9 * 10**18, 9 * 10**18)],
    )
    assert asked.summary().usage.total_cost == Decimal("18000.000000000000001")


def test_nothing_recorded_gives_zeros(asked: Asked) -> None:
    """An empty database answers every question."""
    assert asked.summary() == pivot.Summary(Usage(), 0, 0)
    assert asked.by("model").shares == []
    assert asked.by_metadata("Feature").shares == []


moments = some.datetimes(
    min_value=dt.datetime(2020, 1, 1), max_value=dt.datetime(2030, 1, 1), timezones=some.just(dt.UTC)
)


@given(moments, moments, some.booleans(), some.one_of(some.just(BEGINNING), moments))
def test_pieces_cover_a_stretch_once_and_whole(
    one: dt.datetime, other: dt.datetime, daily: bool, sums_from: dt.datetime
) -> None:
    """The pieces adjoin from beginning to end; hours begin on the hour, days at midnight; no sum before its time."""
    since, until = sorted((one, other))
    pieces = cut((since, until), daily=daily, sums_from=sums_from)
    chain = [pieces.raw_before, pieces.hourly_before, pieces.daily, pieces.hourly_after, pieces.raw_after]
    real = [piece for piece in chain if piece[0] != piece[1]]
    assert all(begin < end for begin, end in real)
    if real:
        assert real[0][0] == since
        assert real[-1][1] == until
        assert all(before[1] == after[0] for before, after in itertools.pairwise(real))
    else:
        assert since == until
    for piece in (pieces.hourly_before, pieces.hourly_after, pieces.daily):
        if piece[0] != piece[1]:
            assert piece[0] >= sums_from
            assert all(bound.replace(minute=0, second=0, microsecond=0) == bound for bound in piece)
    if pieces.daily[0] != pieces.daily[1]:
        assert daily
        assert all(bound.hour == 0 for bound in pieces.daily)
