"""What did it cost? A reading times its rate card, in integers.

``bill`` runs in the front desk for every reply: it never raises, never waits and never looks at a file. The rules
are on ``docs/prices.md``.
"""

import os
from pathlib import Path

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price import adjustments, catalogue, store
from majordomo.price.bill import Bill
from majordomo.price.card import PROMPT_BUCKETS, Card, Kind, PriceBook, make_card
from majordomo.price.dearest import Dearest, dearest
from majordomo.price.matching import MAX_MODEL_CHARS
from majordomo.price.text_rates import TextRates, text_rates

#: Endpoints that no provider charges for, whatever they answer.
FREE_APIS = frozenset(
    {
        Api.OPENAI_MODERATIONS,
        Api.OPENAI_MODELS,
        Api.ANTHROPIC_COUNT_TOKENS,
        Api.ANTHROPIC_MODELS,
        Api.ANTHROPIC_BATCHES,  # the batch's results are charged when they are fetched
        Api.GEMINI_COUNT_TOKENS,
        Api.GEMINI_MODELS,
    }
)

#: Cards kept. A card is some 2 KB; real traffic needs dozens, and a caller who invents models must not fill memory.
MAX_CARDS = 2048

#: Rates with a date may change at any full minute; what is reserved by them may be an hour behind (microseconds).
_DEAREST_KEPT_US = 3_600_000_000

_CardKey = tuple[str, str, str | None, str | None, str | None, bool]


