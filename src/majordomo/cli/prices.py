"""``majordomo prices``: look prices up, refresh them from the feed, compare catalogues, price old rows again."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

if TYPE_CHECKING:
    from majordomo.price.catalogue import Catalogue
    from majordomo.price.changes import Changes
    from majordomo.price.listing import PriceList
    from majordomo.price.pricer import Pricer
    from majordomo.record.reprice import Repriced

app = typer.Typer(no_args_is_help=True, help="Look up, refresh and compare prices.", pretty_exceptions_enable=False)

#: Lines of a difference printed for people; ``--json`` prints all.
_SHOWN_CHANGES = 200


class PricesError(Exception):
    """A price command cannot do what was asked. The message says why and what to do."""


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="A model's id, as requests and replies have it.")],
    provider: Annotated[str | None, typer.Option(help="Only this provider's price.", show_default=False)] = None,
    at: Annotated[
        str | None, typer.Option(help="The price of a day: 2026-11-20. Default: now.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What a model costs, by tier, prompt length and class of token. In USD."""
    from majordomo.forward.providers import build_providers
    from majordomo.places import Places
    from majordomo.price import listing
    from majordomo.price.pricer import Pricer

    settings = read_settings(config, data_dir)
    pricer = Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
    if pricer.overlay_error:
        typer.echo(f"{pricer.overlay_error}\nThe last good copy of the overlay is used.", err=True)
    moment = _moment(at)
    at_us = int(moment.timestamp() * 1_000_000)
    everywhere = listing.provider_names(pricer.book)
    reachable = list(build_providers({name: given.model_dump() for name, given in settings.providers.items()}))
    lists = listing.price_lists(pricer.book, model, [provider] if provider else reachable, at_us)
    if not lists and not provider:
        lists = listing.price_lists(pricer.book, model, everywhere, at_us)
    if not lists:
        near = listing.near_names(pricer.book, model, [provider] if provider else reachable)
        where = f" at {provider}" if provider else ""
        own = "An own model's rates go into the price overlay (docs/prices.md)"
        raise PricesError(f"no price is known for {model}{where}. " + (f"Near it: {', '.join(near)}" if near else own))
    if as_json:
        _print_json(
            {
                "model": model,
                "at": moment.isoformat(),
                "version": pricer.version,
                "source": pricer.book.catalogue.source,
                "prices": [_list_json(listed) for listed in lists],
            }
        )
        return
    for listed in lists:
        _print_list(listed, model)
    typer.echo(f"Version {pricer.version}, from {pricer.book.catalogue.source}. Prices of {moment:%Y-%m-%d %H:%M} UTC.")


