"""A provider's reply headers, sorted: what goes on to the caller, and what the meter needs to know."""

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-majordomo-request-id",  # ours; a gateway behind this one has its own
    }
)


class ReplyHead:
    """``lines`` are ready to send; the framing is kept apart because it may have to change."""

    __slots__ = ("content_encoding", "content_type", "length_line", "lines")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.length_line: bytes | None = None
        self.content_type = ""
        self.content_encoding = ""

    @property
    def is_plain_event_stream(self) -> bool:
        """True for server-sent events that are not compressed."""
        return self.content_type.startswith("text/event-stream") and self.content_encoding in ("", "identity")


def read_reply_head(headers: list[tuple[bytes, bytes]]) -> ReplyHead:
    """Sort a reply's headers; those that belong to the hop, or that ``Connection`` names, stay behind."""
    head = ReplyHead()
    named: list[bytes] = []
    for name, value in headers:
        low = name.lower()
        if low in _HOP:
            if low == b"connection":
                named += (part.strip() for part in value.lower().split(b","))
            continue
        line = b"%b: %b\r\n" % (name, value)
        if low == b"content-length":
            head.length_line = line
            continue
        if low == b"content-type":
            head.content_type = value.decode("latin-1").lower()
        elif low == b"content-encoding":
            head.content_encoding = value.decode("latin-1").lower()
        head.lines.append(line)
    doomed = {part for part in named if part not in (b"close", b"keep-alive", b"", b"content-length")}
    if doomed:
        head.lines = [line for line in head.lines if line.partition(b":")[0].lower() not in doomed]
    return head
