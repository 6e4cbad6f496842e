"""The documents say what the code does: reference pages, routes, columns, errors, providers, limits."""

import inspect
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from majordomo.admit import refusal
from majordomo.forward.own_pages import SECTIONS
from majordomo.forward.providers import build_providers
from majordomo.forward.routes import api_of
from majordomo.settings import Settings

SCHEMA = Path(refusal.__file__).parents[1] / "record" / "schema.sql"
ROLLUPS = ("usage_by_model_hourly", "usage_by_metadata_hourly")
TABLES = ("llm_requests", "api_keys", "llm_requests_metadata_keys", "claude_sessions", "claude_request_details")


@pytest.mark.parametrize("page", ["settings.md", "cli.md"])
def test_a_reference_page_is_what_the_code_makes(page: str, reference: ModuleType, root: Path) -> None:
    assert (root / "docs" / page).read_text("utf-8") == reference.pages()[page], "run `make docs`"


def test_every_setting_is_on_the_settings_page_with_its_variable(documents: Any) -> None:
    for name in Settings.model_fields:
        assert f"| `{name}` | `MAJORDOMO_{name.upper()}` |" in documents["docs/settings.md"]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_table_is_described_with_its_type(table: str, documents: Any) -> None:
    described = {name: cells[0] for name, cells in documents.table("docs/sql.md", table).items()}
    assert described == _columns(table)


@pytest.mark.parametrize("table", ROLLUPS)
def test_every_column_of_a_rollup_is_described(table: str, documents: Any) -> None:
    described = {name for cell in documents.table("docs/sql.md", "Rollups") for name in re.split(r",\s*", cell)}
    assert set(_columns(table)) <= described


def test_every_interface_table_is_named(documents: Any) -> None:
    made = re.findall(r"^CREATE TABLE (\w+)", SCHEMA.read_text("utf-8"), re.MULTILINE)
    for table in made:
        if not table.endswith("_default"):
            assert f"`{table}`" in documents["docs/sql.md"] or f"## {table}\n" in documents["docs/sql.md"], table


def test_every_route_of_the_back_office_is_documented(documents: Any) -> None:
    from majordomo.report.app import make_app

    nothing = [None] * len(inspect.signature(make_app).parameters)  # only its routes are looked at
    application: Any = make_app(*nothing)  # type: ignore[arg-type]
    while not hasattr(application, "routes"):
        application = next(inner for inner in vars(application).values() if callable(inner))
    paths = {path for path in map(_path_of, _flat(application.routes)) if path}
    of_the_dashboard = {f"/{name}{rest}" for name in SECTIONS for rest in ("", "/{rest:path}")}
    for path in paths - {"/assets/{path:path}", "/favicon.ico"} - of_the_dashboard:  # parts of the page at /
        pages = documents["docs/behaviour.md"] + documents["docs/api.md"]
        assert re.search(rf"`([A-Z]+ )?{re.escape(path)}`", pages), path


def test_every_refusal_is_in_the_table_of_errors_with_its_status(documents: Any) -> None:
    rows = list(documents.table("docs/behaviour.md", "Errors of the gateway's own").values())
    for made in _refusals():
        assert any(f"`{made.code}`" in row[1] and str(made.status) in row[0] for row in rows), made.code


def test_every_built_in_provider_is_listed(documents: Any) -> None:
    named = set(documents.table("docs/behaviour.md", "Providers and paths"))
    page = documents["docs/behaviour.md"]
    for name in build_providers({}):
        assert f"`{name}`" in page or any(name in cells for cells in page.splitlines() if cells.startswith("|")), name
    assert named


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("/v1/chat/completions", "openai"),
        ("/chat/completions", "openai"),
        ("/v1/responses/resp_1", "openai"),
        ("/v1/images/edits", "openai"),
        ("/v1/audio/speech", "openai"),
        ("/v1/moderations", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v1/messages/batches/b/results", "anthropic"),
        ("/v1beta/models/m:streamGenerateContent", "gemini"),
        ("/v1/models/m:embedContent", "gemini"),
        ("/v1/models", "openai"),
        ("/v1beta/models", "gemini"),
    ],
)
def test_a_documented_path_goes_where_the_page_says(path: str, provider: str) -> None:
    api = api_of(path.encode(), anthropic_marks=False)
    assert api is not None and api.family.value == provider


def test_limits_on_the_page_are_the_defaults(documents: Any) -> None:
    for meaning, (shown, names) in documents.table("docs/behaviour.md", "Limits").items():
        for name in re.findall(r"`(\w+)`", names):
            assert _amount(shown) == Settings.model_fields[name].default, (meaning, name)


def test_the_example_file_has_only_settings_that_exist(root: Path) -> None:
    text = (root / "majordomo.toml.example").read_text("utf-8")
    switched_on = re.sub(r"^# (?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE)
    Settings.model_validate(tomllib.loads(switched_on))
    assert "workers" in tomllib.loads(text)


def test_the_changelog_has_this_version_and_what_an_upgrade_asks(documents: Any, root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    entry = documents["CHANGELOG.md"].partition(f"\n## {version}")[2].partition("\n## ")[0]
    assert "### Upgrade" in entry


def _columns(table: str) -> dict[str, str]:
    """Column to type of a table, as ``schema.sql`` has them."""
    body = re.search(rf"^CREATE TABLE {table} \((.*?)^\)", SCHEMA.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert body is not None
    return dict(re.findall(r"^ {4}([a-z_0-9]+) +([a-z]+(?:\(\d+\)|\[\])?)", body[1], re.MULTILINE))


def _refusals() -> list[refusal.Refusal]:
    """Every refusal of the module: the constants, and what its functions make of plain arguments."""
    made = [value for value in vars(refusal).values() if isinstance(value, refusal.Refusal)]
    for function in vars(refusal).values():
        own = inspect.isfunction(function) and function.__module__ == refusal.__name__
        if own and not function.__name__.startswith("_"):
            kinds = [one.annotation for one in inspect.signature(function).parameters.values()]
            made.append(
                function(*(1 if kind is int else {} if kind == Mapping[str, str] else "bytes" for kind in kinds))
            )
    return made


def _flat(routes: Any) -> list[Any]:
    """Routes, with those of included routers."""
    found: list[Any] = []
    for route in routes:
        inner = getattr(getattr(route, "original_router", route), "routes", None)
        found += _flat(inner) if inner else [route]
    return found


def _path_of(route: Any) -> str | None:
    return getattr(route, "path", None)


def _amount(shown: str) -> float:
    number, _, unit = shown.replace(",", "").partition(" ")
    return float(number) * {"": 1, "s": 1, "KiB": 1024, "MiB": 1024**2}[unit]
