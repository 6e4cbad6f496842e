"""A request's head, its headers sorted into the gateway's, the connection's and the provider's."""

import re

from majordomo.admit.metadata import OWN_NAMES, PREFIX

_LENGTH, _HOP, _CONNECTION, _HOST, _CODING, _EXPECT, _TYPE, _CREDENTIAL, _ANTHROPIC, _CLAUDE = range(10)

# What is done with a header by its lower-cased name; all others go to the provider as they are.
_ROLES = {
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    b"host": _HOST,
    b"transfer-encoding": _CODING,
    b"expect": _EXPECT,
    b"content-type": _TYPE,
    b"authorization": _CREDENTIAL,
    b"x-api-key": _CREDENTIAL,
    b"x-goog-api-key": _CREDENTIAL,
    b"anthropic-version": _ANTHROPIC,
    b"anthropic-beta": _CLAUDE,
    b"user-agent": _CLAUDE,
    b"x-claude-code-session-id": _CLAUDE,
    b"x-claude-code-agent-id": _CLAUDE,
    b"x-claude-code-parent-agent-id": _CLAUDE,
    b"keep-alive": _HOP,
    b"proxy-connection": _HOP,
    b"proxy-authorization": _HOP,
    b"te": _HOP,
    b"trailer": _HOP,
    b"upgrade": _HOP,
}

#: What ``Connection`` may not take away: the framing, so that a body keeps its length on the way.
_KEPT_WHATEVER_NAMED = frozenset({b"content-length", b"host", b"close", b"keep-alive", b""})


class MalformedHeadError(Exception):
    """The head breaks a rule that the parser leaves to us; the message names it."""


class RequestHead:
    """A head, sorted. ``lines`` are those the provider gets, each ready to send."""

    __slots__ = (
        "anthropic_marks",
        "chunked",
        "claude",
        "content_length",
        "content_length_line",
        "content_type",
        "credentials",
        "expects_continue",
        "host",
        "http_11",
        "keep_alive",
        "lines",
        "metadata",
        "method",
        "own",
        "path",
        "query",
        "target",
    )

    def __init__(self, method: bytes, target: bytes, *, http_11: bool, keep_alive: bool) -> None:
        self.method = method
        self.http_11 = http_11
        self.keep_alive = keep_alive
        self.target, self.path, self.query = _split_target(target)
        self.lines: list[bytes] = []
        self.content_length: int | None = None
        self.content_length_line: int | None = None  # its index in ``lines``
        self.content_type = ""
        self.host = b""
        self.chunked = False
        self.expects_continue = False
        self.anthropic_marks = False  # the request has anthropic-version or x-api-key
        self.claude: dict[bytes, bytes] = {}  # what Claude Code says of itself; goes to the provider all the same
        self.credentials: dict[bytes, bytes] = {}
        self.own: dict[bytes, bytes] = {}
        self.metadata: list[tuple[bytes, bytes]] = []

    def framing(self) -> bytes:
        """A head that says no more than how this request's body is framed."""
        if self.chunked:
            return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (self.content_length or 0)


def read_head(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], *, http_11: bool, keep_alive: bool
) -> RequestHead:
    """Sort a request's headers.

    Raises:
        MalformedHeadError: no or several hosts, a transfer coding other than chunked, a target that is no path.
    """
    head = RequestHead(method, target, http_11=http_11, keep_alive=keep_alive)
    lines = head.lines
    hosts = 0
    named_hops: list[bytes] = []
    for name, value in headers:
        low = name.lower()
        role = _ROLES.get(low)
        if role is None:
            if low.startswith(PREFIX):
                own = low[len(PREFIX) :]
                if own in OWN_NAMES:
                    head.own[own] = value.strip()  # the parser leaves white space behind a value
                else:
                    head.metadata.append((own, value.strip()))
                continue
        elif role == _LENGTH:
            head.content_length = int(value)
            head.content_length_line = len(lines)
        elif role == _TYPE:
            head.content_type = value.strip().decode("latin-1")
        elif role == _CREDENTIAL:
            head.credentials[low] = value.strip()
            head.anthropic_marks = head.anthropic_marks or low == b"x-api-key"
        elif role == _ANTHROPIC:
            head.anthropic_marks = True
        elif role == _CLAUDE:
            head.claude[low] = value.strip()
        else:
            if role == _HOST:
                hosts += 1
                head.host = value
            elif role == _CONNECTION:
                named_hops += (part.strip() for part in value.lower().split(b","))
            elif role == _CODING:
                _require_chunked(value, head)
            elif role == _EXPECT:
                head.expects_continue = http_11 and value.strip().lower() == b"100-continue"
            continue
        lines.append(b"%b: %b\r\n" % (name, value))
    if hosts > 1 or (hosts == 0 and http_11):
        raise MalformedHeadError("exactly one Host header is needed")
    doomed = {name for name in named_hops if name not in _KEPT_WHATEVER_NAMED}
    if doomed:
        _drop(head, doomed)
    return head


def _split_target(target: bytes) -> tuple[bytes, bytes, bytes]:
    if not target.startswith(b"/"):
        scheme, found, rest = target.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise MalformedHeadError("the request target must be a path")
        path_and_query = re.search(rb"[/?].*", rest)
        target = b"/" + path_and_query[0].removeprefix(b"/") if path_and_query else b"/"
    path, _, query = target.partition(b"?")
    return target, path, query


def _require_chunked(value: bytes, head: RequestHead) -> None:
    if head.chunked or not head.http_11 or value.lower() != b"chunked":
        raise MalformedHeadError("the only transfer coding taken is a single `chunked`, in HTTP/1.1")
    head.chunked = True


def _drop(head: RequestHead, names: set[bytes]) -> None:
    """Remove what ``Connection`` names: it was meant for this hop. What is recorded of the request stays recorded."""
    head.lines = [line for line in head.lines if line.partition(b":")[0].lower() not in names]
    head.content_length_line = next(
        (i for i, line in enumerate(head.lines) if line[:15].lower() == b"content-length:"), None
    )
