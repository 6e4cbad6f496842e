"""Money and tokens as Claude Code writes them, to the last digit: a figure of ours beside its own must look the same.

Its numbers are IEEE doubles, rounded by JavaScript's ``Math.round`` and ``toFixed``.
"""

import math
from decimal import ROUND_HALF_UP, Decimal

#: Up to this many USD, cents would hide too much.
_CENTS_ABOVE = 0.5

_COMPACT = ((10**12, "t"), (10**9, "b"), (10**6, "m"), (10**3, "k"))


def money(usd: float) -> str:
    """``$0.0363``, and above half a dollar ``$1.12``."""
    if usd > _CENTS_ABOVE:
        return "$" + _to_fixed(_round(usd * 100) / 100, 2)
    return "$" + _to_fixed(usd, 4)


def tokens(count: int) -> str:
    """``999``, ``1.0k``, ``1.1m``: one digit after the point from a thousand on, half up."""
    for unit, letter in _COMPACT:
        if _tenths(count, unit // 1000) >= 10_000:  # rounding may carry a number into the next unit: 999,950 is 1.0m
            tenths = _tenths(count, unit)
            return f"{tenths // 10}.{tenths % 10}{letter}"
    return str(count)


def _tenths(count: int, unit: int) -> int:
    return (count * 10 + unit // 2) // unit


def _round(number: float) -> float:
    """JavaScript's ``Math.round``: the nearest whole number, of two equally near ones the larger."""
    below = math.floor(number)
    return float(below if number - below < 0.5 else below + 1)


def _to_fixed(number: float, places: int) -> str:
    """JavaScript's ``toFixed``: rounds the double's exact value, of two equally near ones the larger."""
    return str(Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
