"""All routes, walked: nobody sees or changes another organisation's, and whatever is wrong is told in one shape."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from every_route import OF_A_KEY, Route, Send, asker_of, every_path, told
from one_error import is_the_one_error
from peopled import Peopled
from served_api import ServedApi

import requests
from majordomo.record.delivery import MOST_BYTES
from majordomo.report.bodies import MOST_BODY_BYTES

#: Routes that need nobody to be known.
OF_NOBODY = ("/readyz", "/metrics", "/api/v1/session")
#: Answers to these say nothing of any organisation.
OF_NO_ORGANISATION = ("/readyz", "/metrics", "/api/v1/prices")
#: An address that anybody may look at although it names what belongs to somebody: prices are everybody's.
OF_ALL = ("model",)

#: What text from outside has tried elsewhere.
INJECTIONS = (
    "'; DROP TABLE llm_requests; --",
    "' OR '1'='1",
    '"}]}; SELECT pg_sleep(9)',
    "$(id)`id`",
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "%s%n{0}{self.__class__}",
    "a\0b",
    "\u202e\ufeff\U0001f4a5" * 9,
    "x" * 6000,
    "\r\nSet-Cookie: a=b",
)

_ROWS = """
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (
    SELECT to_jsonb(r)::text FROM llm_requests r WHERE org_id = $1
    UNION ALL SELECT (to_jsonb(u) - 'last_sign_in_at')::text FROM users u WHERE org_id = $1
    UNION ALL SELECT (to_jsonb(k) - 'last_used_at')::text FROM api_keys k WHERE org_id = $1
    UNION ALL SELECT to_jsonb(p)::text FROM proxy_keys p WHERE org_id = $1
    UNION ALL SELECT to_jsonb(c)::text FROM proxy_key_providers c
        WHERE proxy_key_id IN (SELECT id FROM proxy_keys WHERE org_id = $1)
    UNION ALL SELECT to_jsonb(b)::text FROM budgets b WHERE org_id = $1
    UNION ALL SELECT to_jsonb(r)::text FROM budget_raises r
        WHERE budget_id IN (SELECT id FROM budgets WHERE org_id = $1)
    UNION ALL SELECT to_jsonb(s)::text FROM claude_sessions s
        WHERE majordomo_api_key_id IN (SELECT id FROM api_keys WHERE org_id = $1)
    UNION ALL SELECT (to_jsonb(o) - 'last_used_at')::text FROM user_tokens o
        WHERE user_id IN (SELECT id FROM users WHERE org_id = $1)
    UNION ALL SELECT to_jsonb(l)::text FROM sign_in_links l WHERE user_id IN (SELECT id FROM users WHERE org_id = $1)
    UNION ALL SELECT to_jsonb(m)::text FROM llm_requests_metadata_keys m
        WHERE majordomo_api_key_id IN (SELECT id FROM api_keys WHERE org_id = $1)
) t
"""


def is_error(reply: requests.Response) -> bool:
    if reply.request.method == "HEAD":
        return reply.status_code >= 400
    return is_the_one_error(reply.status_code, reply.headers, reply.content)


def leaks(reply: requests.Response, of: Peopled, sent: str) -> list[str]:
    """What of another organisation an answer has that the question had not."""
    return [word for word in (of.mark, *of.every_id) if word in reply.text.lower() and word not in sent]


@pytest.mark.parametrize("who", ["admin", "member"])
def test_no_route_shows_another_organisations_rows(
    routes: list[Route], send: Send, ours: Peopled, theirs: Peopled, who: str
) -> None:
    """By looking around, and by naming what is theirs: a path that does is 404."""
    found = []
    for route in routes:
        if route.method != "GET" or route.path in OF_NO_ORGANISATION:
            continue
        headers = ours.headers(asker_of(route, who))
        reply = send(route, route.target({**ours.ids, "model": "gpt-5"}), headers)
        shown = leaks(reply, theirs, str(reply.request.url).lower())
        if shown and not (route.path == "/api/v1/orgs" and who == "admin"):  # theirs is its to administer
            found.append((told(reply), shown))
        if set(route.path_names) - set(OF_ALL) and "journal_id" not in route.path_names:
            reply = send(route, route.target({**theirs.ids, "model": "gpt-5"}), headers)
            if reply.status_code not in ((404,) if who == "admin" else (403, 404)) or leaks(
                reply, theirs, str(reply.request.url).lower()
            ):
                found.append((told(reply), ["not 404"]))
        if "filter" in route.query_names:
            for chosen in (f"key:{theirs.ids['key_id']}", f"run:{theirs.ids['trace_id']}", f"Feature:{theirs.mark}-f"):
                reply = send(route, route.target(ours.ids, filter=chosen), headers)
                if leaks(reply, theirs, chosen):
                    found.append((told(reply), ["by a filter"]))
    assert not found


def test_its_own_people_do_see_them(routes: list[Route], send: Send, theirs: Peopled) -> None:
    """Else the test before would find nothing to hide: every route about an organisation shows it its own."""
    blind, refused = [], []
    for route in routes:
        if route.method != "GET" or route.path == "/api/v1/settings":
            continue  # the settings are the installation's, for the default organisation alone
        reply = send(route, route.target({**theirs.ids, "model": "gpt-5"}), theirs.headers(asker_of(route)))
        if reply.status_code != 200:
            refused.append(told(reply))
        elif not route.never_ends and not leaks(reply, theirs, ""):
            blind.append(route.path)
    assert not refused
    assert set(blind) <= NOTHING_OF_ANYBODY, "routes that show no row: give these organisations some, or name them"


#: Sums have no names in them; what stands in them is held against the rows in tests/report/usage.
NOTHING_OF_ANYBODY = {
    "/readyz",
    "/metrics",
    "/api/v1/ingest/{journal_id}",
    "/api/v1/prices",
    "/api/v1/prices/{model}",
    "/api/v1/usage/summary",
    "/api/v1/usage/timeseries",
    "/api/v1/usage/latency",
}


@pytest.mark.parametrize("who", ["admin", "member"])
def test_no_route_changes_another_organisations_rows(
    routes: list[Route], send: Send, served_api: ServedApi, ours: Peopled, theirs: Peopled, who: str
) -> None:
    """Every change that names what is theirs is refused as if it were not there, and nothing of theirs is different."""
    before = served_api.database(lambda connection: connection.fetchval(_ROWS, theirs.org_id))
    wrong = []
    for route in routes:
        body = route.body(theirs.ids)
        names = [name for name in theirs.ids if name in route.path_names or theirs.ids[name] in str(body)]
        if route.method == "GET" or not names or names == ["journal_id"]:
            continue
        if route.path.startswith("/api/v1/claude-sessions"):
            continue  # each organisation may have a session of the same UUID: what is made or ended is one's own
        reply = send(route, route.target(theirs.ids), ours.headers(asker_of(route, who)), body)
        refusals = (404,) if who == "admin" else (403, 404)
        if (
            reply.status_code not in refusals
            or not is_error(reply)
            or leaks(reply, theirs, f"{reply.request.url} {body}")
        ):
            wrong.append(told(reply))
    assert not wrong
    assert served_api.database(lambda connection: connection.fetchval(_ROWS, theirs.org_id)) == before


def test_whoever_is_not_known_is_401_everywhere(routes: list[Route], send: Send, ours: Peopled) -> None:
    """Nobody, an unknown token, an expired session, somebody else's kind of key: 401 in the one shape."""
    strangers = [
        {},
        {"Authorization": "Bearer mdm_ut_" + "x" * 43},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "majordomo_session=" + "x" * 43},
        {"X-Majordomo-Key": "mdm_sk_" + "x" * 43},
    ]
    wrong = []
    for route in routes:
        if route.path in ("/readyz", "/metrics") or (route.path.startswith(OF_NOBODY) and route.method == "POST"):
            continue
        for headers in strangers:
            reply = send(route, route.target({**ours.ids, "model": "gpt-5"}), headers, route.body(ours.ids))
            if reply.status_code != 401 or not is_error(reply):
                wrong.append(told(reply))
    assert not wrong


