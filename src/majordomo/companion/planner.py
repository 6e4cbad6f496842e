"""The companion's plans: every request goes to the gateway with the session's headers, or straight to the provider."""

import copy
from typing import NamedTuple

from majordomo.admit.keys import DigestCache
from majordomo.admit.metadata import MetadataLimits, collect
from majordomo.admit.refusal import Refusal
from majordomo.apis import Api, Family
from majordomo.companion.books import Tally
from majordomo.companion.claude_child import ANTHROPIC
from majordomo.companion.gateway import CONNECT_SECONDS
from majordomo.companion.order import Order
from majordomo.companion.upstreams import Upstreams
from majordomo.forward.own_pages import is_own_page
from majordomo.forward.plan import Plan, Way
from majordomo.forward.providers import Provider
from majordomo.forward.request_head import RequestHead
from majordomo.forward.routes import Route, Routes

#: Who asks a companion is whoever runs on this machine under it: one key for all, and none to be sent.
LOCAL_KEY = "local"

_CLIENT = b"claude-code"

#: Own headers that are not spelled with one capital letter in each word.
_SPELLED = {
    b"claudecode-session-id": b"ClaudeCode-Session-Id",
    b"claudecode-session-name": b"ClaudeCode-Session-Name",
}

# An OAuth token is a subscription's: its beta header, or its own first characters.
_OAUTH_BETA = b"oauth-"
_OAUTH_TOKEN = b"Bearer sk-ant-oat"


def gateway_away(url: str) -> Refusal:
    """What a request gets with ``--fail-closed`` while the gateway is away; by the header the CLI shows it at once."""
    return Refusal(
        503,
        "gateway_unreachable",
        f"The Majordomo gateway at {url} cannot be reached, and this companion was started with --fail-closed. "
        "Check the gateway, or start the companion without --fail-closed.",
        {"x-should-retry": "false"},
    )


FROM_A_WEB_PAGE = Refusal(
    403,
    "foreign_origin",
    "This companion serves programs on this machine; this request comes from a web page, or by another host name.",
)

#: By which names a proxy on loopback can be asked for.
_OWN_HOSTS = (b"127.0.0.1", b"localhost")


class Target(NamedTuple):
    """Where requests can go: one base URL for every path."""

    routes: Routes

    @classmethod
    def at(cls, base_url: str, anthropic: str = "anthropic", connect_timeout: float | None = None) -> "Target":
        """``anthropic``: what the provider of Anthropic's API is called in prices and rows.

        Raises:
            ValueError: the URL has no host or an impossible port.
        """
        providers = {}
        for family in Family:
            name = anthropic if family is Family.ANTHROPIC else family.value
            provider = Provider.at(name, base_url, family, "keep", inject=False)
            providers[family.value] = provider._replace(connect_timeout=connect_timeout)
        return cls(Routes(providers))

    def way(self, head: RequestHead, *, recorded_there: bool = False) -> Way:
        """The way of a request with this head. What no API knows is passed through all the same."""
        # Always as Anthropic's: the caller was told of no other base URL.
        route = self.routes.find(head.method, head.path, None, anthropic_marks=True)
        if isinstance(route, Refusal):
            route = self.routes.find(head.method, head.path, Family.ANTHROPIC.value, anthropic_marks=True)
        assert isinstance(route, Route)
        return Way(route.provider, route.api, route.api.family, recorded_there=recorded_there)


