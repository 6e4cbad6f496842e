"""Everything that follows from a request's head alone: where it goes, whose it is, what is recorded of it.

Callers repeat their heads with nothing changed but the length of the body. So a head is worked out once, kept under its
exact bytes, and found again by them; see ``PlanMemo``.
"""

import re
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs

from majordomo.admit.keys import KEY_MAX_BYTES, DigestCache, Key
from majordomo.admit.metadata import Metadata, MetadataLimits, bound, collect, text
from majordomo.admit.proxy_keys import ProxyKeys
from majordomo.admit.refusal import KEY_MISSING, KEY_UNKNOWN, Refusal
from majordomo.admit.sessions import BAD_SESSION
from majordomo.apis import Api, Family
from majordomo.budget.gate import FREE
from majordomo.budget.matching import BudgetIndex, Governed, head_of
from majordomo.budget.model import Unit
from majordomo.forward.include_usage import may_inject
from majordomo.forward.own_pages import is_own_page
from majordomo.forward.providers import Provider
from majordomo.forward.request_head import RequestHead
from majordomo.forward.routes import Route, Routes, family_of
from majordomo.forward.stand_in import has_proxy_key, put_real_one
from majordomo.ids import read_uuid
from majordomo.meter.claude_request import ClaudeHead, claude_head
from majordomo.record.frames import Opening
from majordomo.record.framing import OpeningMould

_ANY_TIME = 2**62  # microseconds; takes as many bytes as every time of this age

_CLAUDE_CODE = "claude-code"  # a caller who names this as its client is one
_CLAUDE_AGENT = re.compile(rb"claude-cli/([0-9][\w.+-]{0,63})")

_LENGTH = b"Content-Length: %d\r\n"
_IDENTITY = b"Accept-Encoding: identity\r\n"


class Labels(NamedTuple):
    """What the caller's own headers say about a request, as text that PostgreSQL can hold."""

    provider_key_hash: str | None
    provider_key_alias: str | None
    client: str | None
    claude_session: str | None  # what its rows are grouped by: the companion's session, or else the client's own
    claude_session_name: str | None
    client_session: str | None
    client_version: str | None
    agent_id: str | None
    parent_agent_id: str | None
    trace_id: str | None
    span_path: str | None
    span_name: str | None


class Way(NamedTuple):
    """Where the requests with one head go, and how they are answered."""

    provider: Provider | None
    api: Api
    family: Family
    refusal: Refusal | None = None  # once the key was accepted
    own_page: bool = False  # a page of the gateway's: no key, no row
    holds_body: bool = False  # until it is whole, because it may have to be changed
    recorded_there: bool = False  # the provider is a gateway that keeps the row: nothing is journaled here


