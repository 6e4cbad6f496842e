"""A budget as people write it, and what is wrong with what they wrote: everything at once."""

from decimal import Decimal, InvalidOperation
from typing import Any, get_args
from uuid import UUID

import msgspec

from majordomo.admit.metadata import metadata_name
from majordomo.budget.model import UNTOLD, Action, Budget, Each, Fail, Mode, Scope, Unit, from_unit, in_unit
from majordomo.budget.windows import DAYS, Kind, Window, WindowError, parse_window
from majordomo.price.bill import FEMTO_PER_USD

MOST_NAME_CHARACTERS = 100  # it stands in refusals, headers and labels
MOST_TEXT_CHARACTERS = 1000
MOST_ENTRIES = 100  # of one field of a scope: each is compared with every head
#: Above these a limit is a mistake. Sums of femto-dollars stay within the 28 digits that decimals keep exactly.
MOST_USD = Decimal(10**9)
MOST_COUNT = Decimal(10**15)
#: USD a million tokens: far above the dearest model there is.
DEAREST_CEILING = Decimal(100_000)
_TOKENS_PER_QUOTE = 1_000_000


class BudgetError(Exception):
    """A budget that cannot be made, found or changed. The message holds every finding, one a line."""


class Draft(msgspec.Struct, kw_only=True):
    """What people say of a budget: text as it came from a command line or in JSON."""

    name: str
    limit: str
    unit: str = Unit.USD
    window: str | None = None  # None: month, or lifetime for what runs at one time
    time_zone: str = "UTC"
    week_start: str = DAYS[0]
    month_start: int = 1
    keys: list[str] = []  # ids
    metadata: dict[str, str] = {}
    each: str | None = None
    models: list[str] = []
    providers: list[str] = []
    sessions: list[str] = []
    mode: str = "balanced"
    action: str = "enforce"
    on_unpriced: str = "refuse"
    fail: str = "open"
    warn_at: list[int] = []
    contact: str | None = None


def define(draft: Draft, budget_id: bytes, org_id: bytes) -> Budget:
    """The budget that is meant; ``counts_from``, raises and pause are not its author's to say.

    Raises:
        BudgetError: with everything that is wrong, one finding a line.
    """
    wrong: list[str] = []
    name = draft.name.strip()
    if not name or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        wrong.append(f"name: expected 1 to {MOST_NAME_CHARACTERS} printable characters")
    elif _is_uuid(name):
        wrong.append(f"name {name!r}: looks like an id, and budgets are found by either")
    unit = Unit(draft.unit) if draft.unit in set(Unit) else None
    if unit is None:
        wrong.append(f"unit {draft.unit!r}: expected {', '.join(Unit)}")
    limit = _amount("limit", draft.limit, unit, wrong)
    window = _window(draft, unit, wrong)
    scope = _scope(draft, window, wrong)
    for field, value, allowed in (
        ("mode", draft.mode, get_args(Mode)),
        ("action", draft.action, get_args(Action)),
        ("fail", draft.fail, get_args(Fail)),
    ):
        if value not in allowed:
            wrong.append(f"{field} {value!r}: expected {' or '.join(allowed)}")
    on_unpriced, ceiling = _unpriced(draft, unit, wrong)
    if any(not 1 <= percent <= 100 for percent in draft.warn_at):
        wrong.append("warn at: expected whole per cent of the limit from 1 to 100, such as 50,80")
    contact = (draft.contact or "").strip()
    if len(contact) > MOST_TEXT_CHARACTERS or (contact and not contact.isprintable()):
        wrong.append(f"contact: expected at most {MOST_TEXT_CHARACTERS} printable characters")
    if wrong:
        raise BudgetError("\n".join(wrong))
    assert unit is not None
    assert window is not None
    return Budget(
        id=budget_id,
        org_id=org_id,
        name=name,
        scope=scope,
        unit=unit,
        limit=limit,
        window=window,
        mode=draft.mode,  # type: ignore[arg-type]
        action=draft.action,  # type: ignore[arg-type]
        on_unpriced=on_unpriced,  # type: ignore[arg-type]
        ceiling=ceiling,
        fail=draft.fail,  # type: ignore[arg-type]
        warn_at=tuple(sorted(set(draft.warn_at))),
        contact=contact or None,
    )


