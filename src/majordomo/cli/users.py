"""``majordomo users``: the people who may sign in, their one-time links, and tokens for their programs."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.record.users import User

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

WhichUser = Annotated[str, typer.Argument(metavar="USER", help="Id or mail address.")]
RoleOption = Annotated[
    Literal["admin", "member"],
    typer.Option("--role", help="admin: may change keys, budgets and people; member: may look."),
]


@app.command(name="list")
def list_users(
    org: Annotated[str | None, typer.Option("--org", help="Only this organisation's.", show_default=False)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Everybody who may sign in, or once could."""
    from majordomo.record import users

    async def question(connection: Any) -> "list[User]":
        return await users.list_all(connection, (await users.find_org(connection, org)).id if org else None)

    found = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("There are no users yet. The first start of the gateway makes one; or: majordomo users create")
        return
    shown = table("Address", "Name", "Role", "State", "Last signed in (UTC)", "Id", whole=("Id",))
    for user in found:
        shown.add_row(
            cell(user.email), cell(user.name), user.role, _state(user), moment(user.last_sign_in_at), str(user.id)
        )
    console().print(shown)


@app.command()
def create(
    email: Annotated[str, typer.Argument(metavar="ADDRESS", help="Mail address; what they sign in with.")],
    name: Annotated[str | None, typer.Option("--name", help="Default: the address.", show_default=False)] = None,
    role: RoleOption = "member",
    org: Annotated[str, typer.Option("--org", help="Organisation, by id or name.")] = "default",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a user and a link with which they set their password."""
    from majordomo.record import sign_in, users

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> "tuple[User, str]":
        wanted = await users.find_org(connection, org)
        made = await users.create(connection, wanted.id, email, name or email, role)
        return made, await sign_in.make_link(connection, made)

    user, secret = ask(settings, question)
    _show_link(user, settings.page_url(f"/sign-in#{secret}"), as_json)


@app.command()
def link(
    user: WhichUser, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """A new one-time link: for a forgotten password, or one that was never followed."""
    from majordomo.record import sign_in, users

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> "tuple[User, str]":
        found = await users.find(connection, user)
        return found, await sign_in.make_link(connection, found)

    found, secret = ask(settings, question)
    _show_link(found, settings.page_url(f"/sign-in#{secret}"), as_json)


@app.command()
def update(
    user: WhichUser,
    email: Annotated[str | None, typer.Option("--email", help="A new address.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--name", help="A new name.", show_default=False)] = None,
    role: Annotated[
        Literal["admin", "member"] | None, typer.Option("--role", help="As in create.", show_default=False)
    ] = None,
    active: Annotated[
        bool | None,
        typer.Option(
            "--active/--inactive", help="Inactive: signed out everywhere, tokens refused.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a user."""
    from majordomo.record import users

    if email is None and name is None and role is None and active is None:
        raise typer.BadParameter("name something to change: --email, --name, --role, --active or --inactive")

    async def question(connection: Any) -> "User":
        found = await users.find(connection, user)
        return await users.update(connection, found, email=email, name=name, role=role, is_active=active)

    changed = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json(changed)
    else:
        console().print(cell(f"{changed.email} is now {changed.name!r}, {changed.role}, {_state(changed)}."))


@app.command()
def token(
    user: WhichUser,
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Days it is good for.", show_default="for ever")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a token for a program that calls /api/v1 as this user, and show it, once."""
    import datetime as dt

    from majordomo.record import sign_in, users

    until = None if days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=days)

    async def question(connection: Any) -> Any:
        return await sign_in.make_token(connection, await users.find(connection, user), name, until)

    secret, made = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json({"id": made.id, "name": made.name, "token": secret, "expires_at": made.expires_at})
        return
    out = console()
    out.print("The token is shown this once; only its hash is kept:\n")
    out.print(f"  {secret}\n", soft_wrap=True)
    out.print("Send it with each call:  Authorization: Bearer TOKEN")


def _show_link(user: "User", url: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": user.id, "email": user.email, "link": url})
        return
    out = console()
    out.print(cell(f"{user.email} ({user.role}) sets a password with this link, which works once, within three days:"))
    out.print(f"\n  {url}\n", soft_wrap=True)


def _state(user: "User") -> str:
    if not user.is_active:
        return "inactive"
    return "active" if user.has_password else "has not followed the link yet"
