"""What people write of a budget: taken as meant, or refused with everything that is wrong."""

from typing import Any

import pytest

from majordomo.budget.definition import BudgetError, Draft, define, draft_of, written
from majordomo.budget.model import Unit, from_unit, in_unit
from majordomo.record.rows import NIL_ORG


def made(**draft: Any) -> Any:
    return define(Draft(**{"name": "b", "limit": "5.00", **draft}), bytes(16), NIL_ORG)


def wrong(**draft: Any) -> str:
    with pytest.raises(BudgetError) as refused:
        made(**draft)
    return str(refused.value)


def test_a_budget_comes_back_as_it_was_written() -> None:
    draft = Draft(
        name="legal",
        limit="5.0625",
        window="week",
        time_zone="Europe/Berlin",
        week_start="sunday",
        keys=["00000000-0000-0000-0000-000000000011"],
        metadata={"team": "legal"},
        each="user-ID",
        models=["claude-*", "gpt-6"],
        providers=["openai"],
        mode="strict",
        action="warn",
        on_unpriced="ceiling:12.5",
        fail="closed",
        warn_at=[80, 50, 80],
        contact=" finance@example.org ",
    )
    again = draft_of(define(draft, bytes(16), NIL_ORG))
    assert again == Draft(
        **{
            **{field: getattr(draft, field) for field in draft.__struct_fields__},
            "metadata": {"Team": "legal"},
            "each": "User-Id",
            "warn_at": [50, 80],
            "contact": "finance@example.org",
        }
    )
    assert draft_of(define(again, bytes(16), NIL_ORG)) == again


@pytest.mark.parametrize(
    ("limit", "unit", "amount"),
    [
        ("5", "usd", 5 * 10**15),
        ("0.000000000000001", "usd", 1),
        ("1e3", "tokens", 1000),
        ("1_000_000", "tokens", 10**6),
        ("1000000000", "usd", 10**24),
    ],
)
def test_limits_are_exact(limit: str, unit: str, amount: int) -> None:
    assert made(limit=limit, unit=unit).limit == amount
    assert from_unit(Unit(unit), in_unit(Unit(unit), amount)) == amount
    assert "e" not in written(Unit(unit), amount).lower()


@pytest.mark.parametrize(
    ("limit", "unit"),
    [
        ("0", "usd"), ("-1", "usd"), ("nan", "usd"), ("inf", "usd"), ("", "usd"), ("five", "usd"), ("5 $", "usd"),
        ("1e400", "usd"), ("9" * 5000, "usd"), ("1000000001", "usd"), ("0.0000000000000001", "usd"),
        ("1.00000000000000000000000000000000001", "usd"), ("1.5", "requests"), ("1e16", "tokens"), ("\0", "usd"),
    ],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(limit: str, unit: str) -> None:
    assert "limit" in wrong(limit=limit, unit=unit)


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "00000000-0000-0000-0000-000000000011"}, "looks like an id"),
        ({"unit": "euros"}, "unit"),
        ({"window": "fortnight"}, "window"),
        ({"unit": "concurrent", "window": "day"}, "leave it out"),
        ({"keys": ["my key"]}, "majordomo keys list"),
        ({"sessions": ["1"]}, "UUID"),
        ({"metadata": {"te am": "x"}}, "te am"),
        ({"metadata": {"Key": "x"}}, "metadata"),
        ({"metadata": {"Team": ""}}, "value"),
        ({"metadata": {"Team": "a", "TEAM": "b"}}, "exclude each other"),
        ({"metadata": {"Team": "a"}, "each": "team"}, "one value"),
        ({"each": "session", "window": "session"}, "already"),
        ({"each": ""}, "each"),
        ({"models": ["gpt\N{EN DASH}6"]}, "model"),
        ({"models": ["x"] * 101}, "at most 100"),
        ({"providers": [""]}, "provider"),
        ({"mode": "lax"}, "mode"),
        ({"action": "shout"}, "action"),
        ({"fail": "never"}, "fail"),
        ({"on_unpriced": "ceiling:"}, "price"),
        ({"on_unpriced": "ceiling:0"}, "price"),
        ({"on_unpriced": "ceiling:1e-12"}, "price"),
        ({"on_unpriced": "ceiling:nan"}, "price"),
        ({"on_unpriced": "maybe"}, "on unpriced"),
        ({"on_unpriced": "allow", "unit": "tokens"}, "usd only"),
        ({"warn_at": [0]}, "warn at"),
        ({"warn_at": [101]}, "warn at"),
        ({"contact": "a\nb"}, "contact"),
    ],
)  # fmt: skip
def test_what_makes_no_budget_is_refused_with_a_reason(draft: dict[str, Any], told: str) -> None:
    assert told in wrong(**draft)


def test_everything_wrong_is_told_at_once() -> None:
    found = wrong(name="", limit="-1", unit="usd", window="x", time_zone="y", mode="z", warn_at=[200], keys=["k"])
    assert len(found.splitlines()) == 7
