"""The back-office process: brings the journals into PostgreSQL, keeps prices and partitions in order, answers HTTP.

Started by the supervisor with an order on standard input; see ``majordomo.launch``. Its parts run side by side: one
that fails is started again, ever more slowly, and takes no other along. While PostgreSQL is away, requests are served
all the same and wait in the journals; ``/readyz`` says so.
"""

import asyncio
import os
import random
import signal
import sys

import uvloop

from majordomo import logs
from majordomo.admit.metadata import MetadataLimits
from majordomo.budget.ledger import Ledger
from majordomo.budget.watch import LOOK_SECONDS, Watch
from majordomo.forward.providers import provider_names
from majordomo.launch import Firsts, Launch, become_child, read_launch, report_ready
from majordomo.places import Places
from majordomo.price.adjustments import OverlayError
from majordomo.price.feed import Refresh, keep_fresh
from majordomo.price.pricer import Pricer
from majordomo.record import backfill
from majordomo.record.api_keys import create_first
from majordomo.record.claude_sessions import close_idle_sessions, count_open_sessions
from majordomo.record.database import Connection, connect
from majordomo.record.migrate import migrate
from majordomo.record.partitions import add_partitions, drop_old_partitions
from majordomo.record.priority import go_behind
from majordomo.record.reprice import Repriced, reprice_unpriced
from majordomo.record.sign_in import make_link
from majordomo.record.summing import Summing
from majordomo.record.users import create_first as create_first_user
from majordomo.record.writer import Writer
from majordomo.report.connections import Connections
from majordomo.report.installation import Installation
from majordomo.report.intake import Intake
from majordomo.report.server import Server
from majordomo.report.signs import Signs
from majordomo.supervision import cancel_until_ended, supervised

#: How long the journals may take to be drained after SIGTERM (s): below the supervisor's patience, so that we end
#: ourselves. What is left stays in the journals for the next start.
DRAIN_SECONDS = 25.0
ANSWER_SECONDS = 3.0  # for answers under way, of which the server itself cuts those off that take longer than two
END_SECONDS = 10.0  # until parts that do not heed their cancellation are left behind: nobody may be there to kill us

PARTITIONS_EVERY = 24 * 3600.0
SESSIONS_EVERY = 60.0  # how late a session's end may be seen: next to hours of idleness it does not matter
BACKFILL_LOOK_SECONDS = 1.0  # how late a filling in may begin; a look reads a small table
SUMMING_LOOK_SECONDS = 10.0  # next to the minute that an hour waits for its last replies it does not matter
PRICE_LOOK_SECONDS = 5.0  # as the front desks do; a look is two stats

_log = logs.logger("back office")


