"""What a token of plain text costs, where one rate for each class says it all: the short way to a likely cost."""

from typing import NamedTuple

from majordomo.meter.reading import Bucket
from majordomo.price.card import Card


class TextRates(NamedTuple):
    """Femto-dollars for one token, and for the request itself; None: the class has no rate of its own."""

    input: int
    output: int
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    fee: int

    def cost(self, uncached: int, read: int, write: int, output: int, *, write_1h: bool) -> int | None:
        """Of so many tokens; None if one of their classes has no rate."""
        cost = uncached * self.input + output * self.output + self.fee
        if read:
            if self.cache_read is None:
                return None
            cost += read * self.cache_read
        if write:
            rate = self.cache_write_1h if write_1h else self.cache_write_5m
            if rate is None:
                return None
            cost += write * rate
        return cost


def text_rates(card: Card) -> TextRates | None:
    """Those of a card; None if they depend on the prompt's length, or are not known."""
    rates = {bucket: rate for bucket, (_, rate) in card.rates.items()}
    if card.problem is not None or card.longer or Bucket.INPUT not in rates or Bucket.OUTPUT not in rates:
        return None
    return TextRates(
        rates[Bucket.INPUT],
        rates[Bucket.OUTPUT],
        rates.get(Bucket.CACHE_READ),
        rates.get(Bucket.CACHE_WRITE_5M),
        rates.get(Bucket.CACHE_WRITE_1H),
        card.request_fee,
    )
