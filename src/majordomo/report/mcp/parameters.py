"""What the tools take, described for a model that has never seen the API."""

from typing import Annotated, Final, Literal

from pydantic import Field

from majordomo.report.questions.periods import PRESETS

PeriodParameter = Annotated[
    str | None, Field(description=f"One of {', '.join(PRESETS)}; 30d if neither this nor since is given.")
]
SinceParameter = Annotated[
    str | None, Field(description="Instead of period: 2026-11-21 or 2026-11-21T14:30, by the clock of timezone.")
]
UntilParameter = Annotated[str | None, Field(description="With since: before then; now if left out.")]
ZoneParameter = Annotated[str, Field(description="An IANA name, such as Europe/Berlin; days begin by its clock.")]
FiltersParameter = Annotated[
    list[str] | None,
    Field(
        description="Each DIMENSION:VALUE keeps these requests, -DIMENSION:VALUE leaves them out, DIMENSION keeps "
        "those with any value, -DIMENSION those with none. Values of one dimension widen, several dimensions narrow. "
        "The dimensions tool lists them: model, provider, key, session, metadata keys such as Team, and more."
    ),
]
_DIMENSION: Final = "model, provider, key, status, session, run, query_class, a metadata key such as Team, ..."
DimensionParameter = Annotated[str, Field(description=_DIMENSION)]
OptionalDimension = Annotated[str | None, Field(description=f"{_DIMENSION} In all if left out.")]
CompareParameter = Annotated[bool, Field(description="Besides, the time of the same length before.")]
Order = Annotated[
    Literal["total_cost", "requests", "errors", "prompt_tokens", "output_tokens"],
    Field(description="What makes a value the foremost."),
]
CursorParameter = Annotated[str | None, Field(description="The next_cursor of the page before.")]


def common(
    period: str | None, since: str | None, until: str | None, timezone: str, filters: list[str] | None
) -> dict[str, str | list[str] | None]:
    """The same as the API names it."""
    return {"period": period, "from": since, "to": until, "timezone": timezone, "filter": filters}