class BackOffice:
    """Builds the parts from an order and runs them until SIGTERM."""

    def __init__(self, launch: Launch) -> None:
        settings = self._settings = launch.read_settings()
        places = self._places = Places(settings.data_dir)
        self._dsn = launch.database_url
        self._pricer = Pricer.load(places.prices_dir, settings.price_overlay)
        self._writer = Writer(self._dsn, places.journal_dir, places.dead_letter_dir, tally=Ledger())
        self._signs = Signs(
            self._dsn,
            places.run_dir,
            places.prices_dir,
            places.dead_letter_dir,
            stats=self._writer.stats,
            pricer=self._pricer,
            refresh_seconds=settings.price_refresh_seconds if settings.price_feed else None,
        )
        limits = MetadataLimits(
            settings.max_metadata_keys, settings.max_metadata_key_bytes, settings.max_metadata_value_bytes
        )
        intake = Intake(self._pricer, limits, self._writer.stats, Ledger())
        installation = Installation(settings, launch.origins)
        self._server = Server(
            self._signs,
            Connections(self._dsn),
            self._pricer,
            intake,
            places.back_office_socket,
            provider_names(settings.providers),
            installation,
        )
        self._migrated = asyncio.Event()
        self._prices_changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to stop; then drain the journals, and stop answering last."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        start = asyncio.create_task
        background = [
            start(supervised("start", self._get_ready)),
            start(supervised("partitions", self._keep_partitions)),
            start(supervised("claude sessions", self._close_idle_sessions)),
            start(supervised("prices", self._watch_prices)),
            start(supervised("reprice", self._keep_pricing)),
            start(supervised("budgets", self._watch_budgets)),
            start(supervised("backfill", self._keep_filling_in)),
            start(supervised("pairs", self._keep_summing)),
            start(supervised("signs", self._signs.keep_looking)),
        ]
        if self._settings.price_feed:
            background.append(start(supervised("price feed", self._keep_prices)))
        web = start(supervised("http", self._server.run))
        writer = start(supervised("writer", lambda: self._write(stop)))
        await stop.wait()
        _log.info("stopping", waiting_bytes=self._writer.stats.lag_bytes)
        for task in background:
            task.cancel()
        await self._finish_writing(writer)
        self._server.stop()
        await asyncio.wait([web], timeout=ANSWER_SECONDS)
        if not await cancel_until_ended([web, writer, *background], END_SECONDS):
            _log.error("some parts go on although they were cancelled; ended all the same")
            os._exit(1)  # what is committed is kept, and the rest is in the journals
        await self._signs.close()

    async def _get_ready(self) -> None:
        """Bring the schema up to date and make the first key; only then are we ready."""
        await migrate(self._dsn)
        self._migrated.set()
        await self._server.serving.wait()  # a key is made when nothing more can keep it from being told
        connection = await connect(self._dsn, purpose="start")
        try:
            firsts = Firsts(await create_first(connection), await self._first_link(connection))
        finally:
            await connection.close()
        report_ready(firsts)  # the only place where they are ever told
        _log.info("ready", first_start=bool(firsts))

    async def _first_link(self, connection: Connection) -> str | None:
        async with connection.transaction():
            first = await create_first_user(connection)
            return None if first is None else await make_link(connection, first)

    async def _write(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._migrated, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._migrated.is_set():  # if not, what was recorded waits for the next start
            await self._writer.run(stop)

    async def _finish_writing(self, writer: "asyncio.Task[None]") -> None:
        await asyncio.wait([writer], timeout=DRAIN_SECONDS)
        writer.cancel()
        if left := self._writer.stats.lag_bytes:
            _log.warning("journals not drained; what is left is taken up at the next start", waiting_bytes=left)

    async def _keep_partitions(self) -> None:
        await self._migrated.wait()
        while True:
            connection = await connect(self._dsn, purpose="partitions")
            try:
                await add_partitions(connection)
                if self._settings.retention_months is not None:
                    await drop_old_partitions(connection, keep_months=self._settings.retention_months)
            finally:
                await connection.close()
            await asyncio.sleep(PARTITIONS_EVERY)

    async def _close_idle_sessions(self) -> None:
        await self._migrated.wait()
        while True:
            connection = await connect(self._dsn, purpose="sessions")
            try:
                closed = await close_idle_sessions(connection, self._settings.claude_session_idle_seconds)
                self._writer.stats.open_sessions = await count_open_sessions(connection)
            finally:
                await connection.close()
            if closed:
                _log.info("idle Claude Code sessions ended", sessions=closed)
            await asyncio.sleep(SESSIONS_EVERY)

    async def _keep_filling_in(self) -> None:
        """Bring older requests into the index and sums of metadata keys that have become active."""
        await self._migrated.wait()
        connection = await connect(self._dsn, purpose="backfill")
        try:
            while True:
                for job in await backfill.due(connection):
                    if await backfill.run(connection, job):
                        _log.info(
                            "metadata key filled in", metadata_key=job.key_name, key=str(job.majordomo_api_key_id)
                        )
                await asyncio.sleep(BACKFILL_LOOK_SECONDS)
        finally:
            await connection.close()

    async def _keep_summing(self) -> None:
        """Sum what has ended by two dimensions at a time."""
        await self._migrated.wait()
        summing = Summing()
        connection = await connect(self._dsn, purpose="pairs")
        go_behind(connection, self._dsn)
        try:
            while True:
                await summing.look(connection, self._tell_waiting)
                await asyncio.sleep(SUMMING_LOOK_SECONDS)
        finally:
            await connection.close()

    def _tell_waiting(self, waiting: int) -> None:
        self._writer.stats.periods_to_sum = waiting

    async def _watch_budgets(self) -> None:
        await self._migrated.wait()
        watch = Watch(self._writer.stats.budget_alerts, self._settings.budget_webhook_url)
        connection = await connect(self._dsn, purpose="budgets")
        try:
            while True:
                await watch.look(connection)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await connection.close()

    async def _keep_prices(self) -> None:
        # A little chance, so that a fleet started at once does not ask at once for ever.
        every = self._settings.price_refresh_seconds * random.uniform(0.95, 1.05)  # noqa: S311 - no secret
        await keep_fresh(self._settings.price_feed_url, self._places.prices_dir, every, _tell)

    async def _watch_prices(self) -> None:
        """Follow the prices on disk, whoever wrote them: the feed, a command, or the operator's editor."""
        while True:
            if self._pricer.reload_if_changed():
                _log.info("prices changed", version=self._pricer.version)
                self._prices_changed.set()
            await asyncio.sleep(PRICE_LOOK_SECONDS)

    async def _keep_pricing(self) -> None:
        """Price again what had no price, at the start and whenever there are new prices."""
        await self._migrated.wait()
        while True:
            self._prices_changed.clear()
            connection = await connect(self._dsn, purpose="reprice")
            changed = Repriced()
            try:
                async for part in reprice_unpriced(connection, self._pricer, tally=Ledger()):
                    changed.add(part)
            finally:
                await connection.close()
            if changed.rows:
                _log.info("priced requests again", rows=changed.rows.total(), usd=str(sum(changed.usd.values())))
            await self._prices_changed.wait()


def _tell(refresh: Refresh) -> None:
    if refresh.outcome == "refused":
        _log.warning("prices not refreshed; the last good ones stay in use", reason=refresh.reason)
    elif refresh.outcome == "accepted":
        _log.info("prices refreshed", version=refresh.version)


def main() -> None:
    """Run the back office as the supervisor ordered."""
    launch = read_launch()
    become_child(launch.supervisor)
    logs.set_up(launch.settings["log_level"], launch.settings["log_format"])
    os.umask(0o077)  # sockets and files are for this user
    try:
        uvloop.run(_run(launch))
    except (OSError, OverlayError) as failed:
        _log.error("cannot serve", reason=str(failed))
        sys.exit(1)


async def _run(launch: Launch) -> None:
    await BackOffice(launch).run()


if __name__ == "__main__":
    main()