def draft_of(budget: Budget) -> Draft:
    """A budget as its author would write it, to be changed."""
    scope = budget.scope
    return Draft(
        name=budget.name,
        limit=written(budget.unit, budget.limit),
        unit=budget.unit,
        window=str(budget.window),
        time_zone=budget.window.zone,
        week_start=DAYS[budget.window.week_start],
        month_start=budget.window.month_start,
        keys=sorted(str(UUID(bytes=key)) for key in scope.keys),
        metadata=dict(scope.metadata),
        each=scope.each,
        models=list(scope.models),
        providers=list(scope.providers),
        sessions=list(scope.sessions),
        mode=budget.mode,
        action=budget.action,
        on_unpriced=unpriced_text(budget),
        fail=budget.fail,
        warn_at=list(budget.warn_at),
        contact=budget.contact,
    )


def described(budget: Budget) -> dict[str, Any]:
    """A budget in plain values, for JSON: what commands, the API and the history show."""
    return {
        "id": str(UUID(bytes=budget.id)),
        **msgspec.to_builtins(draft_of(budget)),
        "paused": budget.paused,
        "revision": budget.revision,
    }


def amount_of(text: str, unit: Unit) -> int:
    """An amount as people write it, in the unit.

    Raises:
        BudgetError: it is no such amount.
    """
    wrong: list[str] = []
    amount = _amount("amount", text, unit, wrong)
    if wrong:
        raise BudgetError("\n".join(wrong))
    return amount


def written(unit: Unit, amount: int) -> str:
    """An amount with every digit and no more."""
    return format(in_unit(unit, amount), "f")


def unpriced_text(budget: Budget) -> str:
    """What an unpriced model does, as people write it."""
    if budget.ceiling is None:
        return budget.on_unpriced
    return f"ceiling:{format((Decimal(budget.ceiling) * _TOKENS_PER_QUOTE / FEMTO_PER_USD).normalize(), 'f')}"


def _amount(field: str, text: str, unit: Unit | None, wrong: list[str]) -> int:
    most = MOST_USD if unit in (Unit.USD, None) else MOST_COUNT
    try:
        amount = Decimal(text.strip().replace("_", "")) if len(text) <= MOST_NAME_CHARACTERS else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        wrong.append(f"{field} {text[:MOST_NAME_CHARACTERS]!r}: expected a number, such as 5.00")
    elif amount <= 0:
        wrong.append(f"{field} {text}: expected more than 0; to refuse everything, revoke the key")
    elif amount > most:
        wrong.append(f"{field} {text}: expected at most {most:,}")
    elif unit is not None:
        try:
            return from_unit(unit, amount)
        except ValueError:
            finest = "15 digits behind the point" if unit is Unit.USD else "a whole number"
            wrong.append(f"{field} {text}: expected {finest}" + (" at most" if unit is Unit.USD else ""))
    return 0


def _window(draft: Draft, unit: Unit | None, wrong: list[str]) -> Window | None:
    told = draft.window or (Kind.LIFETIME if unit is Unit.CONCURRENT else Kind.MONTH)
    try:
        window = parse_window(told, zone=draft.time_zone, week_start=draft.week_start, month_start=draft.month_start)
    except WindowError as found:
        wrong.extend(str(found).splitlines())
        return None
    if unit is Unit.CONCURRENT and window.kind is not Kind.LIFETIME:
        wrong.append(f"window {told!r}: what runs at one time has none; leave it out")
    return window


