"""``majordomo-companion exec``: a command behind a proxy of its own, from its start to its end."""

from typing import Annotated

import typer

from majordomo.companion.order import (
    ApiKeyOption,
    ApiKeyStdinOption,
    FailClosedOption,
    GatewayOption,
    MetadataOption,
    PortOption,
    SessionNameOption,
    StandaloneOption,
    WorkdirOption,
    read_order,
)

app = typer.Typer(add_completion=False)


@app.command(context_settings={"allow_interspersed_args": False})
def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to run, with its arguments.")],
    gateway: GatewayOption = "http://localhost:7680",
    api_key: ApiKeyOption = None,
    api_key_stdin: ApiKeyStdinOption = False,
    port: PortOption = 0,
    workdir: WorkdirOption = None,
    metadata: MetadataOption = None,
    session_name: SessionNameOption = None,
    standalone: StandaloneOption = False,
    fail_closed: FailClosedOption = False,
) -> None:
    """Register a session, run the command behind a local proxy, and end the session when the command ends.

    The command keeps the terminal; its exit code is returned. One line at the end says what it used.
    """
    from majordomo.companion.execute import execute

    order = read_order(
        gateway=gateway,
        api_key=api_key,
        api_key_stdin=api_key_stdin,
        port=port,
        workdir=workdir,
        pairs=metadata,
        session_name=session_name,
        standalone=standalone,
        fail_closed=fail_closed,
    )
    raise typer.Exit(execute(order, command))
