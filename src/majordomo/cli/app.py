"""The ``majordomo`` command: finds the sub-command, turns errors into messages and exit codes.

A sub-command's module is imported when it is called, so that each starts fast and one that does not load leaves the
others working. Each module ``majordomo.cli.NAME`` holds an ``app``, a ``typer.Typer``.
"""

import importlib
import importlib.util
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

#: Sub-command and its line in ``majordomo --help``, in the order in which a newcomer needs them.
COMMANDS = {
    "serve": "Start the gateway, with an embedded PostgreSQL unless you have one.",
    "demo": "Show the product at work without any provider key.",
    "keys": "Make, list, change, revoke and rotate gateway keys.",
    "proxy-keys": "Stand-ins for providers' credentials.",
    "budgets": "Limits on what may be spent.",
    "usage": "What was used and what it cost.",
    "top": "What goes on just now, live.",
    "metadata": "Metadata keys seen in requests.",
    "users": "People who may sign in, their links and tokens.",
    "orgs": "Organisations, which never see one another's rows.",
    "prices": "Look up, refresh and compare prices.",
    "db": "The database: its DSN, a prompt, its schema.",
    "mcp": "Let Claude Code, or another MCP client, ask what it cost.",
    "doctor": "Check everything that can be wrong, and say what to do.",
}

#: What a shell reports of a command ended by Ctrl-C.
_INTERRUPTED = 130


def _module(command: str) -> str:
    return f"majordomo.cli.{command.replace('-', '_')}"


class LazyGroup(TyperGroup):
    """Loads a sub-command's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Those that are there."""
        return [name for name in COMMANDS if importlib.util.find_spec(_module(name))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The sub-command, loaded; None for one that does not exist."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(_module(cmd_name))
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.short_help = COMMANDS[cmd_name]
        return command


# Pretty tracebacks would show local variables, and with them keys and DSNs.
app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from majordomo import __version__

        typer.echo(f"majordomo {__version__}")
        raise typer.Exit


@app.callback()
def majordomo(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """An LLM gateway for exact cost attribution."""


def run(arguments: list[str] | None = None) -> None:
    """Run the command line. Ends the process: 0 done, 1 an error, 2 a wrong command line."""
    try:
        code: Any = typer.main.get_command(app).main(args=arguments, prog_name="majordomo", standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader (`head`, a pager) has what it wanted. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as wrong:
        if not type(wrong).__module__.startswith("majordomo."):
            raise
        # Our own errors say what happened, why, and what to do.
        typer.echo(f"majordomo: {wrong}", err=True)
        sys.exit(1)
    sys.exit(code)