def _scope(draft: Draft, window: Window | None, wrong: list[str]) -> Scope:
    for field, entries in (
        ("key", draft.keys),
        ("metadata", list(draft.metadata)),
        ("model", draft.models),
        ("provider", draft.providers),
        ("session", draft.sessions),
    ):
        if len(entries) > MOST_ENTRIES:
            wrong.append(f"{field}: expected at most {MOST_ENTRIES}")
    keys = {key for key in map(_uuid, draft.keys) if key is not None}
    if bad := [key for key in draft.keys if not _is_uuid(key)]:
        wrong.append(f"key {', '.join(map(repr, bad))}: expected ids of gateway keys; see: majordomo keys list")
    if bad := [session for session in draft.sessions if not _is_uuid(session)]:
        wrong.append(f"session {', '.join(map(repr, bad))}: expected ids of Claude Code sessions, which are UUIDs")
    metadata: dict[str, str] = {}
    for given, value in draft.metadata.items():
        name = metadata_name(given)
        if name is None:
            wrong.append(f"metadata {given!r}: expected the name of a metadata header, such as Team or User-Id")
        elif not _is_text(value):
            wrong.append(f"metadata {given}: expected a value of 1 to {MOST_TEXT_CHARACTERS} characters without NUL")
        elif metadata.setdefault(name, value) != value:
            wrong.append(f"metadata {name}: {metadata[name]!r} and {value!r} exclude each other")
    each = _each(draft, metadata, window, wrong)
    for field, patterns in (("model", draft.models), ("provider", draft.providers)):
        if bad := [one for one in patterns if not (_is_text(one) and one.isascii() and one.isprintable())]:
            wrong.append(f"{field} {', '.join(map(repr, bad))}: expected a name in printable ASCII")
    return Scope(
        keys=frozenset(keys),
        metadata=metadata,
        each=each,
        models=tuple(dict.fromkeys(draft.models)),
        providers=tuple(dict.fromkeys(draft.providers)),
        sessions=tuple(sorted({str(UUID(session)) for session in draft.sessions if _is_uuid(session)})),
    )


def _each(draft: Draft, metadata: dict[str, str], window: Window | None, wrong: list[str]) -> str | None:
    if draft.each is None:
        return None
    each = draft.each if draft.each in set(Each) else metadata_name(draft.each)
    if each is None:
        wrong.append(f"each {draft.each!r}: expected a metadata key's name, or {', '.join(Each)}")
    elif each in metadata:
        wrong.append(f"each {each}: the scope leaves it one value, {metadata[each]!r}")
    elif window is not None and window.kind is Kind.SESSION:
        wrong.append("each: the window session counts each session by itself already; leave one of the two out")
    return each


def _unpriced(draft: Draft, unit: Unit | None, wrong: list[str]) -> tuple[str, int | None]:
    word, _, price = draft.on_unpriced.partition(":")
    if word in ("refuse", "allow") and not price:
        if word == "allow" and unit not in (Unit.USD, None):
            wrong.append("on unpriced: has a meaning for a limit in usd only; leave it out")
        return word, None
    if word != "ceiling":
        wrong.append(
            f"on unpriced {draft.on_unpriced!r}: expected refuse, allow or ceiling:PRICE, USD a million tokens"
        )
        return word, None
    if unit not in (Unit.USD, None):
        wrong.append("on unpriced: has a meaning for a limit in usd only; leave it out")
    try:
        usd = Decimal(price)
        if not 0 < usd <= DEAREST_CEILING:
            raise InvalidOperation
        return word, from_unit(Unit.USD, usd / _TOKENS_PER_QUOTE)
    except (InvalidOperation, ValueError):
        wrong.append(
            f"on unpriced {draft.on_unpriced!r}: expected a price above 0 and at most {DEAREST_CEILING:,} USD a "
            "million tokens, with at most 9 digits behind the point"
        )
        return word, None


def _is_text(value: str) -> bool:
    return value != UNTOLD and len(value) <= MOST_TEXT_CHARACTERS and "\0" not in value


def _is_uuid(text: str) -> bool:
    return _uuid(text) is not None


def _uuid(text: str) -> bytes | None:
    try:
        return UUID(text).bytes
    except ValueError:
        return None
