"""The routes under ``/usage``: every figure equals the rows, in any time zone, and nobody sees another's."""

import datetime as dt
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import usage_book
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from recorded_rows import KEYS, record, varied
from usage_book import (
    DIMENSIONS,
    HOURS,
    SESSION,
    SPAN_US,
    START,
    START_US,
    SUMMED,
    WHOLE,
    Book,
    agrees,
    labelled,
    rows_of,
)

from majordomo.record import users
from majordomo.record.database import Connection

OTHER_KEY = UUID(int=0x33)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
FILTERS = (
    "model:gpt-5",
    "model:gpt-5-mini",
    "-model:gpt-5",
    "model",
    "-model",
    f"key:{KEYS[1]}",
    "provider:openai",
    "-provider:anthropic",
    "status:200",
    "-status",
    "outcome:lost",
    "error_type:overloaded",
    "client:claude-code",
    "-client",
    f"session:{SESSION}",
    "run:run-1",
    "Feature:chat",
    "Feature:Ünïcode ☃",
    "-Feature:chat",
    "-Feature",
    "Feature",
    "Feature:",
    "User-Id:user-3",
    "-User-Id:user-3",
)


minutes = some.integers(-90, HOURS * 60 + 90)
chosen_filters = some.lists(some.sampled_from(FILTERS), max_size=3, unique=True).map(tuple)
groups = some.sampled_from((*DIMENSIONS, "Feature", "user-id", "metadata.Feature"))


@SUMMED
def test_every_breakdown_equals_the_rows(book: Book) -> None:
    """Any stretch, filters and dimension: each value, the rest and the total are what the rows give."""

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(minutes, minutes, some.sampled_from((1, 60, 1440)), chosen_filters, groups, some.integers(1, 12))
    def holds(one: int, other: int, grain: int, filters: tuple[str, ...], group: str, limit: int) -> None:
        base = START.replace(hour=0, minute=0) if grain > 1 else START
        since, until = (base + dt.timedelta(minutes=at // grain * grain) for at in sorted((one, other)))
        if since == until:
            return
        rows = book.within(since, until, filters)
        told = book.ask(
            "breakdown", *filters, since=since.isoformat(), until=until.isoformat(), group_by=group, limit=limit
        )
        name = {"user-id": "User-Id", "metadata.Feature": "Feature"}.get(group, group)
        expected = usage_book.by(rows, lambda row: usage_book.value(row, name))
        shown = {share["value"] for share in told["rows"]}
        assert all(agrees(share["usage"], expected[share["value"]]) for share in told["rows"])
        assert (None in shown) == (None in expected)
        assert len(shown - {None}) == min(limit, len(expected.keys() - {None}))
        left = [row for value, those in expected.items() if value not in shown for row in those]
        assert agrees(told["rest"]["usage"], left) if left else told["rest"] is None
        assert not left or told["rest"]["values"] == len(expected.keys() - shown)
        assert agrees(told["total"], rows)
        summary = book.ask("summary", *filters, since=since.isoformat(), until=until.isoformat())
        assert agrees(summary["usage"], rows)
        assert summary["lost"] == sum(row["outcome"] == "lost" for row in rows)

    holds()


@SUMMED
def test_every_point_of_a_timeseries_equals_the_rows(book: Book) -> None:
    """Hours, days, weeks and months of any zone hold their rows, days of 23 and 25 hours too."""
    metrics = ("total_cost", "requests", "errors", "uncached_tokens", "output_tokens")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        minutes,
        minutes,
        some.sampled_from(ZONES),
        some.sampled_from(("hour", "day", "week", "month")),
        chosen_filters,
        some.one_of(some.none(), groups),
    )
    def holds(one: int, other: int, zone: str, granularity: str, filters: tuple[str, ...], group: str | None) -> None:
        since, until = (START + dt.timedelta(minutes=at) for at in sorted((one, other)))
        if since == until:
            return
        rows = book.within(since, until, filters)
        told = book.ask(
            "timeseries",
            *filters,
            since=since.isoformat(),
            until=until.isoformat(),
            timezone=zone,
            granularity=granularity,
            group_by=group,
            limit=3,
            metric=metrics[0],
        )
        starts = [dt.datetime.fromisoformat(start) for start in told["buckets"]]
        assert starts == sorted(set(starts)) and starts[0] <= since < until
        expected = usage_book.by(rows, lambda row: usage_book.bucket(row["requested_at"], granularity, zone))
        assert expected.keys() <= set(starts)
        for number, start in enumerate(starts):
            assert told["total"]["total_cost"][number] == usage_book.sums(expected.get(start, []))["total_cost"]
        name = {"user-id": "User-Id", "metadata.Feature": "Feature"}.get(group or "", group)
        for series in told["series"]:
            if series["is_rest"]:
                continue
            assert name is not None
            those = [row for row in rows if usage_book.value(row, name) == series["value"]]
            at = usage_book.by(those, lambda row: usage_book.bucket(row["requested_at"], granularity, zone))
            assert series["points"]["total_cost"] == [
                usage_book.sums(at.get(start, []))["total_cost"] for start in starts
            ]

    holds()


def test_a_days_length_follows_the_zones_clock(book: Book) -> None:
    """The day in which Berlin's clocks go back has 25 hours."""
    told = book.ask("timeseries", since="2026-10-24", until="2026-10-27", timezone="Europe/Berlin", granularity="day")
    assert told["buckets"] == ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]
    assert told["period"] == {"from": "2026-10-23T22:00:00Z", "to": "2026-10-26T23:00:00Z", "timezone": "Europe/Berlin"}


