"""How answers about usage look on a terminal, and as JSON."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from majordomo.cli.tables import NONE, cell, console, count, fitted, moment, money_column, percent, table
from majordomo.report.questions.billed import UNITS, BilledBucket
from majordomo.report.questions.plain import exact
from majordomo.report.questions.requests import RequestLine
from majordomo.report.questions.scope import Scope
from majordomo.report.questions.usage import DIMENSIONS, Breakdown, Summary, Usage

if TYPE_CHECKING:
    from rich.text import Text

    from majordomo.settings import Settings

_COSTS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_cost"))
_MILLION = 1_000_000
_UNKNOWN = "unknown"
_NONE_ROW = "(none)"

#: Columns from which on a request's id has room beside the rest.
_WIDE = 140


def summary_json(scope: Scope, answer: Summary) -> dict[str, Any]:
    """A summary for programs."""
    return {**_span_json(scope), **usage_json(answer.usage), "estimated": answer.estimated, "lost": answer.lost}


def breakdown_json(scope: Scope, answer: Breakdown) -> dict[str, Any]:
    """A breakdown for programs; the value of requests that have none is null, and so are costs that nobody knows."""
    rows = [{"value": share.value, "label": share.label, **_share_json(share.usage)} for share in answer.shares]
    rest = None if answer.rest is None else {"values": answer.rest_values, **_share_json(answer.rest)}
    return {
        **_span_json(scope),
        "dimension": answer.dimension,
        "rows": rows,
        "rest": rest,
        "total": usage_json(answer.total),
    }


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


def _span_json(scope: Scope) -> dict[str, Any]:
    return {"from": scope.since, "to": scope.until}


def print_summary(scope: Scope, answer: Summary) -> None:
    """Requests, then tokens and cost by class, then what is uncertain."""
    usage = answer.usage
    out = console()
    failed = f", {count(usage.errors)} of them failed" if usage.errors else ""
    out.print(cell(f"{_span(scope)}: {count(usage.requests)} requests{failed}.", "bold"))
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
    for line in _uncertain(answer):
        out.print(cell(line, "yellow"))


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


def print_breakdown(scope: Scope, answer: Breakdown, sent_names: Sequence[str]) -> None:
    """One row a value, one for the others, one for the total."""
    out = console()
    title = {"hour": "hour (UTC)", "day": "day (UTC)", "month": "month (UTC)"}.get(answer.dimension, answer.dimension)
    out.print(cell(f"{_span(scope)}, by {title}.", "bold"))
    numbers = ("Requests", "Errors", "Prompt", "Cached", "Output", "Cost USD", "Share", "Mean ms")
    columns = [title[:1].upper() + title[1:], *numbers]
    unpriced = bool(answer.total.unpriced)
    if unpriced:
        columns.append("Unpriced")
    shown = table(*columns, numbers=(*numbers, "Unpriced"))
    rows = [(cell(_label(share.value, share.label)), share.usage) for share in answer.shares]
    if answer.rest is not None:
        rows.append((cell(f"({count(answer.rest_values)} others)", "dim"), answer.rest))
    *costs, total_cost = money_column([*(usage.total_cost for _, usage in rows), answer.total.total_cost])
    for (label, usage), cost in zip(rows, costs, strict=True):
        told = _UNKNOWN if usage.cost_unknown else cost
        shown.add_row(label, *_figures(usage, told, answer.total, unpriced))
    shown.add_section()
    shown.add_row("Total", *_figures(answer.total, total_cost, answer.total, unpriced), style="bold")
    out.print(fitted(shown, out, ("Mean ms", "Share", "Cached", "Errors", "Output", "Prompt")))
    for line in _unpriced(answer.total):
        out.print(cell(line, "yellow"))
    if answer.dimension not in DIMENSIONS and not any(share.value is not None for share in answer.shares):
        named = f" Keys that requests carry: {', '.join(sent_names)}." if sent_names else ""
        out.print(
            cell(
                f"No request carries the metadata key {answer.dimension}.{named} "
                f"Send it as a header: X-Majordomo-{answer.dimension}: VALUE",
                "yellow",
            )
        )


def _label(value: str | None, label: str | None) -> str:
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


def print_requests(lines: Sequence[RequestLine], limit: int) -> None:
    """One row a request; on a narrow terminal without ids, and with shorter times."""
    out = console()
    narrow = out.width < _WIDE
    columns = ["Time (UTC)", "Key", "Provider/model", "Prompt", "Output", "Cost USD", "", "Result", "ms"]
    if not narrow:
        columns.append("Id")
    shown = table(*columns, numbers=("Prompt", "Output", "Cost USD", "ms"), whole=("Time (UTC)", "Id"))
    for line, cost in zip(lines, money_column([line.total_cost for line in lines]), strict=True):
        row: list[Text | str] = [
            cell(moment(line.requested_at)[5 if narrow else 0 :]),
            cell(line.key_name),
            cell(f"{line.provider or NONE}/{line.model or NONE}"),
            count(line.prompt_tokens),
            count(line.output_tokens),
            cost,
            _mark(line),
            cell(_result(line)),
            count(line.response_time_ms),
        ]
        if not narrow:
            row.append(cell(line.id))
        shown.add_row(*row)
    out.print(fitted(shown, out, ("ms", "Key", "Output", "Prompt")))
    notes = []
    if any(line.usage_state == "estimated" for line in lines):
        notes.append("~ with an estimated count")
    if any(_is_unpriced(line) for line in lines):
        notes.append("? no known price")
    if len(lines) == limit:
        notes.append(f"the newest {count(limit)}, more with --limit")
    notes.append("all of one: majordomo usage request ID (or: latest)")
    out.print(cell("; ".join(notes) + ".", "dim"))


def _mark(line: RequestLine) -> str:
    if _is_unpriced(line):
        return "?"
    return "~" if line.usage_state == "estimated" else ""


def _is_unpriced(line: RequestLine) -> bool:
    return line.total_cost is None and line.usage_state != "none"


def _result(line: RequestLine) -> str:
    """Status and kind of error; how it ended only where that is not as it should."""
    told = [] if line.outcome == "completed" else [line.outcome]
    told += [str(part) for part in (line.status_code, line.error_type) if part is not None]
    return " ".join(told) or line.outcome


def print_request(row: Mapping[str, Any], buckets: Sequence[BilledBucket]) -> None:
    """Every field that has a value, then the cost by bucket."""
    out = console()
    shown = table("Field", "Value", whole=("Field",))
    shown.show_header = False
    empty = []
    for name, value in row.items():
        if value is None or value in ({}, []):
            empty.append(name)
        elif name != "billed":
            shown.add_row(name, cell(_shown(value)))
    out.print(shown)
    if empty:
        out.print(cell(f"Without a value: {', '.join(empty)}.", "dim"))
    if buckets:
        _print_buckets(row, buckets)


def _print_buckets(row: Mapping[str, Any], buckets: Sequence[BilledBucket]) -> None:
    out = console()
    rated = all(bucket.cost is not None for bucket in buckets)
    shown = table(
        "Billed", "Model", "Count", "USD per million", "Cost USD", numbers=("Count", "USD per million", "Cost USD")
    )
    *costs, total = money_column([*(bucket.cost for bucket in buckets), row["total_cost"]])
    rates = money_column([None if bucket.rate is None else bucket.rate * _MILLION for bucket in buckets])
    for bucket, rate, cost in zip(buckets, rates, costs, strict=True):
        unit = UNITS.get(bucket.bucket, "tokens")
        shown.add_row(cell(f"{bucket.bucket} ({unit})"), cell(bucket.model), count(bucket.count), rate, cost)
    shown.add_section()
    shown.add_row("Total", "", "", "", total, style="bold")
    out.print()
    out.print(shown)
    if not rated:
        why = (
            "No price is known for this request."
            if row["total_cost"] is None
            else "Rates are not shown: the prices of today do not give the cost that was recorded then."
        )
        out.print(cell(why, "yellow"))


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, dict | list):
        import msgspec

        from majordomo.report.questions.plain import plain

        return msgspec.json.encode(plain(value)).decode()
    return str(value)


def print_nothing(settings: "Settings", scope: Scope, *, narrowed: bool = False) -> None:
    """What to do where there is nothing to show."""
    out = console()
    if narrowed or scope != Scope():
        out.print(cell(f"{_span(scope)}: no request matches. Widen the time, or leave a filter out."))
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


def _span(scope: Scope) -> str:
    if scope.since is None and scope.until is None:
        return "All time"
    since = "the beginning" if scope.since is None else f"{scope.since:%Y-%m-%d %H:%M}"
    until = "now" if scope.until is None else f"{scope.until:%Y-%m-%d %H:%M}"
    return f"{since} to {until} (UTC)"