def test_an_expired_session_is_nobodys(served_api: ServedApi, routes: list[Route], send: Send, theirs: Peopled) -> None:
    """Every route stops knowing a cookie when its time is over."""
    past = (
        "UPDATE user_sessions SET expires_at = now() - interval '1 s' "
        "WHERE user_id IN (SELECT id FROM users WHERE org_id = $1)"
    )
    headers = theirs.headers("browser")
    mine = [route for route in routes if route.path == "/api/v1/session" and route.method == "GET"]
    assert send(mine[0], mine[0].target({}), headers).status_code == 200
    served_api.database(lambda connection: connection.execute(past, theirs.org_id))
    for route in routes:
        if route.path.startswith((*OF_A_KEY, "/readyz", "/metrics")) or route.path.startswith("/api/v1/session/"):
            continue
        if route.key != ("POST", "/api/v1/session"):
            ids = {**theirs.ids, "model": "gpt-5"}
            reply = send(route, route.target(ids), headers, route.body(theirs.ids))
            assert (reply.status_code, is_error(reply)) == (401, True), told(reply)


def test_a_change_without_the_sessions_token_is_403(routes: list[Route], send: Send, ours: Peopled) -> None:
    """Another site can make a browser send its cookie; no route that changes something takes that for enough."""
    cookie = {"Cookie": ours.headers("browser")["Cookie"]}
    asked = 0
    for route in routes:
        if route.method == "GET" or route.path.startswith((*OF_A_KEY, "/api/v1/session/")):
            continue
        if route.key == ("POST", "/api/v1/session"):
            continue
        for headers in (cookie, {**cookie, "X-CSRF-Token": "x" * 43}):
            reply = send(route, route.target(ours.ids), headers, route.body(ours.ids))
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "csrf_token_missing"), told(reply)
            asked += 1
    assert asked > 20


