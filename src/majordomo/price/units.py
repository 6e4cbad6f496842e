"""Units of price: what the catalogue and the overlay call them, per how many they are quoted, which bucket they bill.

All published rates are USD per some number of things; a rate card holds whole femto-dollars per single count.
"""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

import msgspec

from majordomo.meter.reading import Bucket

#: The name under which a fee per request stands in a price list. It is no bucket: every priced request pays it once.
REQUEST = "request"

_MILLION = 10**6
_THOUSAND = 10**3
_MS_PER_HOUR = 3_600_000  # Bucket.AUDIO_SECONDS is counted in milliseconds

#: By unit name in TOML files (a bucket's value, or one of the two others): how many counts the quoted USD is for.
QUOTED_PER: dict[str, int] = {bucket.value: _MILLION for bucket in Bucket} | {
    Bucket.WEB_SEARCH.value: _THOUSAND,
    Bucket.FILE_SEARCH.value: _THOUSAND,
    Bucket.GROUNDING.value: _THOUSAND,
    Bucket.AUDIO_SECONDS.value: _MS_PER_HOUR,
    Bucket.IMAGES.value: 1,
    REQUEST: _THOUSAND,
}

#: Fees for calls and requests: geographic uplifts and token discounts leave them alone.
FEES = frozenset({Bucket.WEB_SEARCH.value, Bucket.FILE_SEARCH.value, Bucket.GROUNDING.value, REQUEST})

#: The catalogue's price keys, by the unit they fill. Later ones win over earlier ones.
CATALOGUE_KEYS: dict[str, str] = {
    "input_mtok": Bucket.INPUT,
    "input_audio_mtok": Bucket.INPUT_AUDIO,
    "input_image_mtok": Bucket.INPUT_IMAGE,
    "input_video_mtok": Bucket.INPUT_VIDEO,
    "cache_read_mtok": Bucket.CACHE_READ,
    "cache_audio_read_mtok": Bucket.CACHE_READ_AUDIO,
    "cache_image_read_mtok": Bucket.CACHE_READ_IMAGE,
    "cache_video_read_mtok": Bucket.CACHE_READ_VIDEO,
    "cache_write_mtok": Bucket.CACHE_WRITE,
    "cache_write_5m_mtok": Bucket.CACHE_WRITE_5M,
    "cache_write_1h_mtok": Bucket.CACHE_WRITE_1H,
    "output_mtok": Bucket.OUTPUT,
    "output_audio_mtok": Bucket.OUTPUT_AUDIO,
    "output_image_mtok": Bucket.OUTPUT_IMAGE,
    "web_searches_kcount": Bucket.WEB_SEARCH,
    "storage_searches_kcount": Bucket.FILE_SEARCH,
    "input_mchars": Bucket.CHARACTERS,
    "audio_hours": Bucket.AUDIO_SECONDS,
    "input_audio_hours": Bucket.AUDIO_SECONDS,
    "requests_kcount": REQUEST,
}

#: Price keys that split what a reading keeps in one bucket. A model that has one cannot be priced by that bucket.
SPLITS: dict[str, str] = {
    "output_reasoning_mtok": Bucket.OUTPUT,
    "output_citation_mtok": Bucket.OUTPUT,
    "output_video_mtok": Bucket.OUTPUT,
    "input_tool_mtok": Bucket.INPUT,
}

#: USD per quoted quantity above which a rate is a mistake. The dearest published one is $600 a million tokens.
DEAREST_USD = Decimal(100_000)

#: Arithmetic on rates: enough digits for any rate and multiplier, and an error instead of a rounding.
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_FEMTO = Decimal(10**15)


class Step(msgspec.Struct, frozen=True, gc=False):
    """A rate that holds for requests whose prompt is longer than ``above`` tokens (-1: from the start)."""

    above: int
    usd: Decimal


#: Rates of one unit by prompt length, shortest first. The highest step that a request exceeds prices all of it.
Ladder = tuple[Step, ...]

#: A price list: ladders by unit name.
Sheet = dict[str, Ladder]


def flat(usd: Decimal) -> Ladder:
    """A rate that is the same for every prompt length."""
    return (Step(-1, usd),)


def scaled(ladder: Ladder, factor: Decimal) -> Ladder:
    """The ladder with every rate times ``factor``, exactly."""
    return tuple(Step(step.above, EXACT.multiply(step.usd, factor)) for step in ladder)


def at_length(ladder: Ladder, above: int) -> Decimal:
    """The rate for prompts just longer than ``above`` tokens."""
    usd = ladder[0].usd
    for step in ladder:
        if step.above <= above:
            usd = step.usd
    return usd


def femto_per_count(unit: str, usd: Decimal) -> int | None:
    """Femto-dollars for one count of ``unit`` quoted at ``usd``; None if that is no whole number (never rounded)."""
    numerator = EXACT.multiply(usd, _FEMTO)
    per = QUOTED_PER[unit]
    if numerator != numerator.to_integral_value() or int(numerator) % per:
        return None
    return int(numerator) // per
