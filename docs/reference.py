"""The reference pages that are made from the code: ``docs/settings.md`` and ``docs/cli.md``.

``python docs/reference.py`` writes them; ``--check`` only compares, and exits with 1 if a page is out of step.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
import typer.main
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from majordomo.settings import CONFIG_NAME, ENV_PREFIX, KIB, MIB, ProviderSettings, Settings

DOCS = Path(__file__).parent
SECTION_MARK = "    # "  # a comment of its own line in the class body of Settings opens a section of the page
COMMON_OPTIONS = ("help", "install_completion", "show_completion")

SETTINGS_PREAMBLE = f"""\
# Settings

<!-- Made from src/majordomo/settings.py by `make docs`; do not edit. -->

A value comes from the first of these that gives one: a command-line flag (see [cli.md](cli.md)), the environment
(`{ENV_PREFIX}` and the name in capitals), the file `{CONFIG_NAME}`, the default. The file is the one named with
`--config`, else the working directory's, else the one in the user's configuration directory;
[an example](../majordomo.toml.example) is in the source tree. Wrong values are all reported at once, each with its key
and what is allowed, and nothing is started. Sizes are bytes, times are seconds, unless the name says otherwise.
"""

TABLE_HEAD = """
| setting | environment | default | allowed | meaning |
|---|---|---|---|---|
"""

PROVIDER_PREAMBLE = f"""
## One provider

