"""``majordomo orgs``: organisations, which never see one another's rows."""

from typing import Annotated

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, moment, print_json, table

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command(name="list")
def list_orgs(as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """All organisations. An installation that needs no others has one, named default."""
    from majordomo.record import users

    found = ask(read_settings(config, data_dir), users.list_orgs)
    if as_json:
        print_json(found)
        return
    shown = table("Name", "Id", "Created (UTC)", whole=("Id",))
    for org in found:
        shown.add_row(cell(org.name), str(org.id), moment(org.created_at))
    console().print(shown)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, which no other has.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make an organisation."""
    from majordomo.record import users

    made = ask(read_settings(config, data_dir), lambda connection: users.create_org(connection, name))
    if as_json:
        print_json(made)
    else:
        console().print(cell(f"The organisation {made.name!r} ({made.id}) is made."))
        console().print(cell(f"Its first admin: majordomo users create ADDRESS --role admin --org {made.id}"))
