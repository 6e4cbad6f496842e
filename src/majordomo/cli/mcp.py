"""``majordomo mcp``: lets a program that speaks the Model Context Protocol, such as Claude Code, ask what it cost."""

import importlib.util
import os
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

TOKEN_VARIABLE = "MAJORDOMO_TOKEN"  # noqa: S105 - its name


class McpError(Exception):
    """The server cannot start. The message says why and what to do."""


@app.command()
def mcp(
    url: Annotated[
        str, typer.Option("--url", envvar="MAJORDOMO_URL", help="Where the gateway is. [env: MAJORDOMO_URL]")
    ] = "http://127.0.0.1:7680",
) -> None:
    """Serve questions about usage as MCP tools on standard input and output; started by an MCP client.

    Asks the gateway with the token in MAJORDOMO_TOKEN (majordomo users token) and sees what its user may see.
    """
    if importlib.util.find_spec("mcp") is None:
        raise McpError("this needs the mcp package; install it with: pip install 'majordomo-gateway[mcp]'")
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise McpError(f"{TOKEN_VARIABLE} is not set; make a token with: majordomo users token USER --name mcp")
    from majordomo.report.mcp.gateway import Gateway
    from majordomo.report.mcp.server import make_server

    make_server(Gateway(url, token)).run("stdio")
