"""Filling older requests into a metadata key's index, with a bar: done here, or by the gateway that runs."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from majordomo.record.backfill import Step

_LOOK_SECONDS = 0.3


async def fill_in(connection: Any, name: str, keys: tuple[UUID, ...] | None, *, quiet: bool) -> None:
    """Until all older requests are in the index of ``name`` (for these gateway keys)."""
    from rich.console import Console
    from rich.progress import Progress

    from majordomo.record import backfill
    from majordomo.report.questions.metadata_keys import metadata_keys

    shown = not quiet and sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as bars:
        bar = bars.add_task(f"Older requests with {name}", total=None)

        def show(step: "Step") -> None:
            bars.update(bar, completed=step.rows_seen, total=max(step.rows_total, step.rows_seen))

        while jobs := [job for job in await backfill.due(connection) if _is_meant(job, name, keys)]:
            if await backfill.run(connection, jobs[0], on_step=show):
                continue
            working = await metadata_keys(connection, keys, None, name)  # another process is at it
            bars.update(
                bar,
                completed=sum(one.rows_seen for one in working),
                total=sum(max(one.rows_total, one.rows_seen) for one in working) or None,
            )
            await asyncio.sleep(_LOOK_SECONDS)


def _is_meant(job: Any, name: str, keys: tuple[UUID, ...] | None) -> bool:
    return job.key_name == name and (keys is None or job.majordomo_api_key_id in keys)