class Plan:
    """What to do with requests that have this head. Immutable once made."""

    __slots__ = (
        "_after",
        "_before",
        "_governed",
        "_governed_for",
        "_mould",
        "_moulded_for",
        "_opening",
        "api",
        "claude",
        "content_type",
        "counts_turns",
        "detour",
        "expects_continue",
        "family",
        "head",
        "holds_body",
        "key_hash",
        "labels",
        "metadata",
        "method",
        "method_text",
        "own_page",
        "passing",
        "path_text",
        "provider",
        "recorded_there",
        "refusal",
        "session",
        "warning",
    )

    def __init__(
        self,
        head: RequestHead,
        way: Way,
        *,
        key_hash: str | Refusal,
        metadata: Metadata,
        digests: DigestCache,
        detour: "Plan | None" = None,
    ) -> None:
        """``detour``: the plan for the same requests while ``way.provider`` cannot be reached."""
        self.head = head
        self.provider, self.api, self.family, self.refusal, self.own_page, self.holds_body, self.recorded_there = way
        self.detour = detour
        self.passing = False  # for this one request: its proxy key may mean something else at the next
        self.method = head.method
        self.method_text = head.method.decode("ascii", "replace")
        self.path_text = head.path.decode("utf-8", "replace").replace("\0", "\ufffd")
        self.content_type = head.content_type
        self.expects_continue = head.expects_continue
        self.key_hash = key_hash
        self.metadata = metadata
        self.labels = self._labels(digests)
        self.claude = self._claude_head()  # None: no details of it are wanted
        self.session, self.warning = self._session()
        self._before, self._after = self._split_lines()
        self._moulded_for: Key | None = None
        self._mould: OpeningMould
        self._opening: Opening
        self._governed_for: tuple[Key, BudgetIndex] | None = None
        self._governed: tuple[Governed, ...] = ()
        self.counts_turns = False  # one of the budgets that govern it does

    def _labels(self, digests: DigestCache) -> Labels:
        own = self.head.own

        def told(name: bytes) -> str | None:
            value = own.get(name)
            return text(value) if value is not None else None

        def claude(name: bytes) -> str | None:
            value = self.head.claude.get(b"x-claude-code-" + name)
            return text(value) if value else None

        secret = self._credential()
        return Labels(
            digests.hex(secret) if secret else None,
            told(b"provider-alias"),
            told(b"client"),
            told(b"claudecode-session-id") or claude(b"session-id"),
            told(b"claudecode-session-name"),
            claude(b"session-id"),
            _claude_version(self.head.claude.get(b"user-agent", b"")),
            claude(b"agent-id"),
            claude(b"parent-agent-id"),
            told(b"trace-id"),
            told(b"span-path"),
            told(b"span-name"),
        )

    def _session(self) -> tuple[bytes | None, str | None]:
        """The session that is named, 16 bytes, and what the caller is to be warned of whatever the session."""
        named = self.labels.claude_session
        if named is None or self.own_page:
            return None, self.metadata.warning
        session = read_uuid(named)
        if session is not None:
            return session.bytes, self.metadata.warning
        ours = self.head.own.get(b"claudecode-session-id")
        header = "X-Majordomo-ClaudeCode-Session-Id" if ours else "X-Claude-Code-Session-Id"
        return None, joined(self.metadata.warning, BAD_SESSION.format(header=header))

    def _claude_head(self) -> ClaudeHead | None:
        labels = self.labels
        wanted = labels.client == _CLAUDE_CODE or b"claudecode-session-id" in self.head.own
        if self.api is not Api.ANTHROPIC_MESSAGES or not wanted:
            return None
        beta = text(self.head.claude.get(b"anthropic-beta", b""))
        return claude_head(labels.client_version, labels.client_session, labels.agent_id, beta)

    def _credential(self) -> bytes | None:
        """The credential that the provider will check, whichever way it is sent."""
        head = self.head
        secret = head.credentials.get(b"x-api-key") or head.credentials.get(b"x-goog-api-key")
        bearer = head.credentials.get(b"authorization")
        if bearer is not None and (secret is None or self.family is not Family.ANTHROPIC):
            scheme, _, token = bearer.partition(b" ")
            secret = token.strip() or scheme
        if secret is None and b"key=" in head.query:
            secret = parse_qs(head.query).get(b"key", [b""])[0]
        return secret

    def _split_lines(self) -> tuple[bytes, bytes]:
        """The head as the provider gets it, around the place of ``Content-Length``."""
        if self.provider is None:
            return b"", b""
        head = self.head
        at = head.content_length_line
        before, after = head.lines, [b"Transfer-Encoding: chunked\r\n"] if head.chunked else []
        if at is not None:
            name = head.lines[at].partition(b":")[0]  # in the caller's own spelling
            before, after = [*head.lines[:at], name + b": "], [b"\r\n", *head.lines[at + 1 :]]
        target = self.provider.target(head.target)
        # Pages of our own name the address that they were asked under.
        host = head.host if self.own_page and head.host else self.provider.authority
        start = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, host)
        return b"".join((start, *before)), b"".join((*after, b"\r\n"))

    def opening_mould(self, key: Key) -> OpeningMould:
        """What the openings of requests with this head and key have in common."""
        if self._moulded_for is not key:
            self._moulded_for = key
            self._opening = self._made_opening(key)
            self._mould = OpeningMould(self._opening)
        return self._mould

    def opening(self, key: Key) -> Opening:
        """What the rows of requests with this head and key say of it; without an id, at no time."""
        self.opening_mould(key)
        return self._opening

    def _made_opening(self, key: Key) -> Opening:
        labels = self.labels
        metadata, overridden = self.metadata.values, None
        if key.metadata:
            metadata, overridden = bound(metadata, key.metadata)
        return Opening(
            id=bytes(16),
            requested_at=_ANY_TIME,
            api_key_id=key.id,
            org_id=key.org_id,
            provider=self.provider.name if self.provider is not None else "",
            api=self.api.value,
            method=self.method_text,
            path=self.path_text,
            provider_key_hash=labels.provider_key_hash,
            provider_key_alias=labels.provider_key_alias,
            metadata=metadata,
            client=labels.client,
            claude_session=labels.claude_session,
            claude_session_name=labels.claude_session_name,
            client_session=labels.client_session,
            client_version=labels.client_version,
            agent_id=labels.agent_id,
            parent_agent_id=labels.parent_agent_id,
            trace_id=labels.trace_id,
            span_path=labels.span_path,
            span_name=labels.span_name,
            overridden=overridden or None,
        )

    def governed(self, key: Key, budgets: BudgetIndex) -> tuple[Governed, ...]:
        """The budgets that may concern requests with this head and key. Remembered while both stay the same."""
        asked = self._governed_for
        if asked is None or asked[0] is not key or asked[1] is not budgets:
            self._governed_for = (key, budgets)
            looked_at = self.provider is not None and self.api not in FREE and len(budgets)
            self._governed = budgets.governing(head_of(self.opening(key))) if looked_at else ()
            self.counts_turns = any(one.budget.unit is Unit.TURNS for one in self._governed)
        return self._governed

    def upstream_head(self, content_length: int | None) -> bytes:
        """The head to send, for a body of so many bytes; None where the caller told no length."""
        if content_length is None:
            return self._before + self._after
        return b"%b%d%b" % (self._before, content_length, self._after)

    def injected_head(self, content_length: int) -> bytes:
        """The head to send when the body was changed: its new length, and a reply that is not compressed.

        Only from a plain reply can the extra chunk be taken out without touching the rest.
        """
        assert self.provider is not None
        head = self.head
        lines = [line for line in head.lines if not line.lower().startswith((b"content-length:", b"accept-encoding:"))]
        target = self.provider.target(head.target)
        start = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, self.provider.authority)
        return b"".join((start, *lines, _LENGTH % content_length, _IDENTITY, b"\r\n"))