def test_a_zone_that_cuts_hours_in_halves_is_noted(book: Book) -> None:
    """Who asked once is answered from sums the next time: their halves are summed from now on."""

    async def noted(connection: Connection) -> list[int]:
        return [row["utc_hour"] for row in await connection.fetch("SELECT utc_hour FROM pair_halves_wanted")]

    book.ask("timeseries", since="2026-10-24", until="2026-10-29", timezone="Europe/Berlin", granularity="day")
    assert book.api.database(noted) == []
    for path in ("timeseries", "latency"):
        book.ask(path, since="2026-10-24", until="2026-10-29", timezone="Asia/Kolkata", granularity="day")
        assert book.api.database(noted) == [18]


def test_the_time_before_is_compared_value_by_value(book: Book) -> None:
    """The same length before; each shown value, the rest and the total have their earlier figures."""
    since, until = dt.datetime(2026, 10, 28, tzinfo=dt.UTC), dt.datetime(2026, 10, 31, tzinfo=dt.UTC)
    before = book.within(since - (until - since), since)
    span = {"since": since.isoformat(), "until": until.isoformat(), "compare": "previous"}
    told = book.ask("breakdown", group_by="model", limit=2, **span)
    assert told["previous_period"] == {"from": "2026-10-25T00:00:00Z", "to": "2026-10-28T00:00:00Z", "timezone": "UTC"}
    expected = usage_book.by(before, lambda row: usage_book.value(row, "model"))
    shown = {share["value"] for share in told["rows"]}
    assert len(shown) == 3 and None in shown
    assert all(agrees(share["previous"], expected[share["value"]]) for share in told["rows"])
    assert agrees(told["rest"]["previous"], [row for row in before if usage_book.value(row, "model") not in shown])
    assert agrees(told["previous_total"], before)
    assert agrees(book.ask("summary", **span)["previous"]["usage"], before)
    series = book.ask("timeseries", granularity="day", **span)
    assert sum(series["previous_total"]["requests"]) == len(before) > 0


