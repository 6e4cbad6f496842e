"""Every figure of every page is that of plain SQL over ``llm_requests``."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from browser_desk import Desk, digits
from playwright.sync_api import Locator

FAILED = "(status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost'))"
QUERY = "timezone=UTC&period=30d"
FILTERS = [
    pytest.param("", "true", id="all"),
    pytest.param("&filter=Team:legal", "raw_metadata->>'Team' = 'legal'", id="a team"),
    pytest.param(
        "&filter=-provider:anthropic&filter=Environment:production",
        "provider <> 'anthropic' AND raw_metadata->>'Environment' = 'production'",
        id="two filters",
    ),
]


def one(company: Any, figures: str, where: str = "true") -> Any:
    """One row of sums."""
    return company.sql(f"SELECT {figures} FROM llm_requests WHERE {where}")[0]


def numbers(text: str) -> list[Decimal]:
    """All numbers of a title."""
    return [Decimal(digits(word)) for word in text.split() if any(sign.isdigit() for sign in word)]


def money(place: Locator) -> Decimal:
    """USD with every digit, from a title."""
    return Decimal(digits(place.get_attribute("title") or ""))


def figure(desk: Desk, label: str) -> list[Decimal]:
    title = desk.page.locator(f".figure:has(.figure-label:text-is('{label}')) .figure-value").get_attribute("title")
    return numbers(title or "")


@pytest.mark.parametrize(("filters", "where"), FILTERS)
def test_the_overviews_figures(company: Any, window: Any, filters: str, where: str) -> None:
    desk = window()
    desk.open(f"/?{QUERY}{filters}")
    sums = one(
        company,
        "coalesce(sum(total_cost), 0) AS cost, count(*) AS requests, coalesce(sum(prompt_tokens), 0) AS prompt,"
        " coalesce(sum(output_tokens), 0) AS output, coalesce(sum(cached_tokens), 0) AS cached,"
        f" count(*) FILTER (WHERE {FAILED}) AS failed",
        where,
    )
    assert figure(desk, "Spend") == [sums["cost"]]
    assert figure(desk, "Requests") == [sums["requests"]]
    assert figure(desk, "Tokens") == [sums["prompt"], sums["output"]]
    assert figure(desk, "Cache hit rate") == [sums["cached"], sums["prompt"]]
    assert figure(desk, "Errors") == [sums["failed"], sums["requests"]]


@pytest.mark.parametrize(("filters", "where"), FILTERS)
@pytest.mark.parametrize(
    ("tab", "value"),
    [("model", "nullif(model, '')"), ("provider", "provider"), ("Feature", "raw_metadata->>'Feature'")],
)
def test_the_overviews_lists(company: Any, window: Any, tab: str, value: str, filters: str, where: str) -> None:
    """Every value with its cost and requests, those without one named, nothing left out."""
    desk = window()
    page = desk.open(f"/?{QUERY}{filters}&left={tab}&all=left")
    expected = {
        row["value"] or "(none)": (row["cost"], row["requests"])
        for row in company.sql(
            f"SELECT {value} AS value, sum(total_cost) AS cost, count(*) AS requests FROM llm_requests"
            f" WHERE {where} GROUP BY 1"
        )
    }
    shown = {}
    for row in page.locator(".panel:has(nav[aria-label='Grouped by, left list']) .bar-row").all():
        title = row.locator(".bar-figure").get_attribute("title") or ""
        found = numbers(title)
        cost = None if "no price" in title else found[0]
        shown[row.locator(".bar-text").inner_text()] = (cost, found[-1] if cost is not None else None)
    assert shown.keys() == expected.keys()
    for name, (cost, requests) in expected.items():
        assert shown[name] == ((cost, requests) if cost is not None else (None, None)), name


@pytest.mark.parametrize(("filters", "where"), FILTERS)
def test_the_classes_of_tokens(company: Any, window: Any, filters: str, where: str) -> None:
    desk = window()
    page = desk.open(f"/?{QUERY}{filters}")
    sums = one(
        company,
        "sum(input_cost) AS input, sum(cache_read_cost) AS read, sum(cache_creation_cost) AS written,"
        " sum(output_cost) AS output, sum(tool_cost) AS tool",
        where,
    )
    for label, name in (("Input", "input"), ("Cache read", "read"), ("Cache write", "written"), ("Output", "output")):
        row = page.get_by_role("table", name="Tokens and cost by class").locator(f"tbody tr:has(td:text('{label}'))")
        if row.count():
            assert money(row.locator("td:nth-child(3) span")) == sums[name], label
        else:
            assert not sums[name], label


@pytest.mark.parametrize(("filters", "where"), FILTERS)
def test_the_requests(company: Any, window: Any, filters: str, where: str) -> None:
    """The newest page, request by request: id, tokens, cost."""
    desk = window()
    page = desk.open(f"/requests?{QUERY}{filters}")
    rows = company.sql(f"SELECT * FROM llm_requests WHERE {where} ORDER BY requested_at DESC, id DESC LIMIT 50")
    shown = page.get_by_role("table", name="Requests").locator("tbody tr").all()
    assert len(shown) == len(rows)
    known = {str(row["id"]): row for row in rows}
    for line in shown:
        row = known.pop((line.locator("a.row-link").get_attribute("href") or "").split("?")[0].rpartition("/")[2])
        cells = line.locator("td")
        for place, column in ((4, "prompt_tokens"), (5, "output_tokens")):
            title = cells.nth(place).locator("span").first.get_attribute("title") or ""
            assert title.replace(",", "") == ("–" if row[column] is None else str(row[column]))
        if row["total_cost"] is not None:
            assert money(cells.nth(6).locator("span")) == row["total_cost"]
    assert known == {}


def test_one_requests_buckets_add_up_to_its_cost(company: Any, window: Any) -> None:
    row = one(company, "*", "total_cost = (SELECT max(total_cost) FROM llm_requests)")
    desk = window()
    page = desk.open(f"/requests/{row['id']}")
    cost = page.get_by_role("region", name="Cost", exact=True)
    assert money(cost.locator("header b")) == row["total_cost"]
    table = page.get_by_role("table", name="Cost, bucket by bucket")
    buckets = table.locator("tbody td:last-child").all_inner_texts()
    assert sum(map(Decimal, map(digits, buckets))) == row["total_cost"]


def test_a_run_and_its_spans(company: Any, window: Any) -> None:
    """The run in the list, and each span alone and with all below it."""
    desk = window()
    page = desk.open(f"/runs?{QUERY}")
    (whole,) = company.sql("SELECT sum(total_cost) AS cost FROM llm_requests WHERE trace_id = 'trip-to-oslo'")
    row = page.get_by_role("table", name="Runs").locator("tbody tr:has(a:text-is('trip-to-oslo'))")
    assert money(row.locator("td:last-child span")) == whole["cost"]
    row.locator("a.row-link").click()
    page.get_by_text("search", exact=True).first.wait_for()
    desk.settle()
    shown = {Decimal(digits(one.get_attribute("title") or "")) for one in page.locator("main [title^='$']").all()}
    spans = company.sql(
        "SELECT sum(total_cost) AS cost FROM llm_requests WHERE span_path IS NOT NULL GROUP BY span_path"
    )
    assert shown >= {whole["cost"], *(span["cost"] for span in spans)}


def test_the_errors(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open(f"/errors?{QUERY}")
    shown = [
        int(text.replace(",", ""))
        for text in page.get_by_role("table", name="Kinds of failure").locator("tbody td:last-child").all_inner_texts()
    ]
    kinds = company.sql(
        f"SELECT count(*) AS requests FROM llm_requests WHERE {FAILED}"
        " GROUP BY error_type, status_code, outcome, provider, nullif(model, '') ORDER BY 1 DESC"
    )
    assert shown == [row["requests"] for row in kinds]


def test_claude_code(company: Any, window: Any) -> None:
    """What was billed and booked, the modes, the tools and each session."""
    desk = window()
    page = desk.open(f"/claude-code?{QUERY}")
    joined = "llm_requests r JOIN claude_request_details d ON d.llm_request_id = r.id"
    (sums,) = company.sql(
        f"SELECT sum(r.total_cost) AS cost, count(*) AS requests, sum(d.tool_use_count) AS tools FROM {joined}"
    )
    assert money(fact(desk, "Billed by the provider").locator("b")) == sums["cost"]
    assert fact(desk, "Requests").inner_text() == f"{sums['requests']:,}"
    assert fact(desk, "Tools called").inner_text() == f"{sums['tools']:,}"
    tools = company.sql(
        f"SELECT t.tool, sum(r.total_cost) AS cost FROM {joined} CROSS JOIN unnest(d.tool_names) t(tool) GROUP BY 1"
    )
    listed = page.get_by_role("list", name="Tools")
    for tool in tools:
        row = listed.locator(f".bar-row:has(.bar-text:text-is('{tool['tool']}'))")
        assert money(row.locator(".bar-figure")) == tool["cost"]
    sessions = company.sql(
        "SELECT claude_session_id AS id, sum(total_cost) AS cost FROM llm_requests"
        " WHERE claude_session_id IS NOT NULL GROUP BY 1 ORDER BY max(requested_at) DESC LIMIT 20"
    )
    rows = page.get_by_role("table", name="Sessions").locator("tbody tr").all()
    assert [money(row.locator("td:last-child span")) for row in rows] == [one["cost"] or 0 for one in sessions]
    rows[0].locator("a.row-link").click()
    page.get_by_role("heading", name="Request by request").wait_for()
    assert money(fact(desk, "Billed by the provider").locator("b")) == sessions[0]["cost"]
    timeline = page.get_by_role("table", name="Requests of the session").locator("tbody td:last-child span")
    costs = [one.get_attribute("title") or "" for one in timeline.all()]
    assert sum(Decimal(digits(title)) for title in costs if "$" in title) == sessions[0]["cost"]


def fact(desk: Desk, name: str) -> Locator:
    """The value beside a name."""
    return desk.page.locator(f".facts div:has(> dt:text-is('{name}')) > dd").first


def test_keys_metadata_keys_and_budgets(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/keys")
    (counted,) = company.sql("SELECT request_count AS requests FROM api_keys WHERE name = 'tests'")
    row = page.get_by_role("table", name="Gateway keys").locator("tbody tr:has(b:text-is('tests'))")
    assert row.locator("td:last-child").inner_text() == f"{counted['requests']:,}"
    page = desk.open("/metadata-keys")
    rows = company.sql(
        "SELECT key, count(*) AS requests, count(DISTINCT value) AS values"
        " FROM llm_requests, jsonb_each_text(raw_metadata) GROUP BY 1"
    )
    table = page.get_by_role("table", name="Metadata keys, most sent first")
    for wanted in rows:
        cells = table.locator(f"tbody tr:has(a:text-is('{wanted['key']}')) td")
        assert cells.nth(1).inner_text().removeprefix("≈ ") == f"{wanted['values']:,}"
        assert cells.nth(2).inner_text() == f"{wanted['requests']:,}"
    page = desk.open("/budgets")
    (legal,) = company.sql("SELECT sum(total_cost) AS cost FROM llm_requests WHERE raw_metadata->>'Team' = 'legal'")
    shown = page.get_by_role("table", name="Budgets, the fullest first").locator("tbody tr:has(b:text-is('legal'))")
    assert Decimal(shown.locator("td:nth-child(3) span").get_attribute("title") or "") == legal["cost"]


def test_the_prices_page_counts_what_is_without_a_price(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/prices")
    expected: Sequence[Any] = company.sql(
        "SELECT model, count(*) AS requests,"
        " count(*) FILTER (WHERE total_cost IS NULL AND usage_state <> 'none') AS unpriced"
        " FROM llm_requests WHERE model <> '' GROUP BY 1"
    )
    table = page.get_by_role("table", name="Models in use")
    for row in expected:
        cells = table.locator(f"tbody tr:has(a:text-is('{row['model']}')) td")
        assert [cells.nth(1).inner_text(), cells.nth(2).inner_text()] == [f"{row['requests']}", f"{row['unpriced']}"]
