"""Agent runs: the requests of one ``X-Majordomo-Trace-Id``, and what each part of the run cost, as a tree."""

import datetime as dt
from typing import Any, Final
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.cursors import read_cursor, write_cursor
from majordomo.report.questions.relations import AMOUNTS_OF_ROWS, Parameters, sums
from majordomo.report.questions.usage import Usage
from majordomo.report.sql import question

DEFAULT_RUNS: Final = 50
MOST_RUNS: Final = 200  # of one page
#: Requests that are looked at first for each run of a page; more of them if these are of too few runs.
_REQUESTS_A_RUN: Final = 4
#: Spans of one run that are told; what a caller names more are added to the run's total all the same.
MOST_SPANS: Final = 2000
#: A path that goes deeper ends here: the rest of it is the last span's name.
MOST_DEPTH: Final = 32


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as far as its requests are in a scope."""

    run: str
    first_at: dt.datetime
    last_at: dt.datetime  # when its last request came
    ended_at: dt.datetime  # when its last reply ended
    spans: int
    usage: Usage


class Runs(msgspec.Struct, frozen=True):
    """Some runs, the last seen first, and where the next page begins."""

    runs: list[Run]
    next_cursor: str | None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a run. ``path`` '' is the run itself; a span that only has others below it made no requests."""

    path: str
    parent: str | None
    depth: int
    name: str
    first_at: dt.datetime
    last_at: dt.datetime
    ended_at: dt.datetime
    models: list[str]
    own: Usage
    total: Usage  # with all below it


class Tree(msgspec.Struct, frozen=True):
    """A run's spans: each before those below it, in the order in which they began."""

    spans: list[Span]
    left_out: int  # spans beyond the most that are told; their usage is not in it


async def runs(connection: Connection, scope: Scope, limit: int = DEFAULT_RUNS, cursor: str | None = None) -> Runs:
    """The runs of ``scope``, the last seen first.

    Raises:
        CursorError: the cursor is not one that a page gave.
    """
    limit = max(1, min(limit, MOST_RUNS))
    names = await _last_seen(connection, scope, limit + 1, read_cursor(cursor) if cursor is not None else None)
    extra = Parameters()
    statement, parameters = cells.over_rows(
        scope,
        question("runs"),
        extra=extra,
        names=extra.put(names[:limit], "text[]"),
        sums=sums("a."),
        amounts=AMOUNTS_OF_ROWS,
    )
    rows = await connection.fetch(statement, *parameters) if names else []
    found = [
        Run(**{name: row[name] for name in Run.__struct_fields__ if name != "usage"}, usage=Usage.of(row))
        for row in rows
    ]
    return Runs(found, write_cursor(found[-1].last_at, found[-1].run) if len(names) > limit else None)


async def _last_seen(
    connection: Connection, scope: Scope, wanted: int, cursor: tuple[dt.datetime, str] | None
) -> list[str]:
    """The ``wanted`` runs last seen, behind the cursor: found by walking back through the requests."""
    window = wanted * _REQUESTS_A_RUN
    while True:
        extra = Parameters()
        before, unseen = "true", "true"
        if cursor is not None:
            at, run = extra.put(cursor[0], "timestamptz"), extra.put(cursor[1], "text")
            before = f"r.requested_at <= {at}"
            unseen = question("run_seen_before").format(at=at, run=run)
        size = extra.put(window, "bigint")
        # In two steps, as what is filled in names the source and the conditions, too.
        text = question("runs_seen").replace("{before}", before).replace("{unseen}", unseen)
        statement, parameters = cells.over_rows(scope, text, extra=extra, window=size)
        rows = await connection.fetch(statement, *parameters)
        is_whole = rows[0]["requests"] < window
        found = [row for row in rows if row["run"] is not None]
        names = [row["run"] for row in found if is_whole or row["last_at"] > row["back_to"]]
        if len(names) >= wanted or is_whole:
            return names[:wanted]
        window *= 4


async def tree(connection: Connection, run: str, org_id: UUID | None) -> Tree | None:
    """All of one run; None if there is none (of this organisation)."""
    statement = question("run_spans").format(sums=sums("a."), amounts=AMOUNTS_OF_ROWS)
    rows = await connection.fetch(statement, run, org_id, MOST_SPANS)
    if not rows:
        return None
    nodes: dict[tuple[str, ...], _Node] = {}
    for row in rows:
        _node(nodes, _parts(row["path"])).take(row)
    return Tree(_told(nodes, ()), rows[0]["spans"] - len(rows))


class _Node:
    """A span while the tree is built."""

    def __init__(self) -> None:
        self.below: list[tuple[str, ...]] = []
        self.rows: list[Any] = []
        self.name: str | None = None

    def take(self, row: Any) -> None:
        self.rows.append(row)
        self.name = self.name or row["name"]


def _parts(path: str) -> tuple[str, ...]:
    parts = [part for part in path.split("/") if part]
    if len(parts) > MOST_DEPTH:
        parts[MOST_DEPTH - 1 :] = ["/".join(parts[MOST_DEPTH - 1 :])]
    return tuple(parts)


def _node(nodes: dict[tuple[str, ...], _Node], path: tuple[str, ...]) -> _Node:
    """The node of a path, made with all above it where there was none."""
    for length in range(len(path) + 1):
        above = path[:length]
        if above not in nodes:
            nodes[above] = _Node()
            if above:
                nodes[above[:-1]].below.append(above)
    return nodes[path]


def _told(nodes: dict[tuple[str, ...], _Node], path: tuple[str, ...]) -> list[Span]:
    """A node's span, then those below it."""
    node = nodes[path]
    below = [_told(nodes, inner) for inner in node.below]
    heads = [spans[0] for spans in below]
    own = sum(map(Usage.of, node.rows), Usage())
    models = {model for row in node.rows for model in row["models"] or ()}
    head = Span(
        path="/".join(path),
        parent="/".join(path[:-1]) if path else None,
        depth=len(path),
        name=node.name or (path[-1] if path else ""),
        first_at=min([row["first_at"] for row in node.rows] + [one.first_at for one in heads]),
        last_at=max([row["last_at"] for row in node.rows] + [one.last_at for one in heads]),
        ended_at=max([row["ended_at"] for row in node.rows] + [one.ended_at for one in heads]),
        models=sorted(models),
        own=own,
        total=sum((one.total for one in heads), own),
    )
    return [head, *(span for spans in below for span in spans)]
