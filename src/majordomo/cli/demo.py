"""``majordomo demo``: the whole product at work on one machine, without any provider key."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from majordomo.demo.gateway_process import GatewayProcess
    from majordomo.demo.traffic import Traffic

app = typer.Typer()

#: Seconds to wait for the last rows: they are visible within one.
ROWS_SECONDS = 15.0

#: The commands whose output is shown when the first batch is through.
REPORTS = (("usage", "summary"), ("usage", "by", "model"), ("usage", "by", "Feature"))

#: A first look at the data, in SQL: what each feature costs.
SQL = """SELECT raw_metadata->>'Feature' AS feature, COUNT(*) AS requests, SUM(total_cost) AS total_cost
FROM llm_requests GROUP BY 1 ORDER BY total_cost DESC NULLS LAST;"""


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the first batch, with a summary.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed makes the same calls.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The gateway's TCP port; 0 takes a free one.")] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Keep the data here; else it is temporary.", show_default="temporary"),
    ] = None,
) -> None:
    """Start a scripted provider and a real gateway, and send made-up traffic of a made-up company through them.

    No key is needed and nothing leaves this machine. Ctrl-C ends it and leaves nothing behind.
    """
    from rich.console import Console

    from majordomo.demo.gateway_process import GatewayProcess
    from majordomo.demo.provider_process import ProviderProcess
    from majordomo.demo.traffic import Traffic

    console = Console()
    with _stoppable(), _directory(data_dir) as folder:
        with console.status("Starting the scripted provider ..."):
            provider = ProviderProcess()
        with provider:
            with console.status("Starting the gateway with its own PostgreSQL ..."):
                gateway = GatewayProcess(provider.url, folder, port=port)
            with gateway:
                try:
                    _play(console, gateway, provider.url, Traffic(seed), once=once)
                except KeyboardInterrupt:
                    console.print("\nStopping: running calls end, the journal goes into the database ...")


def _play(console: "Console", gateway: "GatewayProcess", provider_url: str, traffic: "Traffic", *, once: bool) -> None:
    key = gateway.create_key("demo")["key"]
    sent = _first_batch(console, gateway, traffic, key)
    with console.status("Waiting for the last rows ..."):
        _wait_for_rows(gateway, sent)
    for report in REPORTS:
        with console.status(f"majordomo {' '.join(report)} ..."):
            # as wide as this terminal: a command that writes into a pipe would take 80 columns
            shown = gateway.run(*report, variables={"COLUMNS": str(console.width)})
        console.print(shown, soft_wrap=True, markup=False, highlight=False)
    if once:
        return
    _say_where_to_look(console, gateway, provider_url, key)
    _trickle(console, gateway, traffic, key)


def _first_batch(console: "Console", gateway: "GatewayProcess", traffic: "Traffic", key: str) -> int:
    """Send the first batch; how many rows it must become."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from majordomo.demo.traffic import send_all

    chains = traffic.first_batch()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        calls = [call for chain in chains for call in chain]
        task = progress.add_task("Calls through the gateway", total=len(calls))
        send_all(chains, gateway.url, key, lambda _: progress.advance(task))
    return sum(call.with_key for call in calls)


def _wait_for_rows(gateway: "GatewayProcess", count: int) -> None:
    """Until the database has that many requests; the reports below must not miss the last ones."""
    import asyncio

    from majordomo.record.database import connect

    async def wait(dsn: str) -> None:
        connection = await connect(dsn, purpose="demo")
        try:
            deadline = time.monotonic() + ROWS_SECONDS
            while await connection.fetchval("SELECT count(*) FROM llm_requests") < count:
                if time.monotonic() > deadline:
                    return  # the reports then show what there is
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    asyncio.run(wait(gateway.run("db", "url").splitlines()[-1]))


def _say_where_to_look(console: "Console", gateway: "GatewayProcess", provider_url: str, key: str) -> None:
    from majordomo.cli.serve import own_command

    own, where = own_command(), f"--data-dir {gateway.data_dir}"
    lines = [
        "",
        "  Traffic goes on, a little at a time. From another terminal:",
        "",
        f"    {own} usage summary {where}",
        f"    {own} usage by Team {where}",
        f"    {own} usage requests {where}",
        f"    {own} usage sessions {where}",
        f"    {own} metadata list {where}",
        f"    {own} db psql {where}",
        "",
        *(f"    {line}" for line in SQL.splitlines()),
        "",
        "  A request of your own, answered by the scripted provider:",
        "",
        f"    curl {gateway.url}/v1/chat/completions -H 'X-Majordomo-Key: {key}' -H 'X-Majordomo-Feature: my-own' \\",
        "      -H 'Content-Type: application/json' \\",
        '      -d \'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}\'',
        "",
        f"  Dashboard         {gateway.sign_in_link()}",
        "                    (the link works once; choose a password there)",
        f"  Gateway           {gateway.url}",
        f"  Scripted provider {provider_url} (what it received: {provider_url}/__requests)",
        "",
        "  Ctrl-C ends it.",
        "",
    ]
    console.print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)


def _trickle(console: "Console", gateway: "GatewayProcess", traffic: "Traffic", key: str) -> None:
    from majordomo.demo.traffic import TRICKLE_SECONDS

    with console.status("") as status:
        count = 0
        for chain in traffic.trickle():
            for call in chain:
                call.send(gateway.url, key)
                count += 1
                status.update(f"{count} further calls")
            time.sleep(TRICKLE_SECONDS)


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the demo in good order; later ones cannot disturb the clearing up."""

    def stop(number: int, frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """The directory named, or a temporary one that is gone afterwards."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="majordomo-demo-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the account that PostgreSQL then runs as must reach its own directory in there
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
