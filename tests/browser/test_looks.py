"""Each page in light, dark and on a phone: a picture for people, no violation for axe, nothing that sticks out."""

import re
from pathlib import Path
from typing import Any

import pytest
from node_packages import installed

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "artefacts" / "screenshots"
PAGES = (
    "/",
    "/?metric=latency",
    "/requests",
    "/requests/ID",
    "/runs",
    "/runs/RUN",
    "/errors",
    "/latency",
    "/what-if?model=gpt-5-mini",
    "/claude-code",
    "/claude-code/SESSION",
    "/budgets",
    "/budgets/legal",
    "/keys",
    "/keys/KEY",
    "/metadata-keys",
    "/prices",
    "/prices/claude-sonnet-4-5",
    "/settings",
    "/settings?tab=tokens",
    "/settings?tab=gateway",
)
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "has_touch": True},
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker, as it is put into a page."""
    return (installed(Path(__file__).parent) / "axe-core" / "axe.min.js").read_text("utf-8")


def address(company: Any, path: str) -> str:
    """A page's address with ids that there are."""
    ids = {
        "ID": "SELECT id FROM llm_requests WHERE total_cost > 0 ORDER BY id DESC LIMIT 1",
        "RUN": "SELECT trace_id FROM llm_requests WHERE trace_id IS NOT NULL LIMIT 1",
        "SESSION": "SELECT id FROM claude_sessions LIMIT 1",
        "KEY": "SELECT id FROM api_keys WHERE name = 'tests'",
    }
    for word, query in ids.items():
        if path.endswith(f"/{word}"):
            return path.replace(word, str(company.sql(query)[0][0]))
    return path


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_looks_well(company: Any, window: Any, axe: str, look: str) -> None:
    desk = window(**LOOKS[look])
    violations: list[str] = []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for path in PAGES:
        page = desk.open(address(company, path))
        name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "overview"
        page.screenshot(path=SCREENSHOTS / f"{name}-{look}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{path} is {wide} px wider than its window"
        violations += [f"{path}: {one}" for one in _violations(page, axe)]
    assert violations == []


def _violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    told = page.evaluate("tags => axe.run({ runOnly: { type: 'tag', values: tags } })", RULES)
    return [f"{one['id']}: {node['html'][:200]}" for one in told["violations"] for node in one["nodes"]]


def test_signing_in_looks_well(company: Any, browser: Any, axe: str) -> None:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(f"{company.base_url}/sign-in")
    page.get_by_role("heading", name="Sign in").wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "sign-in-light.png")
    assert _violations(page, axe) == []
    context.close()
