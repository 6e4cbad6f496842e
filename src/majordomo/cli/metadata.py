"""``majordomo metadata``: the keys that callers send as ``X-Majordomo-*`` headers, and which of them are indexed."""

import sys
from typing import Annotated, Any
from uuid import UUID

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, moment, print_json, table

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

NameArgument = Annotated[str, typer.Argument(metavar="KEY", help="A metadata key, such as Feature or User-Id.")]
ApiKeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only for this gateway key, by id or name. Repeatable.", show_default=False),
]


class MetadataError(Exception):
    """A metadata key cannot be switched. The message says why and what to do."""


@app.command(name="list")
def list_keys(
    key: ApiKeyOption = None, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Every metadata key that was ever sent: how often, with how many values, when last."""

    async def question(connection: Any) -> Any:
        return await metadata_keys().metadata_keys(connection, await _ids(connection, key))

    observed = ask(read_settings(config, data_dir), question)
    if as_json:
        import msgspec

        told = [{**msgspec.structs.asdict(one), "backfill": one.backfill, "progress": one.progress} for one in observed]
        print_json({"metadata_keys": told, "numRecords": len(observed)})
        return
    if not observed:
        typer.echo("No metadata yet. Send some with a request, as a header: X-Majordomo-Feature: first-try")
        return
    columns = ("Metadata key", "Gateway key", "Active", "Requests", "Values", "Last seen (UTC)")
    shown = table(*columns, numbers=("Requests", "Values"), whole=("Last seen (UTC)",))
    for one in observed:
        shown.add_row(
            cell(one.key_name),
            cell(one.api_key_name or one.majordomo_api_key_id),
            cell(_active(one)),
            count(one.request_count),
            f"~ {count(one.approx_cardinality)}",
            moment(one.last_seen_at),
        )
    out = console()
    out.print(shown)
    out.print(cell("Cost by one of them: majordomo usage by KEY. Index one: majordomo metadata activate KEY.", "dim"))


@app.command()
def activate(
    name: NameArgument,
    key: ApiKeyOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also if it has very many values.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stay until older requests are filled in, too.")
    ] = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Index a metadata key: fast @> queries on indexed_metadata, and quick reports. Older requests are filled in."""
    from majordomo.cli.metadata_filling import fill_in

    settings = read_settings(config, data_dir)

    async def change(connection: Any) -> tuple[str, list[UUID]]:
        wanted, ids = await _wanted(connection, name, key)
        await _warn(connection, wanted, settings.many_metadata_values, confirmed=yes)
        changed = await metadata_keys().activate(connection, wanted, ids)
        await _must_be_sent(connection, wanted, ids)
        if wait:
            await fill_in(connection, wanted, ids, quiet=as_json)
        return wanted, changed

    wanted, changed = ask(settings, change)
    if as_json:
        print_json({"key_name": wanted, "is_active": True, "majordomo_api_key_ids": changed})
        return
    out = console()
    many = "" if len(changed) == 1 else f" for {len(changed)} gateway keys"
    if changed:
        out.print(cell(f"The metadata key {wanted} is active from now on{many}."))
    else:
        out.print(cell(f"The metadata key {wanted} is active already."))
    if wait:
        out.print(cell("All requests recorded before are in its index, too."))
    else:
        out.print(cell("Requests recorded before are filled in while the gateway runs; see: majordomo metadata list"))


@app.command()
def deactivate(
    name: NameArgument,
    key: ApiKeyOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """No longer index a metadata key. It is still recorded in raw_metadata."""

    async def change(connection: Any) -> tuple[str, list[UUID]]:
        wanted, ids = await _wanted(connection, name, key)
        changed = await metadata_keys().deactivate(connection, wanted, ids)
        await _must_be_sent(connection, wanted, ids)
        return wanted, changed

    wanted, changed = ask(read_settings(config, data_dir), change)
    if as_json:
        print_json({"key_name": wanted, "is_active": False, "majordomo_api_key_ids": changed})
        return
    many = "" if len(changed) == 1 else f" for {len(changed)} gateway keys"
    said = f"is inactive from now on{many}" if changed else "is inactive already"
    console().print(cell(f"The metadata key {wanted} {said}."))


def metadata_keys() -> Any:
    """The questions, imported when one is asked."""
    from majordomo.report.questions import metadata_keys as asked

    return asked


async def _wanted(connection: Any, name: str, keys: list[str] | None) -> tuple[str, tuple[UUID, ...] | None]:
    from majordomo.admit.metadata import canonical

    return canonical(name.strip().encode()), await _ids(connection, keys)


async def _must_be_sent(connection: Any, wanted: str, ids: tuple[UUID, ...] | None) -> None:
    if not await metadata_keys().metadata_keys(connection, ids, None, wanted):
        raise MetadataError(f"no request has carried the metadata key {wanted!r}; see: majordomo metadata list")


async def _warn(connection: Any, wanted: str, most: int, *, confirmed: bool) -> None:
    """Ask about a key with very many values, or refuse where nobody can be asked."""
    known = await metadata_keys().metadata_keys(connection, None, None, wanted)
    values = max((one.approx_cardinality for one in known if not one.is_active), default=0)
    if values <= most or confirmed:
        return
    warning = f"{wanted} has about {values:,} different values: its index will be large, and it will have no sums"
    if not sys.stdin.isatty():
        raise MetadataError(f"{warning}; if that is what you want, add --yes")
    if not typer.confirm(f"{warning}. Activate it?"):
        raise MetadataError("nothing was changed")


def _active(one: Any) -> str:
    if not one.is_active:
        return "no"
    words = ["yes" if one.rollup_stopped_at is None else "indexed only (too many values to sum)"]
    if one.backfill != "done":
        words.append(f"older requests {one.progress:.0%}")
    return ", ".join(words)


async def _ids(connection: Any, keys: list[str] | None) -> tuple[UUID, ...] | None:
    from majordomo.record import api_keys

    if not keys:
        return None
    return tuple([(await api_keys.find(connection, key)).id for key in keys])
