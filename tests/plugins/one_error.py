"""Whether a reply is an error in the one shape that every route of the control API has."""

import json
from collections.abc import Mapping
from typing import Any


def is_the_one_error(status: int, headers: Mapping[str, Any], body: bytes) -> bool:
    """``{"error": {"code", "message", "details"}}``, as JSON, with words in it and a status that is one."""
    kind = headers.get("content-type", "")
    kind = kind[0] if isinstance(kind, list) else kind
    if status < 400 or kind != "application/json":
        return False
    told = json.loads(body)
    if not isinstance(told, dict) or told.keys() != {"error"}:
        return False
    error = told["error"]
    return (
        error.keys() == {"code", "message", "details"}
        and isinstance(error["code"], str)
        and error["code"].replace("_", "").isalnum()
        and bool(error["message"])
        and isinstance(error["details"], list)
        and all(isinstance(detail, dict) for detail in error["details"])
    )
