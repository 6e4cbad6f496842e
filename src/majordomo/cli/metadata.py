"""``majordomo metadata``: the keys that callers send as ``X-Majordomo-*`` headers, and which of them are indexed."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.settings import Settings

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
    from majordomo.report.questions.metadata_keys import metadata_keys

    async def question(connection: Any) -> Any:
        return await metadata_keys(connection, await _ids(connection, key))

    observed = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json({"metadata_keys": observed, "numRecords": len(observed)})
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
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Index a metadata key from now on: fast @> queries on indexed_metadata, and quick reports."""
    _switch(read_settings(config, data_dir), name, key, as_json, on=True)


@app.command()
def deactivate(
    name: NameArgument,
    key: ApiKeyOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """No longer index a metadata key. It is still recorded in raw_metadata."""
    _switch(read_settings(config, data_dir), name, key, as_json, on=False)


def _switch(settings: "Settings", name: str, keys: list[str] | None, as_json: bool, *, on: bool) -> None:
    from majordomo.admit.metadata import canonical
    from majordomo.report.questions import metadata_keys

    wanted = canonical(name.strip().encode())
    word = "active" if on else "inactive"

    async def change(connection: Any) -> list[UUID]:
        ids = await _ids(connection, keys)
        switch = metadata_keys.activate if on else metadata_keys.deactivate
        changed = await switch(connection, wanted, ids)
        if not changed:
            known = [one for one in await metadata_keys.metadata_keys(connection, ids) if one.key_name == wanted]
            if not known:
                raise MetadataError(f"no request has carried the metadata key {wanted!r}; see: majordomo metadata list")
            raise MetadataError(f"the metadata key {wanted!r} is {word} already")
        return changed

    changed = ask(settings, change)
    if as_json:
        print_json({"key_name": wanted, "is_active": on, "majordomo_api_key_ids": changed})
        return
    out = console()
    many = "" if len(changed) == 1 else f" for {len(changed)} gateway keys"
    out.print(cell(f"The metadata key {wanted} is {word} from now on{many}."))
    if on:
        out.print(
            cell(
                "Requests recorded before are not filled in: in those, ask raw_metadata. Reports find them either way.",
                "yellow",
            )
        )


def _active(one: Any) -> str:
    if not one.is_active:
        return "no"
    return "yes" if one.rollup_stopped_at is None else "indexed only (too many values to sum)"


async def _ids(connection: Any, keys: list[str] | None) -> tuple[UUID, ...] | None:
    from majordomo.record import api_keys

    if not keys:
        return None
    return tuple([(await api_keys.find(connection, key)).id for key in keys])