class Plans(Protocol):
    """Who makes plans: the gateway's ``Planner``, or another's."""

    def plan(self, head: RequestHead) -> Plan:
        """The plan for requests with this head."""


class Planner:
    """The gateway's plans: holds what they depend on besides the head."""

    __slots__ = ("back_office", "digests", "inject_stream_usage", "limits", "proxy_keys", "routes")

    def __init__(
        self,
        routes: Routes,
        back_office: Provider,
        limits: MetadataLimits,
        *,
        inject_stream_usage: bool,
        proxy_keys: ProxyKeys | None = None,
    ) -> None:
        self.routes = routes
        self.back_office = back_office
        self.limits = limits
        self.inject_stream_usage = inject_stream_usage
        self.proxy_keys = proxy_keys
        self.digests = DigestCache()

    def plan(self, head: RequestHead) -> Plan:
        """The plan for requests with this head."""
        way = self._way(head)
        if way.own_page:
            head.lines += [b"X-Majordomo-%b: %b\r\n" % (name.title(), value) for name, value in head.own.items()]
        key_hash = self._key_hash(head)
        stands_in = not way.own_page and has_proxy_key(head)
        if stands_in and way.provider is not None and isinstance(key_hash, str):
            refused = put_real_one(head, way.provider, self.proxy_keys, key_hash)
            way = way if refused is None else way._replace(refusal=way.refusal or refused)
        plan = Plan(
            head,
            way,
            key_hash=key_hash,
            metadata=collect(head.metadata, self.limits),
            digests=self.digests,
        )
        plan.passing = stands_in
        return plan

    def _way(self, head: RequestHead) -> Way:
        named = head.own.get(b"provider")  # may be asked for any path, also one that is a page of ours
        marks = head.anthropic_marks
        family = family_of(head.path, anthropic_marks=marks)
        if not named and is_own_page(head.path):
            return Way(self.back_office, Api.OPENAI_OTHER, family, own_page=True)
        route = self.routes.find(head.method, head.path, text(named) if named else None, anthropic_marks=marks)
        if not isinstance(route, Route):
            return Way(None, Api.OPENAI_OTHER, family, route)
        provider, api = route
        holds = self.inject_stream_usage and provider.inject_stream_usage and may_inject(api)
        return Way(provider, api, api.family, holds_body=holds)

    def _key_hash(self, head: RequestHead) -> str | Refusal:
        secret = head.own.get(b"key")
        if not secret:
            return KEY_MISSING
        return self.digests.hex(secret) if len(secret) <= KEY_MAX_BYTES else KEY_UNKNOWN


