"""One request as it came off the wire, and its headers sorted into ours, the connection's and the provider's."""

from majordomo.admit.metadata import OWN_NAMES, PREFIX

_CONTENT_LENGTH, _HOP, _CONNECTION, _HOST, _CHUNKED, _EXPECT, _ACCEPT_ENCODING, _CREDENTIAL, _ANTHROPIC = range(9)

# What the head scan does with a header by its lower-cased name; all others go to the provider as they are.
_ROLES = {
    b"content-length": _CONTENT_LENGTH,
    b"connection": _CONNECTION,
    b"host": _HOST,
    b"transfer-encoding": _CHUNKED,
    b"expect": _EXPECT,
    b"accept-encoding": _ACCEPT_ENCODING,
    b"authorization": _CREDENTIAL,
    b"x-api-key": _CREDENTIAL,
    b"x-goog-api-key": _CREDENTIAL,
    b"anthropic-version": _ANTHROPIC,
    b"keep-alive": _HOP,
    b"proxy-connection": _HOP,
    b"proxy-authorization": _HOP,
    b"te": _HOP,
    b"trailer": _HOP,
    b"upgrade": _HOP,
}


class MalformedHeadError(Exception):
    """The head breaks a rule that the parser leaves to us; the message names it."""


class Request:
    """What the caller's connection collects of one request; the exchange takes it from there."""

    __slots__ = (
        "body_bytes",
        "complete",
        "headers",
        "http_11",
        "keep_alive",
        "method",
        "pending",
        "target",
    )

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.http_11 = True
        self.keep_alive = True
        self.pending: list[bytes] = []  # body pieces that nobody has taken yet
        self.body_bytes = 0
        self.complete = False


class Head:
    """A request's headers, sorted. ``lines`` are those the provider gets, each ready to send."""

    __slots__ = (
        "accept_encoding_line",
        "anthropic_marks",
        "chunked",
        "content_length",
        "content_length_line",
        "credentials",
        "expects_continue",
        "lines",
        "metadata",
        "own",
        "path",
        "query",
        "target",
    )

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.content_length: int | None = None
        self.content_length_line: int | None = None  # its index in ``lines``
        self.accept_encoding_line: int | None = None
        self.chunked = False
        self.expects_continue = False
        self.anthropic_marks = False
        self.credentials: dict[bytes, bytes] = {}
        self.own: dict[bytes, bytes] = {}
        self.metadata: list[tuple[bytes, bytes]] = []
        self.target = self.path = self.query = b""


def read_head(request: Request) -> Head:
    """Sort a request's headers.

    Raises:
        MalformedHeadError: no or several hosts, a transfer coding other than chunked, a target that is no path.
    """
    head = Head()
    head.target, head.path, head.query = _split_target(request.target)
    lines = head.lines
    hosts = 0
    named_hops: list[bytes] | None = None
    for name, value in request.headers:
        low = name.lower()
        role = _ROLES.get(low)
        if role is None:
            if low.startswith(PREFIX):
                own = low[12:]
                if own in OWN_NAMES:
                    head.own[own] = value
                else:
                    head.metadata.append((own, value))
                continue
        elif role == _CREDENTIAL:
            head.credentials[low] = value
            head.anthropic_marks = head.anthropic_marks or low == b"x-api-key"
        elif role == _CONTENT_LENGTH:
            head.content_length = int(value)
            head.content_length_line = len(lines)
        elif role == _ACCEPT_ENCODING:
            head.accept_encoding_line = len(lines)
        elif role == _ANTHROPIC:
            head.anthropic_marks = True
        else:
            if role == _HOST:
                hosts += 1
            elif role == _CONNECTION:
                named_hops = _named_hops(value, named_hops)
            elif role == _CHUNKED:
                _require_chunked(value, request, head)
            elif role == _EXPECT:
                head.expects_continue = value.lower() == b"100-continue"
            continue
        lines.append(b"%b: %b\r\n" % (name, value))
    if hosts > 1 or (hosts == 0 and request.http_11):
        raise MalformedHeadError("exactly one Host header is needed")
    if named_hops:
        _drop_named(head, named_hops)
    return head


def _split_target(target: bytes) -> tuple[bytes, bytes, bytes]:
    if not target.startswith(b"/"):
        scheme, found, rest = target.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise MalformedHeadError("the request target must be a path")
        target = b"/" + rest.partition(b"/")[2]
    path, _, query = target.partition(b"?")
    return target, path, query


def _named_hops(value: bytes, known: list[bytes] | None) -> list[bytes] | None:
    low = value.lower()
    if low in (b"keep-alive", b"close"):
        return known
    return [*(known or ()), *(name.strip() for name in low.split(b","))]


def _require_chunked(value: bytes, request: Request, head: Head) -> None:
    if head.chunked or not request.http_11 or value.lower() != b"chunked":
        raise MalformedHeadError("the only transfer coding taken is a single `chunked`, in HTTP/1.1")
    head.chunked = True


def _drop_named(head: Head, names: list[bytes]) -> None:
    """Remove the headers that ``Connection`` names, but never the framing: a body keeps its length on the way."""
    doomed = {name for name in names if name not in (b"content-length", b"host", b"close", b"keep-alive", b"")}
    kept = [line for line in head.lines if line.partition(b":")[0].lower() not in doomed]
    head.lines[:] = kept
    head.content_length_line = _index_of(kept, b"content-length")
    head.accept_encoding_line = _index_of(kept, b"accept-encoding")


def _index_of(lines: list[bytes], name: bytes) -> int | None:
    return next((i for i, line in enumerate(lines) if line.partition(b":")[0].lower() == name), None)
