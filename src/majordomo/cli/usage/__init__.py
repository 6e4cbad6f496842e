"""``majordomo usage``: every question about what was used and what it cost; the same as the API answers."""

import typer

from majordomo.cli.usage.dimensions import dimensions
from majordomo.cli.usage.export import export
from majordomo.cli.usage.requests import errors, request, requests
from majordomo.cli.usage.runs import run, runs
from majordomo.cli.usage.sessions import session, sessions
from majordomo.cli.usage.sums import by, summary, timeseries
from majordomo.cli.usage.times import latency
from majordomo.cli.usage.what_if import what_if

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# From the whole to the single request, which is the order of ``--help``.
app.command()(summary)
app.command()(by)
app.command()(timeseries)
app.command()(requests)
app.command()(request)
app.command()(errors)
app.command()(latency)
app.command()(runs)
app.command()(run)
app.command(name="what-if")(what_if)
app.command()(sessions)
app.command()(session)
app.command()(dimensions)
app.command()(export)
