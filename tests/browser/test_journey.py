"""What a person does: sign in, slice, look closer, change something and see it happen. On real pages over real rows."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import openai
from browser_desk import PASSWORD, digits
from playwright.sync_api import Browser, Page, expect

SPEND = ".figure:has(.figure-label:text-is('Spend')) .figure-value"


def spend(page: Page) -> Decimal:
    """The spend that the overview shows, every digit."""
    return Decimal(digits(page.locator(SPEND).get_attribute("title") or ""))


def test_a_link_signs_in_once_and_the_password_from_then_on(
    company: Any, browser: Browser, invite: Callable[..., str]
) -> None:
    link = invite("casey@example.com", "member")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{company.base_url}/requests?period=7d")
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Signed in as").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert")).to_contain_text("link")
    page.goto(f"{company.base_url}/sign-in?next=%2Frequests%3Fperiod%3D7d")
    page.get_by_label("E-mail address").fill("casey@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    page.goto(f"{company.base_url}/keys")
    page.get_by_text("tests", exact=True).wait_for()
    expect(page.get_by_role("button", name="New key")).to_have_count(0)  # members look
    context.close()


def test_a_feature_a_team_and_a_range_of_days_are_layered_and_one_request_is_opened(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/?timezone=UTC")
    right = page.get_by_role("navigation", name="Grouped by, right list")
    right.get_by_role("link", name="Feature").click()
    page.get_by_role("list", name="By Feature").get_by_role("link", name="document-review").click()
    page.get_by_role("button", name="Filter", exact=True).click()
    dialog = page.get_by_role("dialog", name="Filter")
    dialog.get_by_label("By").select_option("Team")
    dialog.get_by_role("button", name="legal").click()
    page.get_by_role("button", name="Period").click()
    today = company.sql("SELECT (now() AT TIME ZONE 'UTC')::date::text AS day")[0]["day"]
    page.get_by_label("From").fill("2026-01-01")
    page.get_by_label("To", exact=True).fill(today)
    page.get_by_role("button", name="Show these days").click()
    desk.settle()
    asked = parse_qs(urlsplit(page.url).query)
    assert set(asked["filter"]) == {"Feature:document-review", "Team:legal"}
    assert asked["from"] == ["2026-01-01"]
    where = 'raw_metadata @> \'{"Feature": "document-review", "Team": "legal"}\''
    (whole,) = company.sql(f"SELECT sum(total_cost) AS cost, count(*) AS requests FROM llm_requests WHERE {where}")
    assert spend(page) == whole["cost"]
    page.get_by_role("link", name="Requests", exact=True).first.click()
    page.get_by_role("table", name="Requests").wait_for()
    desk.settle()
    rows = page.get_by_role("table", name="Requests").locator("tbody tr")
    assert rows.count() == whole["requests"]
    rows.first.locator("a.row-link").click()
    page.get_by_role("heading", name="Cost").wait_for()
    request_id = urlsplit(page.url).path.rpartition("/")[2]
    (row,) = company.sql("SELECT * FROM llm_requests WHERE id = $1", request_id)
    shown = page.get_by_role("region", name="Cost", exact=True).locator("header b")
    assert Decimal(digits(shown.get_attribute("title") or "")) == row["total_cost"]
    page.go_back()
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()


def test_an_activated_key_is_indexed_and_offered_as_a_dimension(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/metadata-keys")
    page.get_by_role("button", name="Activate Team").click()
    expect(page.get_by_role("button", name="Deactivate Team")).to_be_visible()
    client = openai.OpenAI(base_url=company.base_url + "/v1", api_key="sk-scripted", max_retries=0)
    headers = {"X-Majordomo-Key": company.key, "X-Majordomo-Team": "night-shift"}
    client.with_options(default_headers=headers).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
    )
    where = "raw_metadata->>'Team' = 'night-shift' AND indexed_metadata = '{\"Team\": \"night-shift\"}'"
    page.wait_for_timeout(1500)
    assert company.sql(f"SELECT count(*) FROM llm_requests WHERE {where}")[0][0] == 1
    page = desk.open("/")
    tabs = page.get_by_role("navigation", name="Grouped by, right list").get_by_role("link")
    assert tabs.first.inner_text() == "Team"
    expect(page.get_by_role("list", name="By Team").get_by_role("link", name="night-shift")).to_be_visible()


def test_a_key_that_is_made_here_works_and_its_requests_appear_by_themselves(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/keys")
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog", name="New gateway key")
    dialog.get_by_label("Name").fill("browser")
    dialog.get_by_label("Metadata of every request").fill("Team=from-the-page")
    dialog.get_by_role("button", name="Create").click()
    secret = page.get_by_label("Secret", exact=True).inner_text().strip()
    assert secret.startswith("mdm_sk_")
    page.get_by_role("button", name="I have copied it").click()
    assert secret not in page.content()
    page = desk.open("/requests?filter=Team:from-the-page")
    expect(page.get_by_text("No such request in this period")).to_be_visible()
    client = openai.OpenAI(base_url=company.base_url + "/v1", api_key="sk-scripted", max_retries=0)
    client.with_options(default_headers={"X-Majordomo-Key": secret}).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
    )
    row = page.get_by_role("table", name="Requests").locator("tbody tr")
    expect(row).to_have_count(1)  # without loading the page again
    expect(row).to_contain_text("browser")


def test_what_a_page_shows_is_had_as_a_file(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/requests?filter=Team:legal&timezone=UTC")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV").first.click()
    rows = list(csv.DictReader(io.StringIO(Path(coming.value.path()).read_text("utf-8"))))
    (whole,) = company.sql(
        "SELECT count(*) AS requests, sum(total_cost) AS cost FROM llm_requests WHERE raw_metadata->>'Team' = 'legal'"
    )
    assert len(rows) == whole["requests"]
    assert sum(Decimal(row["total_cost"]) for row in rows if row["total_cost"]) == whole["cost"]


def test_a_budget_is_made_raised_and_seen_to_be_spent(company: Any, window: Any) -> None:
    desk = window()
    page = desk.open("/budgets")
    page.get_by_role("button", name="New budget").click()
    dialog = page.get_by_role("dialog", name="New budget")
    dialog.get_by_label("Name").fill("tiny")
    dialog.get_by_label("Limit", exact=True).fill("-5")
    dialog.get_by_label("Only requests with this metadata").fill("Team=legal")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("limit")
    dialog.get_by_label("Limit", exact=True).fill("0.000001")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="tiny")).to_be_visible()
    desk.settle()
    spent = page.locator(".stands b").get_attribute("title")
    (row,) = company.sql("SELECT sum(total_cost) AS cost FROM llm_requests WHERE raw_metadata->>'Team' = 'legal'")
    assert Decimal(spent or "") == row["cost"]
    expect(page.get_by_text("spent", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", name="Budgets")).to_be_visible()
    expect(page.get_by_role("link", name="tiny")).to_have_count(0)
