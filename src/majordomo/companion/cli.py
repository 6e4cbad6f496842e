"""The ``majordomo-companion`` command: finds the sub-command, turns errors into one line and an exit code.

A sub-command's module is imported when it is called. Each module ``majordomo.companion.commands.NAME`` holds an
``app``, a ``typer.Typer``; hyphens in a name are underscores there.
"""

import importlib
import importlib.util
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

#: Sub-command and its line in ``majordomo-companion --help``. One whose module is missing is not shown.
COMMANDS = {
    "exec": "Start the proxy, run a command behind it, stop when the command ends.",
    "start": "Start the proxy and leave it running.",
    "stop": "Stop a proxy that `start` left running.",
    "setup": "Write the gateway into Claude Code's settings: the way without a companion.",
    "doctor": "Say why requests do not appear, and what to do.",
    "deliver": "Hand locally recorded requests to a gateway.",
}

#: What a shell reports of a command ended by Ctrl-C.
_INTERRUPTED = 130


def _module(name: str) -> str:
    return f"majordomo.companion.commands.{name.replace('-', '_')}"


class LazyGroup(TyperGroup):
    """Loads a sub-command's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Those that are there."""
        return [name for name in COMMANDS if importlib.util.find_spec(_module(name))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The sub-command, loaded; None for one that does not exist."""
        if cmd_name not in COMMANDS or importlib.util.find_spec(_module(cmd_name)) is None:
            return None
        module = importlib.import_module(_module(cmd_name))
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.short_help = COMMANDS[cmd_name]
        return command


# Pretty tracebacks would show local variables, and with them keys.
app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from majordomo import __version__

        typer.echo(f"majordomo-companion {__version__}")
        raise typer.Exit


@app.callback()
def companion(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """The local proxy beside Claude Code: sessions, exact cost, and no request lost while the gateway is away."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Ends the process: 0 done, 1 an error, 2 a wrong command line."""
    try:
        code: Any = typer.main.get_command(app).main(
            args=arguments, prog_name="majordomo-companion", standalone_mode=True
        )
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
        typer.echo(f"majordomo-companion: {wrong}", err=True)
        sys.exit(getattr(wrong, "exit_code", 1))
    sys.exit(code)