def test_another_organisations_rows_are_never_seen(book: Book, postgres_dsn: str, tmp_path: Path) -> None:
    """Neither in sums nor by naming its key, and its own people see them alone."""
    other = book.api.database(lambda connection: users.create_org(connection, "Acme"))
    made = [
        (msgspec.structs.replace(opening, org_id=other.id.bytes, api_key_id=OTHER_KEY.bytes), close)
        for opening, close in labelled(varied(80, START_US, SPAN_US, seed=9))
    ]
    record(postgres_dsn, tmp_path / "3", made)
    span = WHOLE
    assert agrees(book.ask("summary", **span)["usage"], book.rows)
    assert book.ask("summary", f"key:{OTHER_KEY}", **span)["usage"]["requests"] == 0
    for group in (*DIMENSIONS, "Feature", "User-Id"):
        assert agrees(book.ask("breakdown", group_by=group, **span)["total"], book.rows)
    book.api.sign_in(other.id, "other@example.com")
    assert book.ask("summary", **span)["usage"]["requests"] == 80
    for group in (*DIMENSIONS, "Feature"):
        told = book.ask("breakdown", group_by=group, limit=100, **span)
        assert agrees(told["total"], rows_of(book.api, other.id))
    assert book.ask("breakdown", group_by="key", **span)["rows"][0]["value"] == str(OTHER_KEY)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"since": "2026-11-02", "until": "2026-11-01"}, "from must be before to"),
        ({"since": "2001-01-01", "until": "2026-11-01"}, "3660 days"),
        ({"since": "1000000"}, "no moment"),
        ({"since": "9999-12-31"}, "between the years"),
        ({"until": "2026-11-01"}, "to needs a from"),
        ({"period": "7d", "since": "2026-11-01"}, "exclude each other"),
        ({"period": "eternity"}, "there are today, yesterday"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"timezone": "Mars/Olympus"}, "IANA"),
        ({"filter": "colour:red"}, "there is no dimension 'colour'; there are provider, model"),
        ({"filter": "'; DROP TABLE llm_requests; --"}, "there is no dimension"),
        ({"filter": ":x"}, "is no filter"),
        ({"filter": "model:a\0b"}, "is no filter"),
        ({"filter": "status:ok"}, "no HTTP status"),
        ({"filter": "session:1"}, "UUID"),
        ({"filter": "key:nobody"}, "neither the id nor the name"),
    ],
)
def test_a_question_that_cannot_be_asked_is_told_so(member: Any, wrong: dict[str, str], told: str) -> None:
    for path, group in (("summary", None), ("breakdown", "model"), ("timeseries", "model")):
        reply = Book(member, []).get(path, group_by=group, **wrong)
        assert (reply.status, reply.json["error"]["code"]) == (422, "invalid")
        assert told in reply.json["error"]["message"]


def test_a_parameter_that_a_question_does_not_take_is_refused_by_name(member: Any) -> None:
    """A slip of the pen must not be answered with other figures."""
    error = Book(member, []).get("summary", form="2026-11-01").json["error"]
    assert error["code"] == "unknown_parameter"
    assert "no parameter 'form'; it takes compare, period, from, to, timezone, filter" in error["message"]
    assert member("GET", "/users?page=2").json["error"]["message"].endswith("it takes none")


def test_unknown_and_giant_choices_are_refused_by_name(member: Any) -> None:
    """Dimensions, orders, metrics and limits name what is allowed; hours of years are too many points."""
    book = Book(member, [])
    assert "there are provider, model" in book.get("breakdown", group_by="1; SELECT").json["error"]["message"]
    assert "group_by" in str(book.get("breakdown").json["error"]["details"])
    for wrong in ({"limit": 10**9}, {"limit": 0}, {"sort": "total_cost; --"}):
        assert book.get("breakdown", group_by="model", **wrong).status == 422
    assert book.get("timeseries", metric="pg_sleep").status == 422
    reply = book.get("timeseries", since="2020-01-01", until="2026-01-01", granularity="hour")
    assert (reply.status, "wider granularity" in reply.json["error"]["message"]) == (422, True)
    assert book.get("summary", *[f"model:{n}" for n in range(60)]).status == 422


def test_nobody_asks_without_signing_in(api: Any) -> None:
    for path in ("summary", "breakdown?group_by=model", "timeseries"):
        assert api("GET", f"/usage/{path}").json["error"]["code"] == "not_signed_in"