Under `[providers.NAME]` in `{CONFIG_NAME}`, or `{ENV_PREFIX}PROVIDERS__NAME__…` in the environment. `NAME` is a
provider that is built in (see [behaviour.md](behaviour.md#providers-and-paths)), or a new one, which then speaks
OpenAI's APIs and is chosen with `X-Majordomo-Provider: NAME`.
{TABLE_HEAD}"""

CLI_PREAMBLE = """\
# Command line

<!-- Made from src/majordomo/cli/ and src/majordomo/companion/commands/ by `make docs`; do not edit. -->

Tables are for people, `--json` is for programs. Errors go to standard error and say what to do next; the exit code is
1, or 2 for wrong usage. A command that needs the embedded database uses the running one, or starts it for its own
duration.
"""


COMPANION_PREAMBLE = """\
What it is for, and what it does: [companion.md](companion.md).
"""


def main(arguments: list[str]) -> int:
    """Write or check the pages; 1 if a checked page differs from the code."""
    stale = 0
    for name, text in pages().items():
        path = DOCS / name
        if arguments == ["--check"]:
            if not path.is_file() or path.read_text("utf-8") != text:
                print(f"docs/{name} is out of step with the code; run `make docs`", file=sys.stderr)
                stale = 1
        else:
            path.write_text(text, "utf-8")
            print(f"docs/{name}")
    return stale


def pages() -> dict[str, str]:
    """File name to text of every page that is made from the code."""
    return {"settings.md": settings_page(), "cli.md": cli_page()}


# -- settings ---------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every setting with its environment variable, type, default, bounds and meaning, in the order of the code."""
    sections = _sections()
    lines = SETTINGS_PREAMBLE.splitlines()
    for name, field in Settings.model_fields.items():
        if name in sections:
            lines += ["", f"## {sections[name]}", *TABLE_HEAD.splitlines()]
        lines.append(_row(name, f"{ENV_PREFIX}{name.upper()}", field))
    lines += PROVIDER_PREAMBLE.splitlines()
    for name, field in ProviderSettings.model_fields.items():
        lines.append(_row(name, f"{ENV_PREFIX}PROVIDERS__NAME__{name.upper()}", field))
    return "\n".join(lines) + "\n"


def _sections() -> dict[str, str]:
    """The first setting of each section, with the section's title as the code's comments give it."""
    found: dict[str, str] = {}
    title = None
    for line in Path(sys.modules[Settings.__module__].__file__ or "").read_text("utf-8").splitlines():
        if line.startswith(SECTION_MARK):
            title = line.removeprefix(SECTION_MARK)
        elif title and (name := line.strip().partition(":")[0]) in Settings.model_fields:
            found.setdefault(name, title)
            title = None
    return found


def _row(name: str, variable: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", f"`{variable}`", _default(field), _allowed(field), field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "none" if field.annotation is not Path else "the user's data directory"
    if field.default is None or field.default is PydanticUndefined:
        return "unset"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`" + _in_words(field.default)


def _in_words(value: Any) -> str:
    """`65536` is `64 KiB` to a reader; small numbers speak for themselves."""
    if not isinstance(value, int) or value < KIB or value % KIB:
        return ""
    return f" ({value // MIB} MiB)" if value % MIB == 0 else f" ({value // KIB} KiB)"


def _allowed(field: FieldInfo) -> str:
    base = _type_name(field.annotation)
    bounds = []
    for rule in field.metadata:
        for sign, word in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            if (bound := getattr(rule, sign, None)) is not None:
                bounds.append(f"{word} {bound:g}" if isinstance(bound, float) else f"{word} {bound}")
    return ", ".join([base, *bounds])


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return _type_name(next(kind for kind in get_args(annotation) if kind is not type(None)))
    if get_origin(annotation) is dict:
        return "table of providers"
    names: dict[Any, str] = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "`true` or `false`",
        Path: "path",
        SecretStr: "text (secret)",
    }
    if annotation in names:
        return names[annotation]
    return (
        annotation.__name__ if isinstance(annotation, type) and issubclass(annotation, BaseModel) else str(annotation)
    )


# -- command line -----------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its arguments and options, walked from the Typer application."""
    from majordomo.cli.app import app
    from majordomo.companion import cli as companion

    root = typer.main.get_command(app)
    lines = CLI_PREAMBLE.splitlines()
    for path, command in _commands("majordomo", root):
        lines += _command_lines(path, command)
    lines += ["", "# majordomo-companion", "", *COMPANION_PREAMBLE.splitlines()]
    for name in companion.available():
        parser = importlib.import_module(f"majordomo.companion.commands.{name}").parser()
        lines += _parser_lines(parser)
    return "\n".join(lines) + "\n"


def _parser_lines(parser: argparse.ArgumentParser) -> list[str]:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=200)
    usage = parser.usage or f"{parser.prog} [options]"
    lines = ["", f"## `{parser.prog}`", "", _plain(parser.description or ""), "", "```sh", usage, "```"]
    options = [one for one in parser._actions if one.option_strings and one.dest != "help"]
    if options:
        lines += ["", "| | meaning |", "|---|---|"]
    for one in options:
        names = ", ".join(one.option_strings)
        value = f" {one.metavar}" if one.nargs != 0 and one.metavar else ""
        meaning = parser._get_formatter()._expand_help(one) + (" (required)" if one.required else "")
        lines.append(f"| `{names}{value}` | {_plain(meaning)} |")
    return lines


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if not child.hidden:
            yield from _commands(f"{path} {name}", child)


def _command_lines(path: str, command: Any) -> list[str]:
    context = click.Context(command, info_name=path)
    parameters = [one for one in command.get_params(context) if _of_its_own(one)]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    options = [one for one in parameters if one.param_type_name == "option"]
    usage = " ".join([path, *(_metavar(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    lines = ["", f"## `{path}`", "", _plain(command.help or ""), "", "```sh", usage, "```"]
    if arguments or options:
        lines += ["", "| | default | meaning |", "|---|---|---|"]
        for one in [*arguments, *options]:
            shown = _metavar(one) if one in arguments else ", ".join([*one.opts, *one.secondary_opts])
            lines.append(
                f"| `{shown}` | {_option_default(one)} | {_plain(getattr(one, 'help', None) or '')} |".replace(
                    "  ", " "
                )
            )
    return lines


def _of_its_own(parameter: Any) -> bool:
    """Not what every command has, nor what is hidden."""
    return not getattr(parameter, "hidden", False) and parameter.name not in COMMON_OPTIONS


def _metavar(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper().strip("[]")
    return name if argument.required else f"[{name}]"


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if isinstance(shown := getattr(parameter, "show_default", None), str):
        return f"`{shown}`" if " " not in shown else shown
    # Absent, switched off, empty and computed defaults say nothing to a reader.
    if default in (None, False, "", ()) or callable(default) or type(default).__name__ == "Sentinel":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _plain(text: str) -> str:
    """Help text as one paragraph of Markdown per paragraph of help."""
    paragraphs = text.replace("\f", "\n").replace("\b", "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
