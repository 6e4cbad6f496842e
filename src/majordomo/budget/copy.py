"""A copy of the budgets on disk: a front desk that starts while the database is away holds to them all the same.

Without leases it has nothing to spend, so each budget's fail mode decides. The copy has limits and scopes, no secret.
"""

import os
from pathlib import Path

import msgspec

from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget
from majordomo.logs import logger

_log = logger("budgets")


# As JSON: limits in femto-dollars need more than the 64 bits that MessagePack has.
class _Saved(msgspec.Struct, array_like=True):
    revision: int
    budgets: list[Budget]


def save(path: Path, index: BudgetIndex) -> None:
    """Replace the copy. A disk that does not take it costs the copy only."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Saved(index.revision, list(index.by_id.values()))))
        partial.replace(path)
    except OSError as failed:
        _log.warning("could not keep a copy of the budgets", reason=failed.strerror)


def restore(path: Path) -> BudgetIndex | None:
    """The budgets of the copy; None without one that can be read."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
    except (OSError, msgspec.MsgspecError):
        return None
    return BudgetIndex(saved.budgets, saved.revision)
