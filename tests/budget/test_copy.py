"""The copy of the budgets on disk says what the budgets say, however large they are."""

from pathlib import Path

import msgspec
import pytest

from majordomo.budget.copy import restore, save
from majordomo.budget.definition import MOST_USD, Draft, define
from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget, Raise

KEY = "01a213c6-4581-7000-ae7c-94346556f225"


def made(**draft: object) -> Budget:
    budget = define(Draft(**{"name": "b", "limit": "5", **draft}), b"b" * 16, b"o" * 16)  # type: ignore[arg-type]
    raised = Raise(amount=budget.limit, until=1_789_552_800_000_000, reason="more")
    return msgspec.structs.replace(budget, raises=(raised,), counts_from=7)


@pytest.mark.parametrize(
    "draft",
    [
        {"limit": "0.000001", "keys": [KEY], "metadata": {"Team": "legal"}, "window": "rolling:24h"},
        {"limit": f"{MOST_USD}", "each": "Team", "mode": "strict", "on_unpriced": "ceiling:100000"},
        {"limit": "1000000000000000", "unit": "tokens", "models": ["claude-*"], "fail": "closed", "warn_at": [50, 80]},
    ],
)
def test_a_copy_is_read_as_it_was_written(tmp_path: Path, draft: dict[str, object]) -> None:
    budget = made(**draft)
    save(tmp_path / "copy", BudgetIndex([budget], 3))
    found = restore(tmp_path / "copy")
    assert found is not None
    assert found.revision == 3
    assert [msgspec.structs.asdict(one) for one in found.by_id.values()] == [msgspec.structs.asdict(budget)]