class CompanionPlanner:
    """Makes the plans of one session."""

    def __init__(
        self,
        order: Order,
        *,
        upstreams: Upstreams,
        limits: MetadataLimits,
        tally: Tally,
    ) -> None:
        """Plans for the requests of one session.

        Raises:
            ValueError: an upstream's URL is unusable.
        """
        self._order = order
        self._direct = Target.at(upstreams.direct_url, upstreams.direct_provider)
        #: Headers for a gateway, which a caller sends by itself, are for whoever it would have asked without us.
        self._keeps_own_headers = upstreams.direct_url != ANTHROPIC
        #: Where requests go first; None: straight to the provider.
        self._gateway: Target | None = None
        if upstreams.through_gateway and order.gateway is not None:
            self._gateway = Target.at(order.gateway, connect_timeout=CONNECT_SECONDS)
        self._limits = limits
        self._digests = DigestCache()
        self._tally = tally

    def plan(self, head: RequestHead) -> Plan:
        """The plan for requests with this head."""
        if _OAUTH_BETA in _line(head, b"anthropic-beta:") or head.credentials.get(b"authorization", b"").startswith(
            _OAUTH_TOKEN
        ):
            self._tally.flat_rate = True
        if _from_a_web_page(head):
            return self._plan(head, Way(None, Api.ANTHROPIC_OTHER, Family.ANTHROPIC, FROM_A_WEB_PAGE))
        own_page = is_own_page(head.path)
        caller_lines = _own_lines(head)
        self._label(head)
        direct_head = copy.copy(head)
        if self._keeps_own_headers:
            direct_head.lines = [*head.lines, *caller_lines]
        if self._gateway is None:
            return self._plan(direct_head, self._direct.way(head)._replace(own_page=own_page))
        gateway_head = copy.copy(head)
        # Pages of the gateway's own are asked for with the caller's headers alone: our key opens the providers only.
        gateway_head.lines = [*head.lines, *(caller_lines if own_page else self._gateway_lines(head))]
        way = self._gateway.way(head, recorded_there=True)._replace(own_page=own_page)
        return self._plan(gateway_head, way, detour=self._plan(direct_head, self._detour(head, own_page=own_page)))

    def _detour(self, head: RequestHead, *, own_page: bool) -> Way:
        if self._order.fail_closed:
            refusal = gateway_away(self._order.gateway or "")
            return Way(None, Api.ANTHROPIC_OTHER, Family.ANTHROPIC, refusal, own_page)
        return self._direct.way(head)._replace(own_page=own_page)

    def _plan(self, head: RequestHead, way: Way, detour: Plan | None = None) -> Plan:
        return Plan(
            head,
            way,
            key_hash=LOCAL_KEY,
            metadata=collect(head.metadata, self._limits),
            digests=self._digests,
            detour=detour,
        )

    def _label(self, head: RequestHead) -> None:
        """Add what the order says of every request. A caller's own metadata is more to the point and stays."""
        order, own = self._order, head.own
        own.pop(b"key", None)  # ours is sent; two would be a riddle
        own.setdefault(b"client", _CLIENT)
        own[b"claudecode-session-id"] = order.session_id.encode()
        if order.session_name is not None:
            own[b"claudecode-session-name"] = order.session_name.encode()
        told = {name for name, _ in head.metadata}
        head.metadata = [
            *head.metadata,
            *(
                (key.lower().encode(), value.encode())
                for key, value in order.metadata.items()
                if key.lower().encode() not in told
            ),
        ]

    def _gateway_lines(self, head: RequestHead) -> list[bytes]:
        return [b"X-Majordomo-Key: %b\r\n" % self._order.api_key.encode(), *_own_lines(head)]


def _from_a_web_page(head: RequestHead) -> bool:
    """A browser may send requests to loopback for any page; behind a gateway key they would be worth something."""
    return bool(_line(head, b"origin:")) or head.host.partition(b":")[0].lower() not in _OWN_HOSTS


def _own_lines(head: RequestHead) -> list[bytes]:
    """The head's ``X-Majordomo-*`` headers, ready to send."""
    pairs = [*head.own.items(), *head.metadata]
    return [b"X-Majordomo-%b: %b\r\n" % (_spelled(name), value) for name, value in pairs]


def _spelled(name: bytes) -> bytes:
    return _SPELLED.get(name) or b"-".join(part.capitalize() for part in name.split(b"-"))


def _line(head: RequestHead, start: bytes) -> bytes:
    return next((line for line in head.lines if line.lower().startswith(start)), b"")
