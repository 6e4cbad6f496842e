"""Options that the questions of ``majordomo usage`` share, and which requests in which time they mean."""

import datetime as dt
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

if TYPE_CHECKING:
    from majordomo.report.questions.asking import Asked
    from majordomo.report.questions.periods import Period

PeriodOption = Annotated[
    str | None,
    typer.Option(
        "--period",
        help="today, yesterday, 24h, 7d, 30d, 90d, this_week, last_week, this_month, last_month or this_year.",
        show_default=False,
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Since then: 2026-11-21, 2026-11-21T14:00 (in --timezone), today.", show_default=False),
]
ToOption = Annotated[str | None, typer.Option("--to", help="Before then; as --from.", show_default=False)]
LastOption = Annotated[
    str | None, typer.Option("--last", help="The last 30m, 24h, 7d or 4w, up to now.", show_default=False)
]
ZoneOption = Annotated[
    str, typer.Option("--timezone", help="Days, weeks and months begin by its clock, such as Europe/Berlin.")
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="F",
        help="DIM:VALUE, -DIM:VALUE to leave it out, DIM for any value, -DIM for none. Repeatable.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only this gateway key, by id or name. Repeatable.", show_default=False),
]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only this provider.", show_default=False)]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Only this model, as the reply names it.", show_default=False)
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="K=V", help="Only requests with this metadata. Repeatable.", show_default=False),
]
OrgOption = Annotated[
    str | None, typer.Option("--org", help="Only this organisation's, by id or name.", show_default=False)
]
CompareOption = Annotated[
    bool, typer.Option("--compare", help="Besides, the time of the same length before.", show_default=False)
]


class UsageError(Exception):
    """A question cannot be asked like this. The message says why, and how it can."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """The common options as given."""

    preset: str | None = None
    since: str | None = None
    until: str | None = None
    last: str | None = None
    zone: str = "UTC"
    filters: list[str] | None = None
    keys: list[str] | None = None
    provider: str | None = None
    model: str | None = None
    metadata: list[str] | None = None
    org: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows the question."""
        return self == Given(zone=self.zone)

    @property
    def has_beginning(self) -> bool:
        """Whether the time asked for begins somewhere, so that there is one before it."""
        return any(given is not None for given in (self.preset, self.since, self.last))

    @property
    def has_time(self) -> bool:
        """Whether a time was asked for; without one it is all time."""
        return self.has_beginning or self.until is not None


async def understand(connection: Any, given: Given, *, all_time: bool = True) -> "Asked":
    """What the options mean; without a time all of it, or the usual period where a question needs an end.

    Raises:
        UsageError, TimeError, FilterError, UnknownDimensionError, OrgError: one of them is not understood.
    """
    from majordomo.record import users
    from majordomo.report.questions import asking

    now = dt.datetime.now(dt.UTC)
    org_id = None if given.org is None else (await users.find_org(connection, given.org)).id
    common = asking.Common(given.preset, given.since, given.until, given.zone, _filters(given))
    return await asking.understand(connection, org_id, common, now, _span(given, now, all_time))


def _span(given: Given, now: dt.datetime, all_time: bool) -> "Period | None":
    """The time where it is told in a way that only the command line has; None otherwise."""
    from majordomo.report.questions.periods import Period, moment, time_zone
    from majordomo.report.questions.scope import BEGINNING, END
    from majordomo.report.questions.times import parse_span

    zone = time_zone(given.zone)
    if given.last is not None:
        if given.preset is not None or given.since is not None or given.until is not None:
            raise UsageError("--last reaches up to now; leave it out to use --period, or --from and --to")
        return Period(now - parse_span(given.last), now, zone.key, running=True)
    if given.preset is not None and (given.since is not None or given.until is not None):
        raise UsageError("--period and --from or --to exclude each other; leave one out")
    if given.preset is None and given.since is None and given.until is not None:
        return Period(BEGINNING, moment(given.until, zone, now), zone.key, running=False)
    if not given.has_time and all_time:
        return Period(BEGINNING, END, zone.key, running=False)
    return None


def _filters(given: Given) -> list[str]:
    filters = list(given.filters or ())
    filters += [f"key:{key}" for key in given.keys or ()]
    filters += [f"provider:{given.provider}"] if given.provider is not None else []
    if given.model is not None:
        filters.append(f"model:{given.model}" if given.model else "-model")
    return filters + [_metadata(pair) for pair in given.metadata or ()]


def _metadata(pair: str) -> str:
    from majordomo.report.questions.dimensions import METADATA_PREFIX

    name, equals, value = pair.partition("=")
    if not equals or not name.strip() or "\0" in pair or ":" in name:
        raise UsageError(f"--metadata {pair!r} is not KEY=VALUE, such as Feature=chat")
    return f"{METADATA_PREFIX}{name.strip()}:{value}"


def _common(
    preset: PeriodOption = None,
    since: FromOption = None,
    until: ToOption = None,
    last: LastOption = None,
    zone: ZoneOption = "UTC",
    filters: FilterOption = None,
    keys: KeyOption = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    metadata: MetadataOption = None,
    org: OrgOption = None,
) -> None:
    """The common options, for ``with_common_options`` to copy."""


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the common options in place of its parameter ``given``, for Typer to read."""
    common = inspect.signature(_common).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = Given(**{name: values.pop(name) for name in common})
        command(given=given, **values)

    parameters = []
    for name, parameter in own.items():
        parameters += list(common.values()) if name == "given" else [parameter]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    with_options.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_options.__wrapped__  # whoever reads the signature is to read this one
    return with_options
