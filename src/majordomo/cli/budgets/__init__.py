"""``majordomo budgets``: limits on what may be spent, made, changed, looked at, and tried out on the past."""

import typer

from majordomo.cli.budgets.changes import delete, pause, raise_limit, resume
from majordomo.cli.budgets.definition import create, update
from majordomo.cli.budgets.sight import list_budgets, near, refusals, show
from majordomo.cli.budgets.trial import simulate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# In the order of a budget's life, which is the order of ``--help``.
app.command()(create)
app.command(name="list")(list_budgets)
app.command()(show)
app.command()(near)
app.command()(refusals)
app.command()(update)
app.command(name="raise")(raise_limit)
app.command()(pause)
app.command()(resume)
app.command()(delete)
app.command()(simulate)
