"""The metrics page: names and figures that a monitoring system can rely on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from majordomo.report.front_desks import FrontDesk, read_front_desks
from majordomo.report.vitals import JournalFigures


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_recorded_traffic_is_counted(call: Callable[..., Any], signs: Any) -> None:
    """Requests by outcome, tokens each in one class, cost, and what has no price."""
    signs.stats.requests.update({("openai", "completed", 200): 3, ("openai", "lost", None): 1, ("", "refused", 404): 2})
    signs.stats.tokens.update({("openai", "prompt"): 100, ("openai", "cached"): 30, ("openai", "cache_creation"): 20})
    signs.stats.tokens["openai", "output"] = 7
    signs.stats.cost_femto["openai"] = 25 * 10**14
    signs.stats.unpriced = 4
    found = samples(call("/metrics").body.decode())

    def requests(provider: str, outcome: str, status: str) -> float:
        return found["majordomo_requests_total", (("outcome", outcome), ("provider", provider), ("status", status))]

    assert requests("openai", "completed", "200") == 3
    assert requests("openai", "lost", "none") == 1
    assert requests("none", "refused", "404") == 2
    tokens = {labels[0][1]: value for (name, labels), value in found.items() if name == "majordomo_tokens_total"}
    assert tokens == {"input": 50, "cache_read": 30, "cache_write": 20, "output": 7}
    assert found["majordomo_cost_usd_total", (("provider", "openai"),)] == 2.5
    assert found["majordomo_unpriced_requests_total", ()] == 4


def test_lag_dead_letters_and_prices_are_told(call: Callable[..., Any], signs: Any) -> None:
    """What an alert would watch."""
    signs.journal_figures = JournalFigures(2.5, 1234, 6)
    found = samples(call("/metrics").body.decode())
    assert found["majordomo_journal_lag_seconds", ()] == 2.5
    assert found["majordomo_journal_waiting_bytes", ()] == 1234
    assert found["majordomo_dead_letters", ()] == 6
    assert found["majordomo_prices_age_seconds", ()] == 60
    assert found["majordomo_prices_info", (("version", "v1"),)] == 1


def test_front_desks_are_told_apart(call: Callable[..., Any], signs: Any) -> None:
    """Each worker's own counters and gauges, and whether it lives."""
    signs.desks = [
        FrontDesk("0", 0.1, True, {"callers": 3.0}, {"requests": 7.0}),
        FrontDesk("1", 99.0, True, {"callers": 0.0}, {"requests": 2.0, "callers": 1.0}),
    ]
    found = samples(call("/metrics").body.decode())
    assert found["majordomo_front_desk_up", (("worker", "0"),)] == 1
    assert found["majordomo_front_desk_up", (("worker", "1"),)] == 0
    assert found["majordomo_front_desk_requests_total", (("worker", "0"),)] == 7
    assert found["majordomo_front_desk_requests_total", (("worker", "1"),)] == 2
    assert found["majordomo_front_desk_callers", (("worker", "0"),)] == 3


def test_status_files_of_any_content_are_read_or_passed_over(tmp_path: Path) -> None:
    """Half a file, another shape or odd values never keep the page from being made."""
    status = {"at": 5_000_000, "callers": 2, "keys_fresh": False, "x y": 1}
    status["counters"] = {"requests": 3, "no": "number", "yes": True}
    (tmp_path / "front-desk-0.json").write_text(json.dumps(status))
    (tmp_path / "front-desk-1.json").write_text('{"at": 50')
    (tmp_path / "front-desk-2.json").write_text("[]")
    (tmp_path / "front-desk-3.json").write_text('{"counters": []}')
    (tmp_path / "other.json").write_text("{}")
    zero, three = read_front_desks(tmp_path, 6_000_000)
    assert (zero.worker, zero.age, zero.serving, zero.keys_fresh) == ("0", 1.0, True, False)
    assert (zero.gauges, zero.counters) == ({"callers": 2.0}, {"requests": 3.0})
    assert (three.worker, three.serving, three.counters) == ("3", False, {})