def test_a_member_changes_nothing_of_the_organisations(routes: list[Route], send: Send, ours: Peopled) -> None:
    """Only their own tokens and session, and trials, which change nothing."""
    own = ("/api/v1/tokens", "/api/v1/session", "/api/v1/budgets/simulate", *OF_A_KEY)
    for route in routes:
        if route.method != "GET" and not route.path.startswith(own):
            reply = send(route, route.target(ours.ids), ours.headers("member"), route.body(ours.ids))
            assert (reply.status_code, is_error(reply)) == (403, True), told(reply)


def test_text_that_tries_something_is_text(routes: list[Route], send: Send, ours: Peopled, theirs: Peopled) -> None:
    """In every place of every path and query, and every field of every body: an answer or a clear 4xx, and no leak."""
    wrong = []
    for route in routes:
        if route.path.startswith("/api/v1/session"):
            continue  # signing in is limited; its own tests try it
        headers = ours.headers(asker_of(route))
        ids = {**ours.ids, "model": "gpt-5"}
        body = route.body(ours.ids)
        for bad in INJECTIONS:
            asks = [(route.target({**ids, name: bad}), body) for name in route.path_names]
            asks += [(route.target(ids, **{name: bad}), body) for name in route.query_names]
            if body:
                asks += [(route.target(ids), {**body, name: bad}) for name in body]
            for target, sent in asks:
                reply = send(route, target, headers, sent)
                if reply.status_code >= 500 or leaks(reply, theirs, "") or (reply.status_code >= 400) > is_error(reply):
                    wrong.append(told(reply))
    assert not wrong


