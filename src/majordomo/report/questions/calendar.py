"""Usage by hour, day, week or month as a breakdown: the newest first, only those with requests."""

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import pivot
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.periods import MOST_BUCKETS, Granularity, Period, latest_bucket_starts
from majordomo.report.questions.pivot import Breakdown, Share
from majordomo.report.questions.scope import BEGINNING
from majordomo.report.questions.usage import Usage
from majordomo.report.sql import question


async def by_time(
    connection: Connection, scope: Scope, asked: Period, granularity: Granularity, limit: int
) -> Breakdown:
    """The ``limit`` newest hours, days, weeks or months of ``asked`` with requests; what is before them is the rest.

    A period of all time is looked at from the last request back, at most ``MOST_BUCKETS`` of them.
    """
    row = await connection.fetchrow(question("recorded_span"), scope.org_id)
    if row is None or row["first_at"] is None:
        return Breakdown([], None, 0, Usage())
    until = min(asked.until, row["last_at"] + dt.timedelta(hours=1))
    since = max(asked.since, row["first_at"])
    if since >= until:
        return Breakdown([], None, 0, Usage())
    seen = msgspec.structs.replace(asked, since=since, until=until)
    starts = latest_bucket_starts(seen, granularity, MOST_BUCKETS)
    earlier = asked.since < starts[0]
    timeline = await pivot.timeline(connection, scope, [min(asked.since, BEGINNING), *starts] if earlier else starts)
    points = timeline.total[earlier:]
    found = [
        Share(label(start, granularity, asked.zone), point)
        for start, point in zip(starts, points, strict=True)
        if point.requests
    ]
    found.reverse()
    rest = [share.usage for share in found[limit:]] + [point for point in timeline.total[:earlier] if point.requests]
    total = sum(timeline.total, Usage())
    return Breakdown(found[:limit], sum(rest, Usage()) if rest else None, len(rest), total)


def label(start: dt.datetime, granularity: Granularity, zone: str) -> str:
    """What a bucket is called: ``2026-11-21T14:00Z``, ``2026-11-21``, ``2026-11``."""
    local = start.astimezone(ZoneInfo(zone))
    if granularity is Granularity.HOUR:
        return local.isoformat(timespec="minutes").replace("+00:00", "Z")
    return f"{local:%Y-%m}" if granularity is Granularity.MONTH else f"{local:%Y-%m-%d}"
