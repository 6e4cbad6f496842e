"""Which counts a request belongs to."""

from uuid import UUID

import pytest

from majordomo.budget.matching import BudgetIndex, Cell, Head, is_gated, model_matches, shortened
from majordomo.budget.model import Budget, Each, Scope, Unit
from majordomo.budget.windows import Kind, Window, parse_window, stamp_us
from majordomo.record.rows import NIL_ORG

KEY, OTHER_KEY = b"k" * 16, b"o" * 16
SESSION = "0197b0a0-0000-7000-8000-000000000001"
NOW = 1_790_000_000_000_000


def budget(
    number: int = 1, *, window: Window | None = None, counts_from: int = 0, org: bytes = NIL_ORG, **scope: object
) -> Budget:
    return Budget(
        id=bytes([number]) * 16,
        org_id=org,
        name=f"budget {number}",
        scope=Scope(**scope),  # type: ignore[arg-type]
        unit=Unit.USD,
        limit=10**15,
        window=window or parse_window("day"),
        counts_from=counts_from,
    )


def head(
    *, key: bytes = KEY, provider: str = "anthropic", session: str | None = None, org: bytes = NIL_ORG, **metadata: str
) -> Head:
    return Head(org, key, provider, {name.replace("_", "-"): value for name, value in metadata.items()}, session)


def counted(
    one: Budget, request: Head, requested: str | None = None, model: str | None = None, at: int = NOW
) -> list[str]:
    """The values that the request counts under in this budget."""
    index = BudgetIndex([one])
    return [cell.value for cell in index.cells(index.governing(request), at, requested, model)]


def test_a_budget_without_a_scope_governs_its_organisation_and_no_other() -> None:
    assert counted(budget(), head()) == [""]
    assert counted(budget(org=b"x" * 16), head()) == []


def test_every_field_of_a_scope_must_be_met() -> None:
    one = budget(
        keys=frozenset({KEY}), metadata={"Team": "legal", "App": "x"}, providers=("anthropic",), models=("claude-*",)
    )
    meets = {"Team": "legal", "App": "x"}
    assert counted(one, head(**meets), "claude-opus-4-8") == [""]
    assert counted(one, head(key=OTHER_KEY, **meets), "claude-opus-4-8") == []
    assert counted(one, head(Team="legal"), "claude-opus-4-8") == []
    assert counted(one, head(Team="legal", App="y"), "claude-opus-4-8") == []
    assert counted(one, head(provider="openai", **meets), "claude-opus-4-8") == []
    assert counted(one, head(**meets), "gpt-6") == []
    assert counted(one, head(**meets), None) == []


def test_each_value_has_a_count_of_its_own_and_those_who_tell_none_share_one() -> None:
    one = budget(each="User-Id")
    assert counted(one, head(User_Id="alice")) == ["alice"]
    assert counted(one, head(User_Id="bob")) == ["bob"]
    assert counted(one, head()) == counted(one, head(User_Id="")) == [""]


def test_keys_sessions_providers_and_models_can_be_counted_each() -> None:
    request = head(session=SESSION)
    assert counted(budget(each=Each.KEY), request) == [KEY.hex()]
    assert counted(budget(each=Each.SESSION), request) == [SESSION]
    assert counted(budget(each=Each.PROVIDER), request) == ["anthropic"]
    assert counted(budget(each=Each.MODEL), request, "claude-opus-4-8", "claude-opus-4-8-20270101") == [
        "claude-opus-4-8"
    ]


def test_a_session_window_counts_each_session_and_nothing_outside_of_one() -> None:
    one = budget(window=Window(kind=Kind.SESSION))
    assert counted(one, head(session=SESSION)) == [SESSION]
    assert counted(one, head()) == []


def test_a_scope_of_sessions_takes_these_only() -> None:
    one = budget(sessions=(SESSION,))
    assert counted(one, head(session=SESSION)) == [""]
    assert counted(one, head(session=str(UUID(int=7)))) == []


def test_the_model_that_answers_can_add_a_count_and_never_takes_one_away() -> None:
    one = budget(models=("claude-opus*",))
    assert counted(one, head(), "best") == []
    assert counted(one, head(), "best", "claude-opus-4-8") == [""]
    assert counted(one, head(), "claude-opus-4-8", "claude-haiku-4-5") == [""]