class PlanMemo:
    """Plans by the exact bytes of a head that was parsed and found well-formed, without the digits of its length.

    A hit needs no parsing: the same bytes mean the same. What is not one whole request in one piece, with its head seen
    before, takes the long way through the parser.
    """

    __slots__ = ("_plans",)

    #: Heads kept and the longest of them (bytes): 2 MB at the most. Past that the store starts over.
    _KEPT = 512
    _LONGEST = 4096

    def __init__(self) -> None:
        self._plans: dict[bytes, Plan] = {}

    def find(self, data: bytes) -> tuple[Plan, bytes] | None:
        """The plan and the body, if ``data`` is exactly one request whose head is known."""
        cut = _cut(data)
        if cut is None:
            return None
        key, start = cut
        plan = self._plans.get(key)
        return None if plan is None else (plan, data[start:])

    def keep(self, data: bytes, plan: Plan) -> None:
        """Remember the plan of a request that was parsed from ``data``, if it is one that ``find`` could find."""
        cut = _cut(data)
        if cut is None or cut[1] > self._LONGEST or plan.head.chunked or plan.expects_continue or plan.passing:
            return
        if len(self._plans) >= self._KEPT:
            self._plans.clear()
        self._plans[cut[0]] = plan


def joined(first: str | None, second: str) -> str:
    """Two warnings as one line."""
    return second if first is None else f"{first}; {second}"


def _claude_version(user_agent: bytes) -> str | None:
    """Claude Code's version, from ``claude-cli/2.1.197 (external, cli)``."""
    found = _CLAUDE_AGENT.match(user_agent)
    return found[1].decode("ascii", "replace") if found else None


def _cut(data: bytes) -> tuple[bytes, int] | None:
    """The head without its length's digits, and where the body starts; None unless ``data`` is one whole request.

    The length counts only on a line of its own in the usual spelling; two of them never get past the parser.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end == 3:
        return None
    at = data.find(b"\r\nContent-Length: ", 0, end)
    if at < 0:
        at = data.find(b"\r\ncontent-length: ", 0, end)
        if at < 0:
            return (data, end) if len(data) == end else None
    at += 18
    stop = data.find(b"\r", at)
    digits = data[at:stop]
    if not digits.isdigit() or len(digits) > 10 or len(data) != end + int(digits):
        return None
    return data[:at] + data[stop:end], end