@app.command()
def refresh(
    accept: Annotated[
        bool, typer.Option("--accept", help="Take it although a rate jumped tenfold or a model is gone.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Read the price feed now. A feed that is broken or implausible changes nothing."""
    from majordomo.places import Places
    from majordomo.price import feed

    settings = read_settings(config, data_dir)
    places = Places(settings.data_dir).make()
    result = feed.refresh(settings.price_feed_url, places.prices_dir, accept=accept)
    if as_json:
        _print_json(
            {
                "outcome": result.outcome,
                "version": result.version,
                "reason": result.reason,
                "implausible": result.implausible,
                "changes": _changes_json(result.changes) if result.changes else None,
            }
        )
    elif result.outcome == "refused":
        typer.echo(f"The prices stay as they are (version {result.version}): {result.reason}", err=True)
    else:
        if result.changes:
            _print_changes(result.changes)
        typer.echo(f"{'New prices' if result.outcome == 'accepted' else 'No change'}: version {result.version}.")
    if result.outcome == "refused":
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="packaged, current, feed, or a version of the history.")] = "packaged",
    new: Annotated[str, typer.Argument(help="As the first.")] = "current",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What differs between two catalogues: models that came and went, rates that changed."""
    from majordomo.places import Places
    from majordomo.price import changes

    settings = read_settings(config, data_dir)
    prices_dir = Places(settings.data_dir).prices_dir
    before, after = (_catalogue(name, prices_dir, settings.price_feed_url) for name in (old, new))
    difference = changes.compare(before, after, int(datetime.now(UTC).timestamp() * 1_000_000))
    if as_json:
        _print_json({"old": before.version, "new": after.version, **_changes_json(difference)})
        return
    _print_changes(difference)
    typer.echo(f"{before.version} ({before.source}) to {after.version} ({after.source}).")


@app.command()
def reprice(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Price the requests whose price was unknown, each at its own day's rates, and correct all sums."""
    import asyncio

    from majordomo.places import Places
    from majordomo.price.pricer import Pricer
    from majordomo.record.embedded import database_for

    settings = read_settings(config, data_dir)
    pricer = Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
    with database_for(settings) as dsn:
        result = asyncio.run(_reprice(dsn, pricer, show_progress=not as_json))
    if as_json:
        _print_json(
            {
                "version": pricer.version,
                "looked_at": result.seen,
                "priced": [
                    {"provider": provider, "model": model, "rows": rows, "usd": _usd(result.usd[provider, model])}
                    for (provider, model), rows in sorted(result.rows.items())
                ],
                "unpriced": [
                    {"provider": provider, "model": model, "rows": rows, "reason": reason}
                    for (provider, model, reason), rows in sorted(result.unpriced.items())
                ],
            }
        )
        return
    _print_repriced(result, pricer.version)


async def _reprice(dsn: str, pricer: "Pricer", *, show_progress: bool) -> "Repriced":
    from rich.progress import Progress

    from majordomo.budget.ledger import Ledger
    from majordomo.record.database import connect
    from majordomo.record.reprice import Repriced, count_unpriced, reprice_unpriced

    total = Repriced()
    connection = await connect(dsn, purpose="reprice")
    try:
        with Progress(transient=True, disable=not show_progress) as progress:
            task = progress.add_task("Pricing", total=await count_unpriced(connection))
            async for changed in reprice_unpriced(connection, pricer, tally=Ledger()):
                total.add(changed)
                progress.advance(task, changed.seen)
    finally:
        await connection.close()
    return total


def _print_repriced(result: "Repriced", version: str) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    if not result.seen:
        typer.echo("Every request that used something has its price.")
        return
    table = Table(box=SIMPLE)
    for heading, side in (("provider", "left"), ("model", "left"), ("rows", "right"), ("USD", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    table.add_column("")
    for (provider, model), rows in sorted(result.rows.items()):
        table.add_row(provider, model, f"{rows:,}", _usd(result.usd[provider, model]), "priced")
    for (provider, model, reason), rows in sorted(result.unpriced.items()):
        table.add_row(provider, model, f"{rows:,}", "", f"still unpriced: {reason}")
    Console().print(table)
    spent = sum(result.usd.values(), Decimal(0))
    priced = sum(result.rows.values())
    typer.echo(f"{priced:,} of {result.seen:,} rows priced, {_usd(spent)} USD, with version {version}.")


def _catalogue(name: str, prices_dir: Path, feed_url: str) -> "Catalogue":
    from majordomo.price import catalogue, feed, store

    if name == "packaged":
        return catalogue.packaged()
    if name == "current":
        return store.newest(prices_dir)
    if name == "feed":
        return catalogue.load(catalogue.encode(feed.parse_fetched(feed_url, datetime.now(UTC))))
    found = store.version(prices_dir, name)
    if found is None:
        kept = ", ".join(store.versions(prices_dir)) or "none yet"
        raise PricesError(f"no catalogue {name!r}; there are packaged, current, feed and these versions: {kept}")
    return found


def _moment(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise PricesError(f"--at {at!r} is no date; write 2026-11-20 or 2026-11-20T14:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_list(listed: "PriceList", model: str) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from majordomo.price.listing import UNITS, quoted
    from majordomo.price.units import FEES

    units = [unit for unit in UNITS if any(unit in line.rates for line in listed.lines)]
    told = [unit for unit in units if unit not in FEES and not _says_nothing_new(listed, unit)]
    is_other = listed.entry and listed.entry != model
    title = f"{listed.provider} {model}" + (f" (as {listed.entry})" if is_other else "")
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("processing", no_wrap=True)
    table.add_column("prompt", no_wrap=True)
    for unit in told:
        table.add_column(f"{unit.replace('_', ' ')}\n{quoted(unit)}", justify="right")
    for line in listed.lines:
        prompt = "any" if line.above is None and not _has_longer(listed, line.processing) else _prompt(line.above)
        cells = [_usd(line.rates.get(unit)) + ("?" if unit in line.inexact else "") for unit in told]
        table.add_row(line.processing, prompt, *cells)
    console = Console()
    console.print(table)
    fees = [
        f"{unit.replace('_', ' ')} {_usd(listed.lines[0].rates.get(unit))} {quoted(unit)}"
        for unit in units
        if unit in FEES
    ]
    if fees:
        console.print("Besides: " + ", ".join(fees), highlight=False)
    if any(line.inexact for line in listed.lines):
        console.print("? cannot be charged exactly: requests that use it stay unpriced.")
    if listed.comments:
        console.print(listed.comments, style="dim", markup=False, highlight=False)
    for page in listed.pages:
        console.print(page, style="dim", markup=False, highlight=False)


def _says_nothing_new(listed: "PriceList", unit: str) -> bool:
    """Whether a finer unit costs what its coarser one does throughout, so that its column can be left out."""
    coarse = unit.rpartition("_")[0]
    return all(coarse in line.rates and line.rates.get(unit) == line.rates[coarse] for line in listed.lines)


def _has_longer(listed: "PriceList", processing: str) -> bool:
    return any(line.processing == processing and line.above is not None for line in listed.lines)


def _prompt(above: int | None) -> str:
    return "short" if above is None else f"> {above:,}"


def _usd(rate: Decimal | None) -> str:
    return "" if rate is None else format(rate.normalize(), "f")


def _list_json(listed: "PriceList") -> dict[str, Any]:
    from majordomo.price.listing import quoted

    return {
        "provider": listed.provider,
        "entry": listed.entry,
        "lines": [
            {
                "processing": line.processing,
                "above": line.above,
                "rates": {unit: {"usd": _usd(rate), "per": quoted(unit)} for unit, rate in line.rates.items()},
                "inexact": line.inexact,
            }
            for line in listed.lines
        ],
        "comments": listed.comments,
        "pages": listed.pages,
    }


def _print_changes(difference: "Changes") -> None:
    lines = [f"+ {provider} {model}" for provider, model in difference.added]
    lines += [f"- {provider} {model}" for provider, model in difference.removed]
    for change in difference.rates:
        doubt = "  (implausible)" if change.implausible else ""
        old, new = (_usd(rate) or "not listed" for rate in (change.old, change.new))
        lines.append(f"~ {change.provider} {change.model} {change.key}: {old} -> {new}{doubt}")
    for line in lines[:_SHOWN_CHANGES]:
        typer.echo(line)
    if len(lines) > _SHOWN_CHANGES:
        typer.echo(f"... and {len(lines) - _SHOWN_CHANGES} more; --json prints all")
    if not lines:
        typer.echo("No difference.")


def _changes_json(difference: "Changes") -> dict[str, Any]:
    return {
        "added": [{"provider": provider, "model": model} for provider, model in difference.added],
        "removed": [{"provider": provider, "model": model} for provider, model in difference.removed],
        "rates": [
            {
                "provider": change.provider,
                "model": change.model,
                "key": change.key,
                "old": _usd(change.old) or None,
                "new": _usd(change.new) or None,
                "implausible": change.implausible,
            }
            for change in difference.rates
        ],
        "doubts": difference.doubts(),
    }


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))