ABSURD = {
    "limit": ("0", "-1", "1000000000", "99999999999999999999", "1e9", "NaN"),
    "offset": ("-1", "99999999999999999999", "x"),
    "period": ("eternity",),
    "timezone": ("Mars/Olympus", "../UTC", "\0"),
    "granularity": ("second",),
    "cursor": ("x", "AAAA"),
}
WRONG_TIMES = (
    {"from": "2026-11-02", "to": "2026-11-01"},
    {"from": "2026-11-01", "to": "2026-11-01"},
    {"from": "2001-01-01", "to": "2026-11-01"},
    {"from": "9999-12-31", "to": "9999-12-31T23:59"},
    {"from": "-1", "to": "now"},
    {"from": "2026-02-30", "to": "now"},
    {"from": "2026-11-01", "to": "now", "period": "7d"},
)


def test_absurd_choices_are_422_on_every_route_that_takes_them(routes: list[Route], send: Send, ours: Peopled) -> None:
    """Times the wrong way round, ranges of ages, giant limits, unknown zones: refused with a sentence."""
    asked = 0
    for route in routes:
        headers, ids = ours.headers(asker_of(route)), {**ours.ids, "model": "gpt-5"}
        asks = [{name: bad} for name, values in ABSURD.items() if name in route.query_names for bad in values]
        if {"from", "to"} <= set(route.query_names):
            asks += [*WRONG_TIMES, {"filter": "colour:red"}, {"filter": ":"}]
            if "group_by" in route.query_names:
                asks += [{"group_by": "colour"}]
        for wrong in asks:
            if "period" in wrong and "from" not in wrong:
                wrong = {**wrong, "from": [], "to": []}
            reply = send(route, route.target(ids, **wrong), headers)
            assert (reply.status_code, is_error(reply)) == (422, True), (wrong, told(reply))
            asked += 1
    assert asked > 100


def test_every_body_must_be_json_of_known_fields(
    routes: list[Route], send: Send, served_api: ServedApi, ours: Peopled
) -> None:
    """What is no JSON object is a clear 4xx and an unknown field is named: on every route that takes a body."""
    with requests.Session() as session:
        for route in routes:
            if not route.takes_body:
                continue
            url = served_api.url + route.target(ours.ids)
            headers = {**ours.headers(asker_of(route)), "Content-Type": "application/json"}
            replies = {
                "no JSON": session.request(route.method, url, data=b"{", headers=headers, timeout=60),
                "a list": session.request(route.method, url, data=b"[1]", headers=headers, timeout=60),
                "deep": session.request(route.method, url, data=b"[" * 30_000, headers=headers, timeout=60),
                "no UTF-8": session.request(route.method, url, data=b'{"a":"\xff\xfe"}', headers=headers, timeout=60),
            }
            for what, reply in replies.items():
                assert reply.status_code in (400, 422) and is_error(reply), (what, told(reply))
            if not route.path.startswith("/api/v1/ingest"):
                reply = session.request(route.method, url, json={**route.body(ours.ids), "coluor": 1}, headers=headers)
                assert reply.status_code == 422 and "coluor" in reply.text, told(reply)


def test_every_body_must_be_short_and_said_to_be_json(
    routes: list[Route], served_api: ServedApi, ours: Peopled
) -> None:
    """413 and 415 in the one shape on every route that takes a body, whether or not its length is told beforehand."""
    kinds = {"a form": "application/x-www-form-urlencoded", "text": "text/plain; charset=utf-8", "none": "json"}
    asked = 0
    with requests.Session() as session:
        for route in routes:
            if not route.takes_body:
                continue
            url, headers = served_api.url + route.target(ours.ids), ours.headers(asker_of(route))
            most = MOST_BYTES if route.path.startswith("/api/v1/ingest") else MOST_BODY_BYTES
            json_headers = {**headers, "Content-Type": "application/json"}
            for body in (b" " * (most + 1), iter([b" " * most, b" "])):  # requests sends an iterator in chunks
                reply = session.request(route.method, url, data=body, headers=json_headers, timeout=60)
                assert (reply.status_code, is_error(reply)) == (413, True), told(reply)
                assert (reply.json()["error"]["code"], f"{most:,}" in reply.text) == ("too_large", True), told(reply)
            for what, kind in kinds.items():
                sent = json.dumps(route.body(ours.ids))
                reply = session.request(
                    route.method, url, data=sent, headers={**headers, "Content-Type": kind}, timeout=60
                )
                assert (reply.status_code, is_error(reply)) == (415, True), (what, told(reply))
                assert reply.json()["error"]["code"] == "not_json", (what, told(reply))
            asked += 1
    assert asked > 20


