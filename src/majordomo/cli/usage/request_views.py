"""How requests and failures look on a terminal, and as JSON."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from majordomo.cli.tables import NONE, cell, console, count, fitted, moment, money_column, percent, table
from majordomo.cli.usage.views import period_json, span_text
from majordomo.report.questions.asking import Asked
from majordomo.report.questions.billed import UNITS, BilledBucket
from majordomo.report.questions.explorer import RequestLine
from majordomo.report.questions.failures import Failures
from majordomo.report.questions.plain import exact
from majordomo.report.questions.usage import Usage

if TYPE_CHECKING:
    from rich.text import Text

_MILLION = 1_000_000

#: Columns from which on a request's id has room beside the rest.
_WIDE = 140


def lines_json(asked: Asked, lines: Sequence[RequestLine]) -> list[dict[str, Any]]:
    """Requests for programs, each with its gateway key's name."""
    import msgspec

    return [{**msgspec.structs.asdict(line), "key_name": _key_name(asked, line)} for line in lines]


def _key_name(asked: Asked, line: RequestLine) -> str | None:
    return asked.known.keys.get(str(line.majordomo_api_key_id))


def errors_json(asked: Asked, found: Failures, whole: Usage) -> dict[str, Any]:
    """Failures for programs."""
    counts = {"requests": whole.requests, "errors": found.all_requests, "kinds": found.all_kinds}
    return {**period_json(asked.period), **counts, "rows": found.kinds}


def print_errors(asked: Asked, found: Failures, whole: Usage) -> None:
    """A row a kind, with what was said of its newest request."""
    out = console()
    share = f" ({percent(found.all_requests / whole.requests)})" if whole.requests else ""
    told = f"{count(found.all_requests)} of {count(whole.requests)} requests failed{share}"
    out.print(cell(f"{span_text(asked.period)}: {told}.", "bold"))
    if not found.kinds:
        return
    shown = table(
        "Requests", "Error", "Provider/model", "Last (UTC)", "Newest request", "It said",
        numbers=("Requests",), whole=("Last (UTC)", "Newest request"),
    )  # fmt: skip
    for kind in found.kinds:
        ending = [] if kind.outcome == "completed" else [kind.outcome]
        ending += [str(part) for part in (kind.status_code, kind.error_type) if part is not None]
        shown.add_row(
            count(kind.requests),
            cell(" ".join(ending)),
            cell(f"{kind.provider or NONE}/{kind.model or NONE}"),
            moment(kind.last_at),
            str(kind.sample_id),
            cell((kind.sample_message or "")[:120]),
        )
    out.print(fitted(shown, out, ("It said", "Last (UTC)")))
    if found.all_kinds > len(found.kinds):
        out.print(cell(f"{count(found.all_kinds - len(found.kinds))} further kinds; more with --limit.", "dim"))


def print_requests(asked: Asked, lines: Sequence[RequestLine], limit: int) -> None:
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
            cell(_key_name(asked, line)),
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
