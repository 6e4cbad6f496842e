"""``majordomo proxy-keys``: stand-ins that callers send as a provider's credential, and the real ones behind them."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.record.proxy_keys import NewProxyKey, ProxyKey

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

WhichKey = Annotated[str, typer.Argument(metavar="KEY", help="Id, or name if only one active proxy key has it.")]
ProviderArgument = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="As in X-Majordomo-Provider: anthropic, openai.")
]


class ProviderError(Exception):
    """There is no such provider. The message says which there are."""


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Who is to have it, such as a team.")],
    description: Annotated[str | None, typer.Option("--description", help="More about it.", show_default=False)] = None,
    org: Annotated[str, typer.Option("--org", help="Whose it is: an organisation, by id or name.")] = "default",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a proxy key and show it, once. It stands for nothing until `set` gives it a provider's credential."""
    from majordomo.record import proxy_keys, users

    async def make(connection: Any) -> "NewProxyKey":
        return await proxy_keys.create(connection, name, description, (await users.find_org(connection, org)).id)

    _show_new(ask(read_settings(config, data_dir), make), as_json)


@app.command(name="list")
def list_keys(as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """All proxy keys, revoked ones included."""
    from majordomo.record import proxy_keys

    keys = ask(read_settings(config, data_dir), proxy_keys.list_all)
    if as_json:
        print_json(keys)
        return
    if not keys:
        typer.echo("There are no proxy keys yet. Make one: majordomo proxy-keys create --name NAME")
        return
    shown = table("Name", "Id", "State", "Providers", "Created (UTC)", whole=("Id",))
    for key in keys:
        state = "active" if key.is_active else "revoked"
        shown.add_row(
            cell(key.name), str(key.id), state, cell(", ".join(key.providers) or None), moment(key.created_at)
        )
    console().print(shown)


@app.command(name="set")
def set_credential(
    key: WhichKey,
    provider: ProviderArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Store a provider's real credential behind a proxy key, encrypted; asked for, or read from standard input."""
    from majordomo.admit.vault import Vault
    from majordomo.places import Places
    from majordomo.record import proxy_keys

    settings = read_settings(config, data_dir)
    _must_be_known(settings, provider)
    if sys.stdin.isatty():
        credential = typer.prompt(f"Credential for {provider}", hide_input=True)
    else:
        credential = sys.stdin.readline()
    vault = Vault(Places(settings.data_dir).vault_secret)

    async def put(connection: Any) -> "ProxyKey":
        found = await proxy_keys.find(connection, key)
        return await proxy_keys.put_credential(connection, found, provider, credential, vault)

    _show(ask(settings, put), as_json, f"now stands for your credential at {provider}")


@app.command(name="unset")
def unset_credential(
    key: WhichKey,
    provider: ProviderArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Forget a provider's credential behind a proxy key."""
    from majordomo.record import proxy_keys

    async def drop(connection: Any) -> "ProxyKey":
        return await proxy_keys.drop_credential(connection, await proxy_keys.find(connection, key), provider)

    _show(ask(read_settings(config, data_dir), drop), as_json, f"no longer stands for anything at {provider}")


@app.command()
def revoke(
    key: WhichKey, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Take a proxy key back, for good, and delete the credentials behind it. Refused within a second."""
    from majordomo.record import proxy_keys

    async def take_back(connection: Any) -> "ProxyKey":
        return await proxy_keys.revoke(connection, await proxy_keys.find(connection, key))

    _show(ask(read_settings(config, data_dir), take_back), as_json, "is revoked")


@app.command()
def rotate(
    key: WhichKey, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Give a proxy key a new secret, with the same credentials behind it. The old one is refused within a second."""
    from majordomo.record import proxy_keys

    async def renew(connection: Any) -> "NewProxyKey":
        return await proxy_keys.rotate(connection, await proxy_keys.find(connection, key))

    _show_new(ask(read_settings(config, data_dir), renew), as_json)


def _must_be_known(settings: Any, provider: str) -> None:
    from majordomo.forward.providers import provider_names

    known = provider_names(settings.providers)
    if provider not in known:
        raise ProviderError(f"there is no provider {provider!r}; there are: {', '.join(sorted(known))}")


def _show_new(made: "NewProxyKey", as_json: bool) -> None:
    import msgspec

    if as_json:
        key = msgspec.structs.asdict(made.key)
        print_json({"id": key.pop("id"), "name": key.pop("name"), "key": made.secret, **key})
        return
    out = console()
    out.print(cell(f"The proxy key {made.key.name!r} ({made.key.id}):"))
    out.print("It is shown this once; only its hash is kept:\n")
    out.print(f"  {made.secret}\n", soft_wrap=True)
    out.print(f"Send it where the provider's own credential goes, as in: x-api-key: {made.secret}", soft_wrap=True)
    if not made.key.providers:
        out.print(cell(f"Say what it stands for: majordomo proxy-keys set {made.key.id} anthropic", "yellow"))


def _show(key: "ProxyKey", as_json: bool, what: str) -> None:
    if as_json:
        print_json(key)
    else:
        console().print(cell(f"The proxy key {key.name!r} ({key.id}) {what}."))
