"""From what is known of a request, the counts that it belongs to.

The gate asks before the request leaves, the writer when it is over: both get the same counts, because what decides is
in the request's head, its time and the model that was asked for. The model that answered can only add to them, never
take one away; so whatever was let in by a budget is counted in it.

Fast by being done once: budgets are indexed by key when they are loaded, the head's part of the answer is for the
caller to keep with the head (``governing``), and the span that the present falls into is remembered.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from majordomo.apis import Api
from majordomo.budget.model import UNTOLD, Budget, Each
from majordomo.budget.windows import Kind, Span, Window
from majordomo.ids import read_uuid
from majordomo.record.frames import Opening
from majordomo.record.rows import NAME_LIMIT, NIL_ORG
from majordomo.record.safe_text import safe

#: Characters of a value in a count's name: a btree entry must stay far below a third of a page.
VALUE_LIMIT = 256
_MODELS_KEPT = 4096

#: Calls that no model answers, or that fetch or end what was paid for before: never refused, never counted as requests.
FREE_APIS = frozenset(
    {
        Api.OPENAI_MODELS,
        Api.OPENAI_MODERATIONS,
        Api.OPENAI_RESPONSE,
        Api.ANTHROPIC_COUNT_TOKENS,
        Api.ANTHROPIC_MODELS,
        Api.ANTHROPIC_BATCH_RESULTS,
        Api.GEMINI_COUNT_TOKENS,
        Api.GEMINI_MODELS,
    }
)
CANCELLING = "/cancel"


def is_gated(method: str, api: str, path: str) -> bool:
    """Whether a request asks a model for something: what a budget may refuse, and counts as a request."""
    return method == "POST" and api not in FREE_APIS and not path.endswith(CANCELLING)


class Head(NamedTuple):
    """What a request's head tells of it, as its row will."""

    org_id: bytes
    key_id: bytes
    provider: str
    metadata: dict[str, str]  # as recorded: the owner's values before the caller's
    session: str | None  # the session that the row is grouped by, as a UUID's text


def head_of(opening: Opening) -> Head:
    """What the opening of a request tells of it."""
    session = read_uuid(opening.claude_session) if opening.claude_session else None
    return Head(
        opening.org_id or NIL_ORG,
        opening.api_key_id,
        opening.provider,
        opening.metadata,
        None if session is None else str(session),
    )


class Governed(NamedTuple):
    """A budget that a head falls under, if the model does too, and the value that it counts under."""

    budget: Budget
    value: str


class Cell(NamedTuple):
    """One count: of one budget, for one value, in one span of time."""

    budget_id: bytes
    value: str
    start: int  # microseconds since the epoch: where the window begins, or the step of one that rolls


class BudgetIndex:
    """All budgets of the moment. Immutable but for what it remembers: a change makes another."""

    __slots__ = ("_by_key", "_everywhere", "_spans", "by_id", "revision")

    def __init__(self, budgets: Iterable[Budget] = (), revision: int = 0) -> None:
        self.revision = revision
        self.by_id = {budget.id: budget for budget in budgets}
        self._by_key: dict[bytes, list[Budget]] = {}
        self._everywhere: list[Budget] = []
        self._spans: dict[Window, Span] = {}
        for budget in self.by_id.values():
            if not budget.scope.keys:
                self._everywhere.append(budget)
            for key_id in budget.scope.keys:
                self._by_key.setdefault(key_id, []).append(budget)

    def __len__(self) -> int:
        return len(self.by_id)

    def governing(self, head: Head) -> tuple[Governed, ...]:
        """The budgets that the head falls under, whatever the model. Worth keeping with the head."""
        found = []
        for budget in (*self._by_key.get(head.key_id, ()), *self._everywhere):
            scope = budget.scope
            if (
                budget.org_id == head.org_id
                and (not scope.providers or head.provider in scope.providers)
                and (not scope.sessions or head.session in scope.sessions)
                and (budget.window.kind is not Kind.SESSION or head.session is not None)
                and all(head.metadata.get(name) == value for name, value in scope.metadata.items())
            ):
                found.append(Governed(budget, _value(budget, head)))
        return tuple(found)

    def cells(
        self, governing: Iterable[Governed], at: int, requested_model: str | None, model: str | None = None
    ) -> list[Cell]:
        """The counts of a request that came at ``at``; ``model``: the one that answered, once it has."""
        if requested_model is not None:
            requested_model = safe(requested_model, NAME_LIMIT)  # as its row will have it
        counts = []
        for budget, value in governing:
            if budget.scope.models and not _any_model(budget.scope.models, requested_model, model):
                continue
            if budget.scope.each == Each.MODEL:
                value = shortened(requested_model or model or UNTOLD)
            start = self.span(budget.window, at).start
            if start >= budget.counts_from:
                counts.append(Cell(budget.id, value, start))
        return counts

    def span(self, window: Window, at: int) -> Span:
        """``window.span(at)``, remembered for as long as it lasts."""
        span = self._spans.get(window)
        if span is None or at < span.start or (span.end is not None and at >= span.end):
            span = self._spans[window] = window.span(at)
        return span


def shortened(value: str) -> str:
    """A value as it names a count: whole, or cut with a digest that keeps different ones apart."""
    if len(value) <= VALUE_LIMIT:
        return value
    digest = blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{value[: VALUE_LIMIT - 17]}…{digest}"


def model_matches(pattern: str, model: str) -> bool:
    """Whether a model is meant by a pattern with ``*`` and ``?``; ASCII letters match in either case."""
    return _compiled(pattern).fullmatch(_lower(model)) is not None


def like(pattern: str) -> str:
    """The same pattern for PostgreSQL's LIKE, on a name in lower case."""
    escaped = _lower(pattern).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _value(budget: Budget, head: Head) -> str:
    if budget.window.kind is Kind.SESSION:
        return head.session or UNTOLD
    match budget.scope.each:
        case None | Each.MODEL:  # the model is not in the head
            return UNTOLD
        case Each.KEY:
            return head.key_id.hex()
        case Each.SESSION:
            return head.session or UNTOLD
        case Each.PROVIDER:
            return shortened(head.provider)
        case name:
            return shortened(head.metadata.get(name, UNTOLD))


@lru_cache(maxsize=_MODELS_KEPT)
def _any_model(patterns: tuple[str, ...], requested_model: str | None, model: str | None) -> bool:
    return any(
        model_matches(pattern, name) for pattern in patterns for name in {requested_model, model} if name is not None
    )


@lru_cache(maxsize=_MODELS_KEPT)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", _lower(pattern))
    return re.compile("".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _lower(text: str) -> str:
    """As ``lower(... COLLATE "C")`` does in PostgreSQL: ASCII letters only, so that both always agree."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
