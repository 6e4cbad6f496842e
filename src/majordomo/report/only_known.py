"""A query parameter that a route does not take is refused by name: ``form=`` for ``from=`` must not change figures."""

from http import HTTPStatus

from fastapi import Request

from majordomo.report.errors import ApiError

_API = "/api/"
_MOST_SHOWN = 60  # characters of a name that is repeated
_MOST_NAMES = 5


async def only_known_parameters(request: Request) -> None:
    """As a dependency of every route; those that are not of the API, or not in its document, take what comes.

    Raises:
        ApiError: 422, the query has a parameter that the route does not take; the message says which it takes.
    """
    if not request.query_params or not request.url.path.startswith(_API):
        return
    paths = request.app.openapi()["paths"]  # made once
    described = paths.get(request.scope["route"].path_format, {}).get(request.method.lower())
    if described is None:
        return
    taken = [one["name"] for one in described.get("parameters", ()) if one["in"] == "query"]
    unknown = [name[:_MOST_SHOWN] for name in request.query_params if name not in taken]
    if unknown:
        allowed = f"it takes {', '.join(taken)}" if taken else "it takes none"
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_parameter",
            f"this route takes no parameter {unknown[0]!r}; {allowed}",
            [
                {"where": f"query.{name}", "problem": "this route takes no such parameter"}
                for name in unknown[:_MOST_NAMES]
            ],
        )
