"""The options of the commands about budgets, and the draft that they tell."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from majordomo.cli.options import pairs

if TYPE_CHECKING:
    from majordomo.budget.reach import Known
    from majordomo.settings import Settings

WhichBudget = Annotated[str, typer.Argument(metavar="BUDGET", help="Id or name.")]
LimitOption = Annotated[str | None, typer.Option("--limit", help="The most that may be used.", show_default=False)]
UnitOption = Annotated[
    Literal[
        "usd",
        "tokens",
        "input_tokens",
        "uncached_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "requests",
        "turns",
        "concurrent",
    ]
    | None,
    typer.Option("--unit", help="What is counted. Default: usd.", show_default=False),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="minute, hour, day, week, month, quarter, rolling:24h, session or lifetime. Default: month.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--tz", help="Where its days begin, such as Europe/Berlin. Default: UTC.", show_default=False),
]
WeekStartOption = Annotated[
    str | None, typer.Option("--week-start", help="Day a week begins with. Default: monday.", show_default=False)
]
MonthStartOption = Annotated[
    int | None, typer.Option("--month-start", help="Day a month begins with. Default: 1.", show_default=False)
]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="Gateway key, by id or name. Repeatable.", show_default=False)
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="NAME=VALUE", help="Requests with this metadata. Repeatable.", show_default=False
    ),
]
DeveloperOption = Annotated[
    str | None, typer.Option("--developer", help="The same as --metadata Developer=NAME.", show_default=False)
]
EachOption = Annotated[
    str | None,
    typer.Option(
        "--each",
        metavar="NAME",
        help="A count for each value of a metadata key, or each: key, session, model, provider.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="PATTERN", help="Models, with * and ?. Repeatable.", show_default=False),
]
ProviderOption = Annotated[list[str] | None, typer.Option("--provider", help="Repeatable.", show_default=False)]
SessionOption = Annotated[
    list[str] | None, typer.Option("--session", help="Claude Code session, by id. Repeatable.", show_default=False)
]
ModeOption = Annotated[
    Literal["balanced", "strict"] | None,
    typer.Option(
        "--mode",
        help="Reserve what a request is likely to use, or the most that it can. Default: balanced.",
        show_default=False,
    ),
]
ActionOption = Annotated[
    Literal["enforce", "warn"] | None,
    typer.Option("--action", help="Refuse requests, or only tell. Default: enforce.", show_default=False),
]
UnpricedOption = Annotated[
    str | None,
    typer.Option(
        "--on-unpriced",
        metavar="refuse|allow|ceiling:PRICE",
        help="A model without a known price: refuse it, let it pass uncounted, or count its tokens at PRICE, USD a "
        "million. Default: refuse.",
        show_default=False,
    ),
]
FailOption = Annotated[
    Literal["open", "closed"] | None,
    typer.Option("--fail", help="Let pass or refuse while the database is away. Default: open.", show_default=False),
]
WarnAtOption = Annotated[
    str | None,
    typer.Option("--warn-at", metavar="PERCENT,…", help="Tell at these shares, such as 50,80.", show_default=False),
]
UnseenOption = Annotated[
    bool, typer.Option("--allow-unseen", help="Take models, providers and sessions that nobody knows yet.")
]
ContactOption = Annotated[
    str | None, typer.Option("--contact", help="Whom a refused caller is told to ask.", show_default=False)
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; the history keeps it.", show_default=False)]


def known(settings: "Settings") -> "Known":
    """Providers and models that need not have been seen to be there."""
    from majordomo.budget.reach import Known
    from majordomo.forward.providers import provider_names
    from majordomo.places import Places
    from majordomo.price.pricer import Pricer

    pricer = Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
    return Known(provider_names(settings.providers), pricer.book)


def draft_fields(
    *, key: list[str] | None, metadata: list[str] | None, developer: str | None, model: list[str] | None,
    provider: list[str] | None, session: list[str] | None, warn_at: str | None, each: str | None, tz: str | None,
    **plain: Any,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a draft that were named; an empty text takes what it stands for away."""
    told = {field: value for field, value in plain.items() if value is not None}
    if tz is not None:
        told["time_zone"] = tz
    for field, values in (("keys", key), ("models", model), ("providers", provider), ("sessions", session)):
        if values is not None:
            told[field] = [value for value in values if value]
    if metadata is not None or developer is not None:
        named = pairs("--metadata", [one for one in metadata or [] if one])
        told["metadata"] = named | ({"Developer": developer} if developer else {})
    if each is not None:
        told["each"] = each or None
    if warn_at is not None:
        try:
            told["warn_at"] = [int(part.strip().removesuffix("%")) for part in warn_at.split(",") if part.strip()]
        except ValueError:
            raise typer.BadParameter(f"{warn_at!r}: expected per cent, such as 50,80", param_hint="--warn-at") from None
    return told
