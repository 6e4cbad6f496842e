"""A person's browser window on the dashboard, and what can be read there."""

import re

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, expect

PASSWORD = "correct horse battery"

#: For everything that a person would wait for (ms).
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def follow(page: Page, link: str) -> None:
    """Sign in as somebody does who got a link."""
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    page.get_by_role("heading", name="Overview").wait_for()


class Desk:
    """A signed-in person's browser window. Whatever goes wrong in a page's own code ends the test."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self.base_url = base_url
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("response", self._answered)

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error" and not said.text.startswith(
            "Failed to load resource"
        ):  # a 4xx is for the page to tell
            self.faults.append(said.text)

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} of {response.url}")

    def open(self, path: str) -> Page:
        """A page, once all that it asks for is there."""
        self.page.goto(self.base_url + path)
        self.page.locator("main h1").first.wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until no panel waits for its answer."""
        for waiting in ("[aria-busy=true]", ".panel-body .hold", ".figure-hold", ".chart-hold"):
            expect(self.page.locator(waiting)).to_have_count(0, timeout=PATIENCE_MS)


def digits(text: str) -> str:
    """The first number of a text as it stands there, without grouping: ``$1,234.50`` is ``1234.50``."""
    match = re.search(r"-?[\d,]+(\.\d+)?", text)
    assert match, f"there is no number in {text!r}"
    return match[0].replace(",", "")
