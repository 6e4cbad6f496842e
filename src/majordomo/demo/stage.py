"""The scripted provider's state: the queue of scripts, the visits, and the replies that are already rendered."""

import http
from collections import deque

import msgspec

from majordomo.demo.replies import decode, render
from majordomo.demo.reply import JSON, Ask, Reply
from majordomo.demo.script import Script, ScriptError, read_script, read_scripts, script_in_body
from majordomo.demo.visits import Visit, Visits

CONTROL_PREFIX = "/__"
SCRIPT_HEADER = "x-script"

#: Rendered replies kept. A load test repeats a few requests; beyond that many different ones nothing is gained.
MAX_RENDERED = 512

#: Longer bodies are rendered anew each time rather than kept as keys.
MAX_KEY_BODY = 16 * 1024

#: Headers that a reply may depend on.
_DECISIVE = frozenset({SCRIPT_HEADER, "anthropic-version", "x-goog-api-key", "accept-encoding", "host"})


class Wire(msgspec.Struct, frozen=True):
    """A reply as the bytes that go out."""

    head: bytes
    pieces: tuple[bytes, ...]  # framed
    script: Script
    close: bool  # the connection ends with the reply

    @property
    def at_once(self) -> bool:
        """Whether all of it can be written in one go."""
        return not (self.script.delay_ms or self.script.event_delay_ms or self.script.break_after is not None)


class Stage:
    """Finds the reply to each request."""

    def __init__(self) -> None:
        self.visits = Visits()
        self._queue: deque[Script] = deque()
        self._rendered: dict[tuple[object, ...], tuple[Wire, bytes]] = {}

    def reply(self, visit: Visit, headers: tuple[tuple[str, str], ...]) -> tuple[Wire, bytes]:
        """The wire form of the reply, and the same joined. ``headers`` have their names in lower case."""
        if visit.target.startswith(CONTROL_PREFIX):
            wire = wire_of(self._control(visit), Script(), head_only=False)
            return wire, wire.head + b"".join(wire.pieces)
        queued = self._take(visit.target) if self._queue else None
        decisive = tuple(pair for pair in headers if pair[0] in _DECISIVE)
        key = (visit.method, visit.target, decisive, visit.body)
        if queued is None and key in self._rendered:
            return self._rendered[key]
        wire = self._make(visit, headers, queued)
        made = (wire, wire.head + b"".join(wire.pieces))
        if queued is None and len(visit.body) <= MAX_KEY_BODY:
            if len(self._rendered) >= MAX_RENDERED:
                self._rendered.clear()
            self._rendered[key] = made
        return made

    def _make(self, visit: Visit, headers: tuple[tuple[str, str], ...], queued: Script | None) -> Wire:
        path, _, query = visit.target.partition("?")
        value = decode(visit.body)
        try:
            told = next((value for name, value in headers if name == SCRIPT_HEADER), None)
            script = read_script(told) if told is not None else queued or script_in_body(visit.body, value)
        except ScriptError as wrong:
            script = Script(status=400, error_message=str(wrong))
        ask = Ask(visit.method, path, query, headers, visit.body, value, script or Script())
        return wire_of(render(ask), ask.script, head_only=visit.method == "HEAD", id_line=ask.id("req_"))

    def _take(self, target: str) -> Script | None:
        """The first queued script that is for this path; it leaves the queue when its times are used up."""
        for index, script in enumerate(self._queue):
            if script.path in target:
                if script.times > 1:
                    self._queue[index] = msgspec.structs.replace(script, times=script.times - 1)
                else:
                    del self._queue[index]
                return script
        return None

    def _control(self, visit: Visit) -> Reply:
        path, _, query = visit.target.partition("?")
        if path == "/__script" and visit.method == "POST":
            try:
                self._queue.extend(read_scripts(visit.body))
            except ScriptError as wrong:
                return _control_reply({"error": str(wrong)}, 400)
            return _control_reply({"queued": len(self._queue)})
        if path == "/__script" and visit.method == "DELETE":
            self._queue.clear()
            return _control_reply({"queued": 0})
        if path == "/__requests" and visit.method == "DELETE":
            self.visits.clear()
            return _control_reply(self.visits.stats())
        if path == "/__requests":
            since = next((int(part[6:]) for part in query.split("&") if part.startswith("since=")), 0)
            bodies = "bodies=0" not in query
            return _control_reply({**self.visits.stats(), "list": self.visits.since(since, bodies=bodies)})
        if path == "/__stats":
            return _control_reply({**self.visits.stats(), "queued": len(self._queue)})
        return _control_reply({"error": f"no control at {path}"}, 404)


def _control_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, (("content-type", JSON),), (msgspec.json.encode(value),))


def wire_of(reply: Reply, script: Script, *, head_only: bool, id_line: str | None = None) -> Wire:
    """Put a reply into HTTP/1.1, framed as its script wants it."""
    framing = script.framing
    if framing == "auto":
        framing = "chunked" if reply.streamed else "length"
    try:
        phrase = http.HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Scripted"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", "server: scripted-provider"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if id_line is not None:
        lines.append(f"request-id: {id_line}")
    bodiless = reply.status in (204, 304) or reply.status < 200
    if framing == "length" and not bodiless:
        lines.append(f"content-length: {sum(map(len, reply.pieces))}")
    elif framing == "chunked" and not bodiless:
        lines.append("transfer-encoding: chunked")
    elif framing == "close":
        lines.append("connection: close")
    pieces = () if head_only or bodiless else tuple(piece for piece in reply.pieces if piece)
    if framing == "chunked" and pieces:
        pieces = (*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return Wire(head, pieces, script, framing == "close" or script.break_after is not None)