class Pricer:
    """Prices readings by the newest good catalogue, the supplement and the overlay."""

    __slots__ = (
        "_book",
        "_cards",
        "_dearest",
        "_overlay",
        "_prices_dir",
        "_seen",
        "_text_rates",
        "overlay_error",
        "version",
    )

    def __init__(self, book: PriceBook, version: str) -> None:
        self._book = book
        self.version = version
        self._cards: dict[_CardKey, Card] = {}
        self._dearest: dict[tuple[str, str], tuple[int, Dearest | None]] = {}
        self._text_rates: dict[tuple[str, str, str | None], tuple[int, int, TextRates | None]] = {}
        self._prices_dir: Path | None = None
        self._overlay: Path | None = None
        self._seen: object = None
        #: Why the overlay file as it is now is not in use; None while it is.
        self.overlay_error: str | None = None

    @classmethod
    def load(cls, prices_dir: Path | None, overlay: Path | None) -> "Pricer":
        """The prices to start with. A damaged catalogue on disk falls back to the packaged one.

        Raises:
            OverlayError: the overlay is wrong, and no earlier good copy of it is in ``prices_dir``.
        """
        pricer = cls(PriceBook(catalogue.packaged(), (adjustments.supplement().rules,)), "")
        pricer._prices_dir = prices_dir
        pricer._overlay = overlay
        pricer._seen = pricer._signs()
        pricer._take(store.newest(prices_dir), pricer._overlay_at_start())
        return pricer

    @property
    def book(self) -> PriceBook:
        """Where the rates come from; for showing prices."""
        return self._book

    def reload_if_changed(self) -> bool:
        """Take newer prices if a file changed; True if they are in use. Something wrong leaves the present ones.

        Costs two ``stat`` calls when nothing changed.
        """
        seen = self._signs()
        if seen == self._seen:
            return False
        self._seen = seen
        layer = None
        if self._overlay is not None:
            try:
                layer = adjustments.read_overlay(self._overlay)
                store.keep_overlay(self._prices_dir, self._overlay)
                self.overlay_error = None
            except adjustments.OverlayError as wrong:
                self.overlay_error = str(wrong)
                layer = store.last_good_overlay(self._prices_dir, self._overlay)
                if layer is None:
                    return False
        before = self.version
        self._take(store.newest(self._prices_dir), layer)
        return self.version != before

    def bill(self, provider: str, api: Api, reading: Reading, facts: RequestFacts, at_us: int) -> Bill:
        """What a reading cost at a moment (microseconds since the Unix epoch). Never raises.

        Costs are femto-dollars; all None with a problem code if any billed unit has no known rate.
        """
        parts = reading.parts
        if api in FREE_APIS or not parts:
            return self._without_parts(provider, api, reading, facts, at_us)
        if len(parts) > 1:
            return self._bill_of_many(provider, reading, facts, at_us)
        part = parts[0]
        model = part.model or reading.model or facts.model or ""
        card = self._card(provider, model, reading, at_us)
        costs = [0, 0, 0, 0, card.request_fee]
        problem = card.problem or _add(part, card, costs)
        if problem:
            return Bill(price_version=self.version, model_found=card.found, problems=(problem,))
        i, r, w, o, t = costs
        return Bill(
            input_cost=i,
            output_cost=o,
            cache_read_cost=r,
            cache_creation_cost=w,
            tool_cost=t,
            total_cost=i + r + w + o + t,
            price_version=self.version,
            model_found=True,
        )

    def dearest(self, provider: str, model: str, at_us: int) -> Dearest | None:
        """The highest rates that a request for a model can be billed at; None if none is known. Kept for an hour."""
        key = (provider, model)
        known = self._dearest.get(key)
        if known is None or not known[0] <= at_us < known[0] + _DEAREST_KEPT_US:
            if len(model) > MAX_MODEL_CHARS:
                return None
            if len(self._dearest) >= MAX_CARDS:
                self._dearest.clear()
            known = self._dearest[key] = (at_us, dearest(self._book, provider, model, at_us))
        return known[1]

    def text_rates(self, provider: str, model: str, tier: str | None, at_us: int) -> TextRates | None:
        """What plain text costs at a tier; None where that is not told by its tokens alone, or not known."""
        key = (provider, model, tier)
        known = self._text_rates.get(key)
        if known is None or not known[0] <= at_us < known[1]:
            if len(model) > MAX_MODEL_CHARS:
                return None
            if len(self._text_rates) >= MAX_CARDS:
                self._text_rates.clear()
            card = self._card(provider, model, Reading(state=UsageState.ESTIMATED, service_tier=tier), at_us)
            known = self._text_rates[key] = (card.start_us, card.until_us, text_rates(card))
        return known[2]

    def card(self, kind: Kind, at_us: int) -> Card:
        """The card for a kind of request, made anew; for showing prices."""
        return make_card(self._book, kind, at_us)

    def _card(self, provider: str, model: str, reading: Reading, at_us: int) -> Card:
        key = (provider, model, reading.service_tier, reading.speed, reading.geo, reading.batch)
        card = self._cards.get(key)
        if card is None or not card.start_us <= at_us < card.until_us:
            if len(model) > MAX_MODEL_CHARS:
                return make_card(self._book, Kind(provider, "", None, None, None, False), at_us)
            if len(self._cards) >= MAX_CARDS:
                self._cards.clear()
            card = self._cards[key] = make_card(self._book, Kind(*key), at_us)
        return card

    def _bill_of_many(self, provider: str, reading: Reading, facts: RequestFacts, at_us: int) -> Bill:
        """Several parts: advisor, fallback and compaction turns, each at its own model's rates and prompt length."""
        costs = [0, 0, 0, 0, 0]
        problems: dict[str, None] = {}
        found = True
        for number, part in enumerate(reading.parts):
            card = self._card(provider, part.model or reading.model or facts.model or "", reading, at_us)
            found = found and card.found
            if number == 0:
                costs[4] += card.request_fee
            problem = card.problem or _add(part, card, costs)
            if problem:
                problems[problem] = None
        if problems:
            return Bill(price_version=self.version, model_found=found, problems=tuple(problems))
        i, r, w, o, t = costs
        return Bill(
            input_cost=i,
            output_cost=o,
            cache_read_cost=r,
            cache_creation_cost=w,
            tool_cost=t,
            total_cost=i + r + w + o + t,
            price_version=self.version,
            model_found=True,
        )

    def _without_parts(self, provider: str, api: Api, reading: Reading, facts: RequestFacts, at_us: int) -> Bill:
        """Free endpoints and error replies cost nothing; a reply that lacks its usage costs nobody knows what."""
        model = reading.model or facts.model
        found = bool(model) and self._card(provider, model or "", reading, at_us).found
        is_error = reading.error_type is not None or reading.error_message is not None
        nothing_used = reading.state is UsageState.NONE and not reading.problems
        if api in FREE_APIS or is_error or nothing_used:
            return Bill(
                input_cost=0,
                output_cost=0,
                cache_read_cost=0,
                cache_creation_cost=0,
                tool_cost=0,
                total_cost=0,
                price_version=self.version,
                model_found=found,
            )
        return Bill(price_version=self.version, model_found=found, problems=("no_usage",))

    def _take(self, newest: catalogue.Catalogue, overlay: adjustments.Layer | None) -> None:
        supplement = adjustments.supplement()
        layers = (supplement.rules, overlay.rules) if overlay else (supplement.rules,)
        self._book = PriceBook(newest, layers)
        self.version = f"{newest.version}-{supplement.digest}" + (f"+{overlay.digest}" if overlay else "")
        self._cards = {}
        self._dearest = {}
        self._text_rates = {}

    def _overlay_at_start(self) -> adjustments.Layer | None:
        if self._overlay is None:
            return None
        try:
            layer = adjustments.read_overlay(self._overlay)
        except adjustments.OverlayError as wrong:
            self.overlay_error = str(wrong)
            kept = store.last_good_overlay(self._prices_dir, self._overlay)
            if kept is None:
                raise
            return kept
        store.keep_overlay(self._prices_dir, self._overlay)
        return layer

    def _signs(self) -> object:
        """What changes when one of the files does."""
        paths = (store.current_path(self._prices_dir), self._overlay)
        return tuple(_sign(path) for path in paths if path is not None)


def _sign(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _add(part: Part, card: Card, costs: list[int]) -> str | None:
    """Add a part's costs to the five sums; the code of the first problem instead, if a unit has no rate."""
    counts = part.counts
    rates = card.rates
    if card.longer:
        prompt = part.context
        if prompt is None:
            prompt = sum([count for bucket, count in counts.items() if bucket in PROMPT_BUCKETS])
        for above, long_rates in card.longer:
            if prompt > above:
                rates = long_rates
                break
    for bucket, count in counts.items():
        rate = rates.get(bucket)
        if rate is None or count < 0:
            if count == 0:
                continue
            return _why(bucket, count, card)
        costs[rate[0]] += count * rate[1]
    return None


def _why(bucket: Bucket, count: int, card: Card) -> str:
    if count < 0:
        return f"negative_count:{bucket}"
    return f"{'inexact_rate' if bucket in card.inexact else 'no_rate'}:{bucket}"