@pytest.mark.parametrize(
    ("pattern", "model", "meant"),
    [
        ("claude-opus*", "claude-opus-4-8", True),
        ("claude-opus*", "Claude-Opus-4-8", True),
        ("*opus*", "us.anthropic.claude-opus-4-8-v1:0", True),
        ("gpt-?", "gpt-6", True),
        ("gpt-?", "gpt-65", False),
        ("gpt-6", "gpt-6-mini", False),
        ("gpt.6", "gpt-6", False),
        ("[a-z]*", "gpt-6", False),
        ("*", "", True),
        ("\N{KELVIN SIGN}*", "k2", False),
    ],
)
def test_a_pattern_means_whole_names_with_stars_and_question_marks(pattern: str, model: str, meant: bool) -> None:
    assert model_matches(pattern, model) is meant


def test_a_request_counts_where_it_began_even_if_it_ends_in_the_next_window() -> None:
    index = BudgetIndex([budget()])
    before, after = stamp_us_of(2026, 9, 1) - 1, stamp_us_of(2026, 9, 1)
    governing = index.governing(head())
    assert [cell.start for cell in index.cells(governing, after, None)] == [after]
    assert [cell.start for cell in index.cells(governing, before, None)] == [after - 86_400_000_000]
    assert [cell.start for cell in index.cells(governing, after + 5, None)] == [after]


def test_what_came_before_a_budget_counts_is_not_counted() -> None:
    today = stamp_us_of(2026, 9, 1)
    one = budget(counts_from=today)
    assert counted(one, head(), at=today) == [""]
    assert counted(one, head(), at=today - 1) == []


def test_budgets_of_a_key_and_of_all_are_found_together() -> None:
    index = BudgetIndex([budget(1, keys=frozenset({KEY})), budget(2), budget(3, keys=frozenset({OTHER_KEY, KEY}))])
    found = {cell.budget_id[0] for cell in index.cells(index.governing(head()), NOW, None)}
    assert found == {1, 2, 3}
    other = {cell.budget_id[0] for cell in index.cells(index.governing(head(key=OTHER_KEY)), NOW, None)}
    assert other == {2, 3}


def test_a_long_value_is_cut_and_keeps_its_own_count() -> None:
    one = budget(each="User-Id")
    (first,), (second,) = counted(one, head(User_Id="u" * 5000 + "a")), counted(one, head(User_Id="u" * 5000 + "b"))
    assert first != second
    assert len(first) <= 256
    assert first == shortened("u" * 5000 + "a")


@pytest.mark.parametrize(
    ("method", "api", "path", "gated"),
    [
        ("POST", "anthropic.messages", "/v1/messages", True),
        ("POST", "anthropic.batches", "/v1/messages/batches", True),
        ("POST", "openai.other", "/v1/rerank", True),
        ("POST", "anthropic.count_tokens", "/v1/messages/count_tokens", False),
        ("POST", "gemini.count_tokens", "/v1beta/models/x:countTokens", False),
        ("POST", "openai.response", "/v1/responses/resp_1/cancel", False),
        ("POST", "anthropic.batches", "/v1/messages/batches/b_1/cancel", False),
        ("GET", "anthropic.batch_results", "/v1/messages/batches/b_1/results", False),
        ("GET", "openai.models", "/v1/models", False),
        ("HEAD", "anthropic.other", "/", False),
    ],
)
def test_only_what_asks_a_model_for_something_is_gated(method: str, api: str, path: str, gated: bool) -> None:
    assert is_gated(method, api, path) is gated


def test_a_count_is_told_by_budget_value_and_beginning() -> None:
    index = BudgetIndex([budget(1, each="Team", window=Window(kind=Kind.LIFETIME))])
    assert index.cells(index.governing(head(Team="a")), NOW, None) == [Cell(b"\1" * 16, "a", 0)]


def stamp_us_of(year: int, month: int, day: int) -> int:
    from datetime import UTC, datetime

    return stamp_us(datetime(year, month, day, tzinfo=UTC))
