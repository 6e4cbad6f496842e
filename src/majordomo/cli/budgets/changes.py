"""``majordomo budgets raise``, ``pause``, ``resume`` and ``delete``."""

from typing import Annotated, Any, Literal

import typer

from majordomo.cli.budgets.moments import moment_from_now
from majordomo.cli.budgets.options import ReasonOption, WhichBudget
from majordomo.cli.budgets.views import budget_id, stand, tell
from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, print_json


def raise_limit(
    budget: WhichBudget,
    by: Annotated[str, typer.Option("--by", help="Added to the limit.")],
    until: Annotated[
        str,
        typer.Option("--until", help="How long: 2h, 3d, or a moment such as 2026-12-31T18:00 (UTC unless it says so)."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; the history keeps it.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Lift a limit for a while."""
    from majordomo.budget import store

    async def lift(connection: Any) -> Any:
        found = await store.find(connection, budget)
        raised = await store.raise_limit(connection, found, by, moment_from_now(until), who(), reason)
        return raised, await stand(connection, raised)

    raised, stands = ask(read_settings(config, data_dir), lift)
    tell(raised, stands, as_json)


def pause(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Enforce a budget no more for the time being; it is counted on."""
    _switch("pause", budget, reason, as_json, config, data_dir)


def resume(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Enforce a paused budget again."""
    _switch("resume", budget, reason, as_json, config, data_dir)


def delete(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Take a budget away. Its history stays."""
    from majordomo.budget import store

    async def take_away(connection: Any) -> Any:
        found = await store.find(connection, budget)
        await store.delete(connection, found, who(), reason)
        return found

    gone = ask(read_settings(config, data_dir), take_away)
    if as_json:
        print_json({"id": budget_id(gone), "name": gone.name, "deleted": True})
    else:
        console().print(cell(f"The budget {gone.name!r} is deleted; nothing is refused by it from now on."))


def _switch(
    what: Literal["pause", "resume"], budget: str, reason: str | None, as_json: bool, config: Any, data_dir: Any
) -> None:
    from majordomo.budget import store

    async def switch(connection: Any) -> Any:
        found = await store.find(connection, budget)
        act = store.pause if what == "pause" else store.resume
        changed = await act(connection, found, who(), reason)
        return changed, await stand(connection, changed)

    changed, stands = ask(read_settings(config, data_dir), switch)
    tell(changed, stands, as_json)


def who() -> str:
    """Who stands in the history."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # an account without a name
        return "command line"
