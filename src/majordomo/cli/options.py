"""Options that many commands share, and what they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from majordomo.settings import Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; else majordomo.toml here or in your configuration directory.",
        show_default=False,
    ),
]

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Journal, embedded database, prices. [env: MAJORDOMO_DATA_DIR]", show_default=False
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def pairs(option: str, given: "list[str] | None") -> dict[str, str]:
    """``NAME=VALUE`` entries of a repeatable option.

    Raises:
        typer.BadParameter: one has no equals sign or no name.
    """
    found = {}
    for entry in given or []:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{entry!r}: expected NAME=VALUE", param_hint=option)
        found[name.strip()] = value
    return found


def read_settings(config: Path | None = None, data_dir: Path | None = None, **flags: Any) -> "Settings":
    """Flags, then environment, then file, then defaults.

    Raises:
        SettingsError: with every wrong setting at once.
    """
    from majordomo import logs
    from majordomo.settings import load_settings

    logs.set_up("warning")  # a command speaks for itself; `serve` sets up its own
    return load_settings(config, data_dir=data_dir, **flags)
