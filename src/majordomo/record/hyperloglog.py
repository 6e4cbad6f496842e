"""How many different values a metadata key has had, in 4 KiB, whatever their number.

A dense HyperLogLog of 2^12 registers over a 64-bit hash. Merging takes the greater of each pair of registers, so that
replicas, days and backfills add up in any order. The estimator is Ertl's improved one (O. Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches", 2017, algorithm 6): no bias table, no switch to linear counting, and
a standard error of 1.04 / sqrt(4096) = 1.6 % over the whole range.
"""

import math
from hashlib import blake2b

PRECISION = 12
REGISTERS = 1 << PRECISION
RELATIVE_ERROR = 1.04 / math.sqrt(REGISTERS)

_VERSION = 1  # of the byte form: version, precision, then one byte a register
_HEAD = bytes([_VERSION, PRECISION])
_RANK_BITS = 64 - PRECISION
_RANK_MASK = (1 << _RANK_BITS) - 1
_ALPHA_INFINITY = 0.5 / math.log(2)


class SketchError(ValueError):
    """Bytes that are no sketch of this kind."""


class HyperLogLog:
    """A set that can only say how large it is."""

    __slots__ = ("_registers",)

    def __init__(self) -> None:
        self._registers = bytearray(REGISTERS)

    @classmethod
    def from_bytes(cls, state: bytes) -> "HyperLogLog":
        """The sketch that ``to_bytes`` wrote.

        Raises:
            SketchError: another version or precision, or no sketch at all.
        """
        if len(state) != len(_HEAD) + REGISTERS or state[: len(_HEAD)] != _HEAD:
            raise SketchError(f"{len(state)} bytes beginning {state[:2].hex()!r} are no sketch of version {_VERSION}")
        sketch = cls()
        sketch._registers[:] = state[len(_HEAD) :]
        return sketch

    def to_bytes(self) -> bytes:
        """4,098 bytes: version, precision, registers."""
        return _HEAD + self._registers

    def add(self, value: str) -> bool:
        """Take a value in; True if that changed the sketch."""
        digest = int.from_bytes(blake2b(value.encode("utf-8", "replace"), digest_size=8).digest())
        rank = _RANK_BITS - (digest & _RANK_MASK).bit_length() + 1
        index = digest >> _RANK_BITS
        if self._registers[index] >= rank:
            return False
        self._registers[index] = rank
        return True

    def merge(self, other: "HyperLogLog") -> None:
        """Take in everything that ``other`` has seen."""
        self._registers[:] = bytes(map(max, self._registers, other._registers))

    def estimate(self) -> int:
        """About how many different values were added."""
        seen = [0] * (_RANK_BITS + 2)
        for rank in range(_RANK_BITS + 2):
            seen[rank] = self._registers.count(rank)
        harmonic = REGISTERS * _tau(1 - seen[_RANK_BITS + 1] / REGISTERS)
        for rank in range(_RANK_BITS, 0, -1):
            harmonic = 0.5 * (harmonic + seen[rank])
        harmonic += REGISTERS * _sigma(seen[0] / REGISTERS)
        return round(_ALPHA_INFINITY * REGISTERS * REGISTERS / harmonic)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    power, total, weight = x, x, 1.0
    while True:
        power *= power
        before = total
        total += power * weight
        weight += weight
        if total == before:
            return total


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    total, weight = 1 - x, 1.0
    while True:
        x = math.sqrt(x)
        before = total
        weight *= 0.5
        total -= (1 - x) ** 2 * weight
        if total == before:
            return total / 3
