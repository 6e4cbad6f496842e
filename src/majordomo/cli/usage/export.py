"""``majordomo usage export``: a file of requests, of usage by a dimension, or of FOCUS, to disk or into a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, read_settings
from majordomo.cli.usage.options import Given, UsageError, understand, with_common_options

if TYPE_CHECKING:
    from majordomo.price.pricer import Pricer
    from majordomo.report.exports.export import Format
    from majordomo.report.questions.asking import Asked
    from majordomo.settings import Settings

FormatOption = Annotated[str, typer.Option("--format", help="csv, parquet, focus (FOCUS 1.2 as CSV) or focus-parquet.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.", show_default=False)
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", metavar="DIM", help="Usage by this dimension, instead of requests.", show_default=False),
]
_Advance = Callable[[int], None]


@with_common_options
def export(
    given: Given,
    form: FormatOption = "csv",
    output: OutputOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """A file of requests, oldest first: CSV, Parquet or FOCUS 1.2. Any number, in bounded memory."""
    from majordomo.report.exports.export import Format

    if form not in list(Format):
        raise UsageError(f"there is no format {form!r}; there are {', '.join(Format)}")
    kind = Format(form)
    if kind.is_focus and by is not None:
        raise UsageError("--by is for csv and parquet; FOCUS has rows of its own")
    if kind.is_parquet and output is None and sys.stdout.isatty():
        raise UsageError("Parquet is nothing to look at; name a file: --output requests.parquet")
    settings = read_settings(config, data_dir)
    pricer = _pricer(settings)
    with _opened(output) as file:

        async def question(connection: Any) -> int:
            return await _write(connection, given, kind, by, pricer, file)

        rows = ask(settings, question)
    if output is not None:
        typer.echo(f"{rows:,} rows in {output} ({output.stat().st_size:,} bytes).", err=True)


async def _write(
    connection: Any, given: Given, form: "Format", by: str | None, pricer: "Pricer", file: BinaryIO
) -> int:
    """Write the file's pieces as they come; how many rows there are."""
    from majordomo.report.exports.export import export as exported
    from majordomo.report.questions.snapshot import snapshot

    rows = 0
    async with snapshot(connection):
        asked = await understand(connection, given)
        dimension = None if by is None else asked.dimension(by)
        total = None if form.is_focus or by is not None else await _count(connection, asked)
        with _progress(total) as advance:
            async with aclosing(exported(connection, asked.scope, form, pricer, dimension)) as pieces:
                async for piece in pieces:
                    file.write(piece.content)
                    rows = piece.rows
                    advance(rows)
    return rows


async def _count(connection: Any, asked: "Asked") -> int:
    from majordomo.report.questions import pivot

    return (await pivot.usage(connection, asked.scope)).requests


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that bears its name only once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as wrong:
        raise UsageError(f"cannot write {output}: {wrong.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(total: int | None) -> Iterator[_Advance]:
    """A bar on standard error, if that is a terminal; ``total`` None: one that only moves."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("Exporting"), BarColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda rows: bar.update(task, completed=rows)


def _pricer(settings: "Settings") -> "Pricer":
    from majordomo.places import Places
    from majordomo.price.pricer import Pricer

    return Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
