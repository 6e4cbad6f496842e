"""How sums of usage look on a terminal, and as JSON."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from majordomo.cli.tables import NONE, cell, console, count, fitted, money_column, percent, table
from majordomo.report.questions.asking import Asked
from majordomo.report.questions.periods import Granularity, Period
from majordomo.report.questions.pivot import Breakdown, Summary
from majordomo.report.questions.scope import BEGINNING, END
from majordomo.report.questions.usage import Usage

if TYPE_CHECKING:
    from majordomo.settings import Settings

_COSTS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_cost"))
_UNKNOWN = "unknown"
_NONE_ROW = "(none)"


def period_json(period: Period) -> dict[str, Any]:
    """A time for programs; null for no bound."""
    return {"from": _bound(period.since), "to": _bound(period.until), "timezone": period.zone}


def _bound(moment: dt.datetime) -> dt.datetime | None:
    return None if moment in (BEGINNING, END) else moment


def summary_json(period: Period, answer: Summary, before: Summary | None = None) -> dict[str, Any]:
    """A summary for programs."""
    told = {**period_json(period), **usage_json(answer.usage), "estimated": answer.estimated, "lost": answer.lost}
    return {**told, "previous": None if before is None else summary_json(period.previous, before)}


def breakdown_json(asked: Asked, name: str, answer: Breakdown, before: Breakdown | None = None) -> dict[str, Any]:
    """A breakdown for programs; the value of requests that have none is null, and so are costs that nobody knows."""
    earlier = _by_value(before)

    def previous(usage: Usage | None) -> dict[str, Any]:
        return {} if before is None else {"previous": usage_json(usage or Usage())}

    rows = [
        {"value": share.value, "label": asked.known.label(name, share.value), **_share_json(share.usage),
         **previous(earlier.get(share.value))}
        for share in answer.shares
    ]  # fmt: skip
    rest = None
    if answer.rest is not None:
        rest = {"values": answer.rest_values, **_share_json(answer.rest), **previous(before.rest if before else None)}
    total = {**usage_json(answer.total), **previous(before.total if before else None)}
    return {**period_json(asked.period), "dimension": name, "rows": rows, "rest": rest, "total": total}


def _by_value(answer: Breakdown | None) -> dict[str | None, Usage]:
    return {share.value: share.usage for share in answer.shares} if answer else {}


def usage_json(usage: Usage) -> dict[str, Any]:
    """Sums for programs: the stored ones, and what follows from them."""
    import msgspec

    return {
        **msgspec.structs.asdict(usage),
        "uncached_tokens": usage.uncached_tokens,
        "cache_hit_rate": usage.cache_hit_rate,
        "mean_response_ms": usage.mean_response_ms,
    }


def _share_json(usage: Usage) -> dict[str, Any]:
    return {**usage_json(usage), **(dict.fromkeys(_COSTS) if usage.cost_unknown else {})}


def print_summary(period: Period, answer: Summary, before: Summary | None = None) -> None:
    """Requests, then tokens and cost by class, then what is uncertain."""
    usage = answer.usage
    out = console()
    failed = f", {count(usage.errors)} of them failed" if usage.errors else ""
    out.print(cell(f"{span_text(period)}: {count(usage.requests)} requests{failed}.", "bold"))
    shown = table("Class", "Tokens", "Cost USD", numbers=("Tokens", "Cost USD"))
    classes = (
        ("Input, uncached", count(usage.uncached_tokens), usage.input_cost),
        ("Cache read", count(usage.cached_tokens), usage.cache_read_cost),
        ("Cache write", count(usage.cache_creation_tokens), usage.cache_creation_cost),
        ("Output", count(usage.output_tokens), usage.output_cost),
        ("Tools and fees", "", usage.tool_cost),
    )
    *costs, total = money_column([*(cost for _, _, cost in classes), usage.total_cost])
    for (name, tokens, _), cost in zip(classes, costs, strict=True):
        shown.add_row(name, tokens, cost)
    shown.add_section()
    shown.add_row("Total", count(usage.prompt_tokens + usage.output_tokens), total, style="bold")
    out.print(shown)
    facts = [f"Cache hit rate {percent(usage.cache_hit_rate)} of prompt tokens"]
    if usage.reasoning_tokens:
        facts.append(f"{count(usage.reasoning_tokens)} output tokens were reasoning")
    if usage.mean_response_ms is not None:
        facts.append(f"mean response time {usage.mean_response_ms:,.0f} ms")
    out.print(cell("; ".join(facts) + "."))
    if before is not None:
        out.print(cell(_compared(period, usage, before.usage)))
    for line in _uncertain(answer):
        out.print(cell(line, "yellow"))


def _compared(period: Period, usage: Usage, before: Usage) -> str:
    now, then = money_column([usage.total_cost, before.total_cost])
    return (
        f"Before, {span_text(period.previous)}: {count(before.requests)} requests "
        f"({change(usage.requests, before.requests)}), {then} USD against {now} "
        f"({change(usage.total_cost, before.total_cost)})."
    )


def change(now: Any, before: Any) -> str:
    """How much more or less it is now, in per cent."""
    return "new" if not before and now else NONE if not before else f"{float((now - before) / before):+.1%}"


def _uncertain(answer: Summary) -> list[str]:
    lines = _unpriced(answer.usage)
    if answer.estimated:
        lines.append(f"{count(answer.estimated)} requests have an estimated count, as their reply was cut off.")
    if answer.lost:
        lines.append(
            f"{count(answer.lost)} requests were lost in a crash of the gateway: their tokens and cost are unknown."
        )
    return lines


def _unpriced(usage: Usage) -> list[str]:
    if not usage.unpriced:
        return []
    return [
        f"{count(usage.unpriced)} requests used something without a known price; they are not in the cost. "
        "See: majordomo usage requests --unpriced"
    ]


def print_breakdown(asked: Asked, name: str, answer: Breakdown, before: Breakdown | None = None) -> None:
    """One row a value, one for the others, one for the total."""
    out = console()
    title = f"{name} ({asked.period.zone})" if name in list(Granularity) else name
    out.print(cell(f"{span_text(asked.period)}, by {title}.", "bold"))
    numbers = ("Requests", "Errors", "Prompt", "Cached", "Output", "Cost USD", "Share", "Mean ms")
    columns = [title[:1].upper() + title[1:], *numbers]
    unpriced = bool(answer.total.unpriced)
    columns += (["Unpriced"] if unpriced else []) + (["Before USD", "Change"] if before else [])
    shown = table(*columns, numbers=(*numbers, "Unpriced", "Before USD", "Change"))
    earlier = _by_value(before)
    rows = [(cell(value_text(asked, name, one.value)), one.usage, earlier.get(one.value)) for one in answer.shares]
    if answer.rest is not None:
        rows.append(
            (cell(f"({count(answer.rest_values)} others)", "dim"), answer.rest, before.rest if before else None)
        )
    *costs, total_cost = money_column([*(usage.total_cost for _, usage, _ in rows), answer.total.total_cost])
    *then, total_then = _before([*(usage for _, _, usage in rows), before.total if before else None], before)
    for (label, usage, ago), cost, cost_then in zip(rows, costs, then, strict=True):
        told = _UNKNOWN if usage.cost_unknown else cost
        shown.add_row(label, *_figures(usage, told, answer.total, unpriced), *_then(usage, ago, cost_then, before))
    shown.add_section()
    figures = _figures(answer.total, total_cost, answer.total, unpriced)
    shown.add_row(
        "Total", *figures, *_then(answer.total, before.total if before else None, total_then, before), style="bold"
    )
    out.print(fitted(shown, out, ("Mean ms", "Share", "Cached", "Errors", "Output", "Prompt", "Change")))
    for line in _unpriced(answer.total):
        out.print(cell(line, "yellow"))


def _before(usages: Sequence[Usage | None], before: Breakdown | None) -> list[str]:
    """The costs of the time before, in a column; nothing where that was not asked for."""
    if before is None:
        return [""] * len(usages)
    return money_column([(usage or Usage()).total_cost for usage in usages])


def _then(usage: Usage, ago: Usage | None, cost: str, before: Breakdown | None) -> list[str]:
    return [] if before is None else [cost, change(usage.total_cost, (ago or Usage()).total_cost)]


def value_text(asked: Asked, name: str, value: str | None) -> str:
    """What a value is called in a table."""
    label = asked.known.label(name, value)
    if value is None:
        return _NONE_ROW
    if label is not None:
        return f"{label} ({value})"
    return value if value else "(empty)"


def _figures(usage: Usage, cost: str, total: Usage, unpriced: bool) -> list[str]:
    known = total.total_cost and not usage.cost_unknown
    share = float(usage.total_cost / total.total_cost) if known else None
    mean = usage.mean_response_ms
    figures = [
        count(usage.requests),
        count(usage.errors),
        count(usage.prompt_tokens),
        percent(usage.cache_hit_rate),
        count(usage.output_tokens),
        cost,
        percent(share),
        "–" if mean is None else f"{mean:,.0f}",
    ]
    return [*figures, count(usage.unpriced)] if unpriced else figures


def print_nothing(settings: "Settings", period: Period, *, narrowed: bool) -> None:
    """What to do where there is nothing to show."""
    out = console()
    if narrowed:
        out.print(cell(f"{span_text(period)}: no request matches. Widen the time, or leave a filter out."))
        return
    out.print("No requests yet. With the gateway running (majordomo serve), send one:\n")
    out.print(
        f"""  curl {_address(settings)}/v1/chat/completions \\
    -H "X-Majordomo-Key: $MAJORDOMO_KEY" -H "X-Majordomo-Feature: first-try" \\
    -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \\
    -d '{{"model": "gpt-5-mini", "messages": [{{"role": "user", "content": "Say hello."}}]}}'""",
        soft_wrap=True,
    )
    out.print("\nA key for MAJORDOMO_KEY: majordomo keys create --name NAME. Without a provider key: majordomo demo.")


def _address(settings: "Settings") -> str:
    """Where the gateway of these settings listens: as its status file says while it runs, else as the settings do."""
    import msgspec

    from majordomo.places import Places

    host, port = settings.host, settings.port
    try:
        status = msgspec.json.decode((Places(settings.data_dir).run_dir / "supervisor.json").read_bytes())
        host, port = str(status["host"]), int(status["port"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it does not run
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def span_text(period: Period) -> str:
    """A time for people, by the clock of its zone."""
    if period.since == BEGINNING and period.until == END:
        return "All time"
    zone = ZoneInfo(period.zone)
    since = "the beginning" if period.since == BEGINNING else f"{period.since.astimezone(zone):%Y-%m-%d %H:%M}"
    until = "now" if period.running else f"{period.until.astimezone(zone):%Y-%m-%d %H:%M}"
    return f"{since} to {until} ({period.zone})"
