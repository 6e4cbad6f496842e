"""Which sums of two dimensions a question can be answered from."""

from collections.abc import Collection
from typing import Final

from majordomo.record import pairs
from majordomo.report.questions.dimensions import METADATA_PREFIX, Dimension

_BY_MODEL: Final = {"model": "model", "provider": "model", "provider_and_model": "model"}
_SPELT: Final = {name: name for name in pairs.BUILT_IN} | _BY_MODEL
#: The writer's own sums tell these two apart, in narrower cells.
_IN_SUMS_BY_MODEL: Final = ("model", "key")
#: What a question about fewer dimensions is read by besides: what has few values comes first.
_BESIDES: Final = ("query_class", "model")


def pair_for(needed: Collection[Dimension], *, histograms: bool = False) -> tuple[str, str] | None:
    """The pair that tells all of these dimensions apart, and has ``histograms`` if asked for; None if no pair does."""
    spelt = {METADATA_PREFIX + one.name if one.is_metadata else _SPELT.get(one.name) for one in needed}
    for besides in reversed(_BESIDES) if histograms else _BESIDES:
        if len(spelt) < 2:
            spelt.add(besides)
    if len(spelt) > 2 or None in spelt:
        return None
    pair = pairs.pair_of(*(one for one in spelt if one is not None))
    if histograms:
        return pair if pair[0] == "model" else None
    return pair if pairs.is_summed(pair) and pair != _IN_SUMS_BY_MODEL else None
