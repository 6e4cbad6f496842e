"""Figures for Prometheus: what was recorded, how far recording is behind, and what each front desk counts.

Counters are this process's own: they begin at 0 when it starts, as Prometheus expects of any process. For sums that
survive, ask the database.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from majordomo import __version__
from majordomo.meter.reading import UsageState
from majordomo.price.bill import usd
from majordomo.record.rows import Finished
from majordomo.report.vitals import Sources

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Different (provider, outcome, status) counted apart. Providers are named by callers from a configured list, so real
#: installations have dozens; beyond this the label is "other", as no caller may fill a metrics store.
_MOST_SERIES = 2_000
_OTHER = "other"


class Traffic:
    """Requests that reached the database since this process began, added up."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()  # provider, outcome, status
        self.tokens: Counter[tuple[str, str]] = Counter()  # provider, class
        self.cost_femto: Counter[str] = Counter()  # provider
        self.unpriced: Counter[str] = Counter()
        self.estimated: Counter[str] = Counter()

    def add(self, batch: list[Finished]) -> None:
        """Count rows that were just committed."""
        for opening, close in batch:
            status = str(close.status_code) if close.status_code is not None else "none"
            label = (opening.provider or "none", close.outcome.value, status)
            if label not in self.requests and len(self.requests) >= _MOST_SERIES:
                label = (_OTHER, close.outcome.value, _OTHER)
            provider = label[0]
            self.requests[label] += 1
            cached, written = close.cached_tokens or 0, close.cache_creation_tokens or 0
            self.tokens[provider, "input"] += (close.prompt_tokens or 0) - cached - written
            self.tokens[provider, "cache_read"] += cached
            self.tokens[provider, "cache_write"] += written
            self.tokens[provider, "output"] += close.output_tokens or 0
            if close.bill.total_cost is not None:
                self.cost_femto[provider] += close.bill.total_cost
            elif close.usage_state is not UsageState.NONE:
                self.unpriced[provider] += 1
            if close.usage_state is UsageState.ESTIMATED:
                self.estimated[provider] += 1


def expose(sources: Sources, traffic: Traffic) -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(sources, traffic))
    ProcessCollector(namespace="majordomo_back_office", registry=registry)
    return generate_latest(registry)


class _Figures:
    def __init__(self, sources: Sources, traffic: Traffic) -> None:
        self._sources = sources
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """All families, made anew from the figures of now."""
        yield _gauge("build_info", "Version of the gateway", 1, version=__version__)
        yield from _recorded(self._traffic)
        yield from self._journal()
        yield from self._prices()
        yield from self._front_desks()

    def _journal(self) -> Iterator[Metric]:
        figures = self._sources.journal()
        yield _gauge("journal_lag_seconds", "How long the oldest unwritten request has waited", figures.lag_seconds)
        yield _gauge("journal_waiting_bytes", "Journal not yet in the database", figures.waiting_bytes)
        yield _gauge("dead_letters", "Rows that the database refused, kept in files", figures.dead_letters)

    def _prices(self) -> Iterator[Metric]:
        figures = self._sources.prices()
        yield _gauge("prices_info", "Version of the prices in use", 1, version=figures.version)
        if figures.age_seconds is not None:
            yield _gauge("prices_age_seconds", "Since the price feed was last found good", figures.age_seconds)
        yield _gauge("prices_refresh_failed", "1 if the last refresh of the feed failed", float(figures.error))

    def _front_desks(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        desks = self._sources.front_desks()
        up = GaugeMetricFamily("majordomo_front_desk_up", "1 if it wrote its status lately", labels=["worker"])
        for desk in desks:
            up.add_metric([desk.worker], float(desk.serving))
            for kind, values in ((GaugeMetricFamily, desk.gauges), (CounterMetricFamily, desk.counters)):
                for name, value in values.items():
                    full = f"majordomo_front_desk_{name}"
                    family = families.setdefault(full, kind(full, f"Front desk: {name}", labels=["worker"]))
                    if isinstance(family, kind):  # a name that is both keeps its first meaning
                        family.add_metric([desk.worker], value)
        yield up
        yield from families.values()


def _recorded(traffic: Traffic) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "majordomo_requests", "Requests recorded in the database", labels=["provider", "outcome", "status"]
    )
    for labels, count in sorted(traffic.requests.items()):
        requests.add_metric(labels, count)
    yield requests
    tokens = CounterMetricFamily("majordomo_tokens", "Tokens recorded, each in one class", labels=["provider", "class"])
    for labels_of_tokens, count in sorted(traffic.tokens.items()):
        tokens.add_metric(labels_of_tokens, count)
    yield tokens
    costs = {provider: float(usd(femto)) for provider, femto in traffic.cost_femto.items()}
    yield _by_provider("cost_usd", "Cost of the recorded requests; a float, exact sums are in the database", costs)
    yield _by_provider("unpriced_requests", "Requests that used something without a known price", traffic.unpriced)
    yield _by_provider("estimated_requests", "Requests with some estimated count", traffic.estimated)


def _by_provider(name: str, help_text: str, values: "Counter[str] | dict[str, float]") -> Metric:
    family = CounterMetricFamily(f"majordomo_{name}", help_text, labels=["provider"])
    for provider, value in sorted(values.items()):
        family.add_metric([provider], value)
    return family


def _gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"majordomo_{name}", help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
