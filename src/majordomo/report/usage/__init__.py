"""Routes under ``/api/v1/usage``: what was used, by whom, for how much; one file for each kind of question."""

from majordomo.report.usage import (
    caching,
    claude_code,
    dimensions,
    errors,
    export,
    latency,
    live,
    requests,
    runs,
    sums,
    what_if,
)

routers = tuple(
    part.router
    for part in (sums, requests, live, errors, latency, caching, runs, claude_code, what_if, dimensions, export)
)
