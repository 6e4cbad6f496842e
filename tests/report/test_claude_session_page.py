"""The page of one session: asks for the key, shows that key's session, and nothing a caller sent runs in it."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

from recorded_rows import exchange, in_session, record

from majordomo.meter.claude_code import ClaudeDetails

NOON_US = 1_763_726_400_000_000
SESSION = UUID("0199c0de-0000-7000-8000-0000000000bb")
PAGE = f"/claude-sessions/{SESSION}"
EVIL = '"><img src=x onerror=alert(1)>'


def recorded(ask: Any, dsn: str, folder: Path) -> None:
    details = ClaudeDetails(
        query_class="main", tool_names=("Bash", EVIL), tool_use_count=2, has_thinking=True, usage_cost=0.25
    )
    costs = (10**15, 0, 0, 0, 0)
    made = exchange(NOON_US, key=ask.key_id, model=EVIL, costs=costs)
    later = exchange(NOON_US + 90_000_000, key=ask.key_id, model="claude-x", costs=costs, status=529)
    record(
        dsn,
        folder,
        [in_session(made, SESSION, details, agent_id=EVIL, claude_session_name=EVIL), in_session(later, SESSION)],
    )


def send(ask: Any, key: str, path: str = PAGE) -> Any:
    return ask.send(path, "POST", urlencode({"key": key}).encode())


def test_the_page_first_asks_for_the_key_and_tells_nothing(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """The same form whether there is such a session or not; the key goes into a body, to this page."""
    recorded(ask, postgres_dsn, tmp_path)
    reply = ask.send(PAGE)
    text = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["cache-control"] == "no-store"
    assert f'<form method="post" action="{PAGE}">' in text
    assert 'type="password"' in text
    assert "claude-x" not in text
    other = uuid4()
    assert ask.send(f"/claude-sessions/{other}").body.decode() == text.replace(str(SESSION), str(other))


def test_the_key_that_owns_it_opens_it(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Sums, both ledgers and why they differ, the views, and each request; the key itself is not in it."""
    recorded(ask, postgres_dsn, tmp_path)
    reply = send(ask, f"  {ask.key} ")
    text = reply.body.decode()
    assert reply.status == 200
    for shown in (
        "$2",
        "$0.2500",
        "By model",
        "By tool",
        "claude-x",
        "Bash",
        "thinking",
        "0:01:30",
        "529",
        "other rates",
    ):
        assert shown in text, shown
    assert ask.key not in text
    assert reply.headers["cache-control"] == "no-store"


def test_nobody_elses_key_opens_it(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """A wrong, missing or other key gets the form again, with what is wrong and the status that says so."""
    recorded(ask, postgres_dsn, tmp_path)
    other, _ = ask.new_key("other")
    unknown = "mdm_sk_" + "U" * 43
    for key, status, said in (
        (other, 404, "This key has no session of this id."),
        (unknown, 401, "not known here"),
        ("", 401, "No gateway key"),
        (EVIL, 401, "not known here"),
    ):
        reply = send(ask, key)
        text = reply.body.decode()
        assert (reply.status, said in text, "<form" in text) == (status, True, True)
        assert "claude-x" not in text
        assert unknown not in text
        assert EVIL not in text
    assert ask.send(f"{PAGE}?key={ask.key}").body == ask.send(PAGE).body  # an address opens nothing


def test_what_callers_sent_is_text(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Names, models, agents and tools are escaped; no script, no inline style, and what it loads is served here."""
    recorded(ask, postgres_dsn, tmp_path)
    reply = send(ask, ask.key)
    text = reply.body.decode()
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert "<script" not in text
    assert "style=" not in text
    for link in re.findall(r'(?:href|src)="(/[^"]*)"', text):
        assert ask.send(link).status == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_what_is_no_session_or_no_form_is_refused(ask: Any) -> None:
    """Addresses that name none, bodies that are none, and too much of one."""
    for path in ("/claude-sessions/x", f"/claude-sessions/{quote(EVIL, safe='')}"):
        for method in ("GET", "POST"):
            reply = ask.send(path, method)
            assert (reply.status, b"<form" in reply.body, b"<img" in reply.body) == (404, False, False)
    assert ask.send(PAGE, "POST", b"key=" + b"x" * 5000).status == 413
    assert ask.send(PAGE, "POST", b"a=1&" * 50).status == 400
    assert ask.send(PAGE, "POST", b"\xff\x00=\xfe").status == 401
    assert ask.send(PAGE, "PUT").status == 405
    assert ask.send("/claude-sessions/").status == 404


def test_a_session_without_requests_says_so(ask: Any) -> None:
    session = json.loads(ask.send("/api/v1/claude-sessions", "POST", headers={"X-Majordomo-Key": ask.key}).body)["id"]
    text = send(ask, ask.key, f"/claude-sessions/{session}").body.decode()
    assert "None of its requests is in the database." in text
    assert "By model" not in text


def test_a_long_session_shows_its_last_requests(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    made = [in_session(exchange(NOON_US + n * 1_000_000, key=ask.key_id, model=f"m{n}x"), SESSION) for n in range(510)]
    record(postgres_dsn, tmp_path, made)
    text = send(ask, ask.key).body.decode()
    assert "The last 500 of 510 requests" in text
    timeline = text[text.index("The last 500") :]
    assert ("m9x" in timeline, "m10x" in timeline, "m509x" in timeline) == (False, True, True)