def test_a_person_must_say_that_a_body_is_json_and_a_key_need_not(
    routes: list[Route], served_api: ServedApi, ours: Peopled
) -> None:
    """A browser that holds a cookie can be made to send text without a type; nobody can be made to send a key."""
    with requests.Session() as session:
        for route in routes:
            if not route.takes_body:
                continue
            url, headers = served_api.url + route.target(ours.ids), ours.headers(asker_of(route))
            reply = session.request(route.method, url, data=json.dumps(route.body(ours.ids)), headers=headers)
            assert "Content-Type" not in reply.request.headers
            assert (reply.status_code == 415) == (asker_of(route) != "key"), told(reply)


LOOSE = (
    (("POST", "/api/v1/tokens"), "days", (True, "7", 7.5)),
    (("PATCH", "/api/v1/users/{user_id}"), "is_active", (1, "yes")),
    (("POST", "/api/v1/metadata-keys/{name}/activate"), "confirm", (1, "true")),
    (("POST", "/api/v1/budgets"), "month_start", (True, "1")),
    (("POST", "/api/v1/budgets"), "warn_at", ([True], ["50"])),
    (("POST", "/api/v1/budgets"), "allow_unseen", (1, "on")),
    (("POST", "/api/v1/budgets/{budget}/raise"), "until", (1_900_000_000, "1900000000", True)),
    (("POST", "/api/v1/budgets/simulate"), "since", (0, -1, "0")),
)


@pytest.mark.parametrize(("key", "field", "values"), LOOSE, ids=lambda one: str(one))
def test_a_field_is_what_the_document_says_and_not_what_it_could_be_taken_for(
    routes: list[Route], send: Send, ours: Peopled, key: tuple[str, str], field: str, values: tuple[Any, ...]
) -> None:
    """A slip such as ``true`` for a number of days is told instead of guessed at."""
    (route,) = (one for one in routes if one.key == key)
    for value in values:
        body = {**route.body(ours.ids), field: value}
        reply = send(route, route.target(ours.ids), ours.headers("admin"), body)
        assert (reply.status_code, is_error(reply)) == (422, True), (value, told(reply))
        assert field in str(reply.json()["error"]["details"]), told(reply)


def test_every_path_refuses_other_methods_and_what_lies_below_it(served_api: ServedApi, ours: Peopled) -> None:
    """405 with what is allowed, or 404: in the one shape, on pages as on the API."""
    place = urlsplit(served_api.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    taken = every_path(served_api.app)
    assert len(taken) > 60
    for path in sorted({path for _, path in taken}):
        allowed = {method for method, other in taken if other == path}
        target = path.replace("{", "").replace("}", "").replace(":path", "")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            if method in allowed or any(other == method and path.startswith(one.split("{")[0]) for other, one in taken):
                continue  # /budgets/near is /budgets/{budget} for what it does not take itself
            connection.request(method, target, headers=ours.headers("admin"))
            reply = connection.getresponse()
            body = reply.read()
            assert reply.status in (404, 405), (method, target, body)
            assert is_the_one_error(reply.status, {k.lower(): v for k, v in reply.getheaders()}, body), (method, target)
            assert reply.status == 404 or reply.getheader("allow"), (method, target)
        if path.startswith("/api/") and ":path" not in path:
            connection.request("GET", target + "/no/such/thing", headers=ours.headers("admin"))
            reply = connection.getresponse()
            error = json.loads(reply.read())["error"]
            assert (reply.status, bool(error["code"])) == (404, True), target
    connection.close()
