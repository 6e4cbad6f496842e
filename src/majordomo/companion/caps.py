"""What a command may spend: the options ``--max-spend`` and its kin, read and checked.

Made before the child starts: nothing heavy is imported here. What is done with it: ``cap_gate``.
"""

import argparse
import re
from typing import NamedTuple

from majordomo.companion.errors import CompanionError

#: Femto-dollars in one dollar.
_FEMTO = 10**15

#: More than anybody means; below what any sum of ours can hold.
_MOST = 10**12

_MONEY = re.compile(r"\$?(\d{1,12})(?:\.(\d{1,15}))?")
_COUNT = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?([km]?)", re.IGNORECASE)
_SCALES = {"": 1, "k": 1_000, "m": 1_000_000}


class Cap(NamedTuple):
    """One limit."""

    option: str  # how its owner wrote it
    unit: str  # usd, tokens or turns
    amount: int  # femto-dollars or a count
    per_day: bool  # else: per run


class Caps(NamedTuple):
    """All limits of one run."""

    limits: tuple[Cap, ...] = ()
    warn_at: int | None = None  # per cent


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``exec`` alone."""
    group = parser.add_argument_group(
        "limits",
        "A request that would pass one is refused before it leaves, and the command is told why. Per day: all runs of "
        "this user on this machine together, by its local days. Under a subscription money is notional, what the same "
        "tokens would cost by the API: caps in tokens or turns say more there.",
    )
    add = group.add_argument
    add("--max-spend", metavar="USD", type=_money, help="dollars for this run, as in 5 or 2.50")
    add("--max-spend-per-day", metavar="USD", type=_money, help="dollars for a day")
    add(
        "--max-tokens", metavar="N", type=_count, help="tokens read and written in this run, as in 200000, 200k or 1.5m"
    )
    add("--max-tokens-per-day", metavar="N", type=_count, help="tokens in a day")
    add("--max-turns", metavar="N", type=_count, help="turns of the main conversation in this run")
    add("--max-turns-per-day", metavar="N", type=_count, help="turns in a day")
    add("--warn-at", metavar="PERCENT", type=_percent, help="say so when so much of a limit is used, as in 80%%")


def read(told: argparse.Namespace) -> Caps:
    """The limits that are told.

    Raises:
        CompanionError: they make no sense together.
    """
    limits = []
    for unit, option in (("usd", "spend"), ("tokens", "tokens"), ("turns", "turns")):
        for per_day, suffix in ((False, ""), (True, "-per-day")):
            amount = getattr(told, f"max_{option}{suffix}".replace("-", "_"), None)
            if amount is not None:
                limits.append(Cap(f"--max-{option}{suffix}", unit, amount, per_day))
    warn_at: int | None = getattr(told, "warn_at", None)
    if warn_at is not None and not limits:
        raise CompanionError("--warn-at needs a limit to warn of, such as --max-spend 5")
    return Caps(tuple(limits), warn_at)


def _money(text: str) -> int:
    found = _MONEY.fullmatch(text.strip())
    amount = int(found[1]) * _FEMTO + int((found[2] or "").ljust(15, "0")) if found else 0
    if not 0 < amount <= _MOST * _FEMTO:
        raise argparse.ArgumentTypeError(f"{text!r}: expected dollars above 0, such as 5 or 2.50")
    return amount


def _count(text: str) -> int:
    found = _COUNT.fullmatch(text.strip())
    scale = _SCALES[found[3].lower()] if found else 1
    thousandths = (int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))) * scale if found else 0
    if not 0 < thousandths <= _MOST * 1000 or thousandths % 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0, such as 200000, 200k or 1.5m")
    return thousandths // 1000


def _percent(text: str) -> int:
    digits = text.strip().removesuffix("%")
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a percentage from 1 to 100, such as 80%")
    return int(digits)
