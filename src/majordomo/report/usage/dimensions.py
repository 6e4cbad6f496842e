"""The route of what usage can be grouped and filtered by."""

import datetime as dt

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from majordomo.report.identity import Asking
from majordomo.report.questions.dimensions import BUILT_IN, METADATA_PREFIX
from majordomo.report.questions.known import built_in_values, known
from majordomo.report.usage.parameters import reading

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


class DimensionOut(BaseModel):
    """One dimension."""

    name: str = Field(description="as group_by and filter take it")
    label: str
    description: str
    is_metadata: bool
    is_active: bool = Field(description="false for a metadata key that is not active: questions about it read the rows")
    values: int | None = Field(description="how many different values there are, of metadata keys within some 2 %")
    requests: int | None = Field(description="how many requests carry this metadata key")
    last_seen_at: dt.datetime | None


class DimensionsAnswer(BaseModel):
    """Every dimension, built-in ones first, then metadata keys, the active and most sent first."""

    dimensions: list[DimensionOut]


@router.get("/dimensions", summary="What usage can be grouped and filtered by")
async def dimensions(request: Request, asking: Asking) -> DimensionsAnswer:
    """The built-in dimensions, and every metadata key that the organisation's callers have sent."""
    async with reading(request) as connection:
        names = await known(connection, asking.org_id)
        values = await built_in_values(connection, asking.org_id)
    told = [
        DimensionOut(
            name=name,
            label=name.replace("_", " "),
            description=description,
            is_metadata=False,
            is_active=True,
            values=values.get(name),
            requests=None,
            last_seen_at=None,
        )
        for name, description in BUILT_IN.items()
    ]
    told += [
        DimensionOut(
            name=f"{METADATA_PREFIX}{name}" if name.startswith("-") else name,
            label=name,
            description="a metadata key",
            is_metadata=True,
            is_active=key.is_active,
            values=key.approx_cardinality,
            requests=key.requests,
            last_seen_at=key.last_seen_at,
        )
        for name, key in sorted(names.metadata.items(), key=lambda item: not item[1].is_active)
    ]
    return DimensionsAnswer(dimensions=told)
