"""Figures for Prometheus: what was recorded, how far recording is behind, and what each front desk counts.

Counters are this process's own: they begin at 0 when it starts, as Prometheus expects of any process. For sums that
survive, ask the database.
"""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from majordomo import __version__
from majordomo.price.bill import usd
from majordomo.record.claude_sessions import BAD_SESSION, FOREIGN_SESSION
from majordomo.record.stats import WriterStats
from majordomo.report.front_desks import FrontDesk
from majordomo.report.vitals import Sources

CONTENT_TYPE = CONTENT_TYPE_LATEST


def expose(sources: Sources) -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(sources))
    ProcessCollector(namespace="majordomo_back_office", registry=registry)
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All families, made anew from the figures of now."""
        yield _gauge("build_info", "Version of the gateway", 1, version=__version__)
        stats = self._sources.recorded()
        yield from _recorded(stats)
        yield from _recording(stats)
        yield from _claude_sessions(stats)
        yield _budget_alerts(stats)
        yield from self._journal()
        yield from self._prices()
        yield from _front_desks(self._sources.front_desks())

    def _journal(self) -> Iterator[Metric]:
        figures = self._sources.journal()
        yield _gauge("journal_lag_seconds", "How long what is not in the database yet has waited", figures.lag_seconds)
        yield _gauge("journal_waiting_bytes", "Journal not yet in the database", figures.waiting_bytes)
        yield _gauge("dead_letters", "Rows that the database refused, kept in files", figures.dead_letters)

    def _prices(self) -> Iterator[Metric]:
        figures = self._sources.prices()
        yield _gauge("prices_info", "Version of the prices in use", 1, version=figures.version)
        if figures.age_seconds is not None:
            yield _gauge("prices_age_seconds", "Since the price feed was last found good", figures.age_seconds)
        yield _gauge("prices_refresh_failed", "1 if the last refresh of the feed failed", float(figures.error))


def _recorded(stats: WriterStats) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "majordomo_requests", "Requests recorded in the database", labels=["provider", "outcome", "status"]
    )
    for (provider, outcome, status), count in sorted(stats.requests.items(), key=str):
        requests.add_metric([provider or "none", outcome, str(status or "none")], count)
    yield requests
    tokens = CounterMetricFamily("majordomo_tokens", "Tokens recorded, each in one class", labels=["provider", "class"])
    for provider in sorted({provider for provider, _ in stats.tokens}):
        cached, written = stats.tokens[provider, "cached"], stats.tokens[provider, "cache_creation"]
        tokens.add_metric([provider, "input"], stats.tokens[provider, "prompt"] - cached - written)
        tokens.add_metric([provider, "cache_read"], cached)
        tokens.add_metric([provider, "cache_write"], written)
        tokens.add_metric([provider, "output"], stats.tokens[provider, "output"])
    yield tokens
    cost = CounterMetricFamily(
        "majordomo_cost_usd", "Cost of what was recorded; a float, exact sums are in the database", labels=["provider"]
    )
    for provider, femto in sorted(stats.cost_femto.items()):
        cost.add_metric([provider], float(usd(femto)))
    yield cost
    yield _counter("unpriced_requests", "Requests that used something without a known price", stats.unpriced)


def _recording(stats: WriterStats) -> Iterator[Metric]:
    yield _counter("recorded_rows", "Rows written to the database", stats.rows)
    yield _counter("recorded_batches", "Transactions that wrote them", stats.batches)
    yield _counter("record_failures", "Transactions that failed and were tried again", stats.failures)
    yield _gauge("periods_to_sum", "Hours and days whose reports by two dimensions read rows", stats.periods_to_sum)
    yield _counter("journal_damaged_bytes", "Journal that nobody can read", stats.damaged_bytes)


def _claude_sessions(stats: WriterStats) -> Iterator[Metric]:
    if stats.open_sessions is not None:
        yield _gauge("claude_sessions_open", "Claude Code sessions without an end", stats.open_sessions)
    ignored = CounterMetricFamily(
        "majordomo_claude_sessions_ignored",
        "Requests recorded without the session they named: another key's, or no UUID",
        labels=["reason"],
    )
    for reason in (FOREIGN_SESSION, BAD_SESSION):
        ignored.add_metric([reason], stats.ignored_sessions[reason])
    yield ignored


def _budget_alerts(stats: WriterStats) -> Metric:
    alerts = CounterMetricFamily(
        "majordomo_budget_alerts", "Thresholds of budgets that were reached", labels=["budget", "percent"]
    )
    for (budget, percent), count in sorted(stats.budget_alerts.items()):
        alerts.add_metric([budget, str(percent)], count)
    return alerts


def _front_desks(desks: list[FrontDesk]) -> Iterator[Metric]:
    up = GaugeMetricFamily("majordomo_front_desk_up", "1 if it wrote its status lately", labels=["worker"])
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for desk in desks:
        up.add_metric([desk.worker], float(desk.serving))
        kinds: tuple[tuple[type[GaugeMetricFamily | CounterMetricFamily], dict[str, float]], ...] = (
            (GaugeMetricFamily, desk.gauges),
            (CounterMetricFamily, desk.counters),
        )
        for kind, values in kinds:
            for name, value in values.items():
                full = f"majordomo_front_desk_{name}"
                family = families.setdefault(full, kind(full, f"Front desk: {name}", labels=["worker"]))
                if isinstance(family, kind):  # a name that is both keeps its first meaning
                    family.add_metric([desk.worker], value)
    yield up
    yield from families.values()


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"majordomo_{name}", help_text, value=value)


def _gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"majordomo_{name}", help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
