"""Every tool of the MCP server with arguments, and the question to the API that it stands for."""

from typing import Any

from usage_book import SESSION

#: Tool: its arguments, the API's path, the API's parameters.
QUESTIONS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "spend_summary": (
        {"period": "7d", "filters": ["-model:chat"], "compare": True},
        "/usage/summary",
        {"period": "7d", "filter": "-model:chat", "compare": "previous"},
    ),
    "spend_by": (
        {"dimension": "Feature", "since": "2026-01-01", "until": "2027-01-01", "limit": 3, "order": "requests"},
        "/usage/breakdown",
        {"group_by": "Feature", "from": "2026-01-01", "to": "2027-01-01", "limit": 3, "sort": "requests"},
    ),
    "spend_over_time": (
        {"granularity": "day", "dimension": "model", "period": "7d", "timezone": "Asia/Kolkata", "limit": 2},
        "/usage/timeseries",
        {"granularity": "day", "group_by": "model", "period": "7d", "timezone": "Asia/Kolkata", "limit": 2},
    ),
    "list_requests": (
        {"period": "7d", "only_errors": True, "limit": 5, "filters": ["provider:openai", "provider:deepseek"]},
        "/usage/requests",
        {"period": "7d", "errors": "true", "limit": 5, "filter": ["provider:openai", "provider:deepseek"]},
    ),
    "show_request": ({"request_id": "a request"}, "/usage/requests/{a request}", {}),
    "list_sessions": ({"period": "7d", "limit": 2}, "/usage/claude-code/sessions", {"period": "7d", "limit": 2}),
    "show_session": (
        {"session_id": str(SESSION), "last_requests": 200},
        f"/usage/claude-code/sessions/{SESSION}",
        {},
    ),
    "claude_code": ({"period": "7d"}, "/usage/claude-code", {"period": "7d"}),
    "budgets": ({}, "/budgets", {}),
    "errors": ({"period": "7d", "limit": 4}, "/usage/errors", {"period": "7d", "limit": 4}),
    "latency": (
        {"dimension": "provider", "period": "7d"},
        "/usage/latency",
        {"group_by": "provider", "period": "7d", "limit": 10},
    ),
    "list_runs": ({"period": "7d", "limit": 1}, "/usage/runs", {"period": "7d", "limit": 1}),
    "show_run": ({"run": "run-1"}, "/usage/runs/run-1", {}),
    "what_if": ({"model": "gpt-5-nano", "period": "7d"}, "/usage/what-if", {"model": "gpt-5-nano", "period": "7d"}),
    "dimensions": ({}, "/usage/dimensions", {}),
}


def question(name: str, request_id: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The same, about a request that is there."""
    arguments, path, parameters = QUESTIONS[name]
    known = {key: request_id if value == "a request" else value for key, value in arguments.items()}
    return known, path.replace("{a request}", request_id), parameters


def told(answer: Any) -> Any:
    """An answer without what differs between two askings: the moment that its period reaches up to."""
    if isinstance(answer, dict):
        return {name: told(inner) for name, inner in answer.items() if name not in ("period", "previous_period")}
    return [told(inner) for inner in answer] if isinstance(answer, list) else answer
