"""``python -m bench.reports``: make the rows, start the gateway over them, ask, print the tables.

The figures are kept under ``artefacts/bench/``, the rows in ``--data`` for the next time.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.contender import ROOT
from bench.journal_to_postgres import database
from bench.processes import Crew, free_port
from bench.product import Product
from bench.reports import data, ingest, measuring, rollups, tables, weight
from bench.reports.data import Made
from bench.reports.measuring import Gateway
from majordomo.record import sign_in, users
from majordomo.record.database import connect
from majordomo.record.migrate import migrate

PARTS = ("panels", "overview", "weight", "ingest", "documented_sql")
ROWS = 10_000_000
INGEST_ROWS = 200_000
#: When the gateway has begun to look what there is to do.
_FIRST_LOOK_SECONDS = 15.0
WIDTH = 132  # of the tables, where the output is not a terminal


def main() -> None:
    """Run what was asked for."""
    given = _given()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    given.data.mkdir(parents=True, exist_ok=True, mode=0o711)
    made = _make(given.data, given.rows, console)
    console.print(f"{made.rows:,} requests from {made.since:%Y-%m-%d} to {made.until:%Y-%m-%d} in {given.data}")
    with tempfile.TemporaryDirectory(prefix="mdm-bench-") as logs, Crew(Path(logs)) as crew:
        product = Product(crew, given.data, free_port())
        product.start()
        asyncio.run(_settle(product, made, console))
        results = asyncio.run(_measure(product, made, given, console))
    tables.show(console, results)
    folder = ROOT / "artefacts" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"reports-{time.strftime('%Y%m%d-%H%M%S')}.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    console.print(f"Figures: {kept}")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reports", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "var" / "bench" / "reports", help="where the rows are kept")
    parser.add_argument("--rows", type=int, default=ROWS, help="how many are made where there are none yet")
    parser.add_argument("--rounds", type=int, default=40, help="questions of each kind")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    return parser.parse_args()


def _make(folder: Path, rows: int, console: Console) -> Made:
    """The rows of an earlier run, brought to this version's schema; or new ones."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with database(None, folder) as dsn, Progress(*columns, console=console) as progress:
        asyncio.run(migrate(dsn))
        found = asyncio.run(data.made(dsn))
        if found is not None:
            return found
        tasks: dict[str, Any] = {}

        def say(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=of)

        return asyncio.run(data.make(dsn, rows, say))


async def _settle(product: Product, made: Made, console: Console) -> None:
    """Wait until the gateway has priced what it can and summed what that changed."""
    dsn = product.cli("db", "url").splitlines()[-1]
    await asyncio.sleep(_FIRST_LOOK_SECONDS)
    while waiting := await rollups.waiting(dsn, made.until):
        console.print(f"[dim]{waiting:,} hours and days are still being summed[/]", highlight=False)
        await asyncio.sleep(_FIRST_LOOK_SECONDS)


async def _measure(product: Product, made: Made, given: argparse.Namespace, console: Console) -> dict[str, Any]:
    dsn = product.cli("db", "url").splitlines()[-1]
    gateway = Gateway(product.port, await _token(dsn))

    def tell(line: str) -> None:
        console.print(f"[dim]{line}[/]", highlight=False)

    results: dict[str, Any] = {"rows": made.rows}
    if "panels" in given.only:
        results["panels"] = measuring.panels(gateway, made, given.rounds, tell)
    if "overview" in given.only:
        results["overview"] = measuring.overview(gateway, made, given.rounds)
    if "weight" in given.only:
        results["weight"] = weight.weigh(product.port)
    if "ingest" in given.only:
        journals = given.data / "journal"
        await ingest.ingest(dsn, journals, None, made, INGEST_ROWS // 4)  # the pages it needs are in memory now
        results["ingest_alone"] = await ingest.ingest(dsn, journals, None, made, INGEST_ROWS)
        results["ingest_with_people"] = await ingest.ingest(dsn, journals, gateway, made, INGEST_ROWS)
    if "documented_sql" in given.only:
        results["documented_sql"] = await measuring.documented_sql(dsn, tell)
    return results


async def _token(dsn: str) -> str:
    """A token of a member of the largest organisation."""
    connection = await connect(dsn, purpose="bench")
    try:
        present = await users.list_all(connection, users.DEFAULT_ORG)
        asking = present[0] if present else await users.create(connection, "bench@example.com", name="Bench")
        for one in await sign_in.tokens(connection, asking):
            await sign_in.end_token(connection, asking, one.id)
        secret, _ = await sign_in.make_token(connection, asking, "bench")
        return secret
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
