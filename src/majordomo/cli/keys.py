"""``majordomo keys``: gateway keys. A key's secret is shown when it is made or rotated, and never again."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, pairs, read_settings
from majordomo.cli.tables import cell, console, count, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.record.api_keys import ApiKey, NewKey

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

WhichKey = Annotated[str, typer.Argument(metavar="KEY", help="Id, or name if only one key has it.")]
OnHangupOption = Annotated[
    Literal["drain", "cut"] | None,
    typer.Option(
        "--on-hangup",
        help="When a caller hangs up: drain (learn the exact usage) or cut (estimate). Default: as the setting says.",
        show_default=False,
    ),
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="NAME=VALUE",
        help="Metadata of every request with this key, above whatever its callers say. Repeatable.",
        show_default=False,
    ),
]


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for, such as a team or an application.")],
    description: Annotated[str | None, typer.Option("--description", help="More about it.", show_default=False)] = None,
    on_hangup: OnHangupOption = None,
    metadata: MetadataOption = None,
    org: Annotated[str, typer.Option("--org", help="Whose it is: an organisation, by id or name.")] = "default",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and show it, once."""
    from majordomo.record import api_keys, users

    bound = pairs("--metadata", metadata)

    async def make(connection: Any) -> "NewKey":
        owner = await users.find_org(connection, org)
        return await api_keys.create(connection, name, description, on_hangup, metadata=bound, org_id=owner.id)

    _show_new(ask(read_settings(config, data_dir), make), as_json, "made")


@app.command(name="list")
def list_keys(
    org: Annotated[str | None, typer.Option("--org", help="Only this organisation's.", show_default=False)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """All keys, revoked ones included."""
    from majordomo.record import api_keys, users

    async def question(connection: Any) -> "list[ApiKey]":
        return await api_keys.list_all(connection, (await users.find_org(connection, org)).id if org else None)

    keys = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json([_fields(key) for key in keys])
        return
    if not keys:
        typer.echo("There are no keys yet. Make one: majordomo keys create --name NAME")
        return
    shown = table(
        "Name", "Id", "State", "Requests", "Last used (UTC)", "Created (UTC)", numbers=("Requests",), whole=("Id",)
    )
    for key in keys:
        shown.add_row(
            cell(key.name),
            str(key.id),
            _state(key),
            count(key.request_count),
            moment(key.last_used_at),
            moment(key.created_at),
        )
    console().print(shown)


@app.command()
def get(
    key: WhichKey, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """One key. Its secret cannot be shown: only its hash is kept."""
    from majordomo.record import api_keys

    found = ask(read_settings(config, data_dir), lambda connection: api_keys.find(connection, key))
    _show(found, as_json)


@app.command()
def update(
    key: WhichKey,
    name: Annotated[str | None, typer.Option("--name", help="A new name.", show_default=False)] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="A new description; '' takes it away.", show_default=False)
    ] = None,
    on_hangup: Annotated[
        Literal["drain", "cut", "default"] | None,
        typer.Option("--on-hangup", help="As in create; default: as the setting says.", show_default=False),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", metavar="NAME=VALUE", help="As in create; NAME= takes one away.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a key's name, description, metadata or what happens when its caller hangs up."""
    from majordomo.admit.metadata import metadata_name
    from majordomo.record import api_keys

    changes: dict[str, Any] = {
        field: value for field, value in (("name", name), ("description", description)) if value is not None
    }
    if on_hangup is not None:
        changes["on_hangup"] = None if on_hangup == "default" else on_hangup
    told = pairs("--metadata", metadata)
    if not changes and not told:
        raise typer.BadParameter("name something to change: --name, --description, --metadata or --on-hangup")

    async def change(connection: Any) -> "ApiKey":
        found = await api_keys.find(connection, key)
        if told:
            bound = found.metadata | {metadata_name(name) or name: value for name, value in told.items()}
            changes["metadata"] = {name: value for name, value in bound.items() if value}
        return await api_keys.update(connection, found, **changes)

    _show(ask(read_settings(config, data_dir), change), as_json)


@app.command()
def revoke(
    key: WhichKey, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Take a key back, for good. Running gateways refuse it within a second."""
    from majordomo.record import api_keys

    async def take_back(connection: Any) -> "ApiKey":
        return await api_keys.revoke(connection, await api_keys.find(connection, key))

    revoked = ask(read_settings(config, data_dir), take_back)
    if as_json:
        print_json(_fields(revoked))
    else:
        console().print(cell(f"The key {revoked.name!r} ({revoked.id}) is revoked. Its requests stay in the database."))


@app.command()
def rotate(
    key: WhichKey, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Give a key a new secret under the same id. The old secret is refused within a second."""
    from majordomo.record import api_keys

    async def renew(connection: Any) -> "NewKey":
        return await api_keys.rotate(connection, await api_keys.find(connection, key))

    _show_new(ask(read_settings(config, data_dir), renew), as_json, "rotated; its old secret no longer works")


def _fields(key: "ApiKey") -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(key)


def _show_new(made: "NewKey", as_json: bool, what: str) -> None:
    if as_json:
        key = _fields(made.key)
        print_json({"id": key.pop("id"), "name": key.pop("name"), "key": made.secret, **key})
        return
    out = console()
    out.print(cell(f"The key {made.key.name!r} ({made.key.id}) is {what}."))
    out.print("It is shown this once; only its hash is kept:\n")
    out.print(f"  {made.secret}\n", soft_wrap=True)
    out.print(f"Send it with each request:  X-Majordomo-Key: {made.secret}", soft_wrap=True)


def _show(key: "ApiKey", as_json: bool) -> None:
    if as_json:
        print_json(_fields(key))
        return
    shown = table("", " ")
    shown.show_header = False
    for name, value in (
        ("Name", cell(key.name)),
        ("Id", cell(key.id)),
        ("Description", cell(key.description)),
        ("State", cell(_state(key))),
        ("Metadata", cell(", ".join(f"{name}={value}" for name, value in key.metadata.items()) or None)),
        ("On hang-up", cell(key.on_hangup or "as the setting says")),
        ("Requests", cell(count(key.request_count))),
        ("Last used (UTC)", cell(moment(key.last_used_at))),
        ("Created (UTC)", cell(moment(key.created_at))),
        ("Revoked (UTC)", cell(moment(key.revoked_at))),
    ):
        shown.add_row(name, value)
    console().print(shown)


def _state(key: "ApiKey") -> str:
    return "active" if key.is_active else "revoked"
