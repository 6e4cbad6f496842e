"""OpenAI Responses, as one JSON body and as events.

Plan of the stream: ``response.created`` tells the model, deltas are only measured, finished output items are counted
where they are tool calls, and ``response.completed``, ``incomplete`` or ``failed`` brings the usage. Tools are billed
apart and are not in ``usage``: web and file searches are counted among the output items, unless ``tool_usage`` says
how many were billable.

A background response runs on without its caller, who fetches it until it has ended: it is answered before it has used
anything, a stream of it that broke off can be taken up again, and each look at its end tells the same usage. So what is
not its end bills nothing, and every end carries its mark. Any other response was billed where it was made.
"""

from typing import Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader
from majordomo.meter.counts import count, note, table
from majordomo.meter.decoding import ABSENT, any_value, decode, usage_object, usage_text
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import add_counts, complete_reading
from majordomo.meter.openai_images import image_part
from majordomo.meter.openai_usage import read_usage, token_usage
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.meter.text import mark, name


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    action: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    background: bool | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    output: list[_Item] | None = None
    usage: msgspec.Raw = ABSENT
    tool_usage: msgspec.Raw = ABSENT
    tools: list[_Tool] | None = None
    incomplete_details: _Incomplete | None = None
    error: msgspec.Raw = ABSENT


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    response: msgspec.Raw = ABSENT
    item: _Item | None = None
    error: msgspec.Raw = ABSENT


_RESPONSE: Final = msgspec.json.Decoder(_Response)
_EVENT: Final = msgspec.json.Decoder(_Event)

#: How events begin that carry text. The delta's kind ends within the bytes that are searched.
_STARTS: Final = (b' {"type":"response.', b'{"type":"response.', b' {"type": "response.', b'{"type": "response.')
_KIND_SPAN: Final = 80
_TEXT_KEYS: Final = (b'"delta":"', b'"delta": "')

_LAST_EVENTS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
#: Has not ended: its usage is told later, where it is fetched.
_UNSTARTED: Final = frozenset({"queued", "in_progress"})


class ResponsesReader(BodyReader):
    """A whole response."""

    __slots__ = ("_status",)

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        reading = Reading()
        response = decode(_RESPONSE, body, self._problems)
        self._status = None if response is None else response.status
        if response is not None:
            _read_response(response, reading, {}, self._problems)
        return reading

    def _free(self, reading: Reading) -> bool:
        return self._status in _UNSTARTED

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        if self._status is not None or not facts.background:
            super()._estimate(reading, body, facts)


class ResponsesStreamReader(EventReader):
    """A response in events."""

    __slots__ = ("_background", "_calls", "_error", "_final", "_shown")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._background: bool | None = None  # as the response says
        self._shown = Reading()  # what is known so far
        self._calls: dict[str, int] = {}  # finished tool calls by the type of their item
        self._error: tuple[str | None, str | None] | None = None
        self._final = False

    def _event(self, data: bytes) -> None:
        if data.startswith(_STARTS):
            span = data.find(b".delta", 0, _KIND_SPAN)
            if span >= 0:
                self._delta(data, span)
                return
        event = decode(_EVENT, data, self._problems)
        if event is None:
            return
        kind = event.type
        if kind == "response.output_item.done":
            if event.item is not None:
                _count_call(event.item, self._calls)
        elif kind in _LAST_EVENTS or kind == "response.created":
            response = decode(_RESPONSE, bytes(event.response), self._problems)
            if response is not None:
                self._background = response.background
                self._final = kind in _LAST_EVENTS
                _read_response(response, self._shown, self._calls, self._problems)
        elif kind == "error":
            self._error = member_error(event.error) or member_error(msgspec.Raw(data))

    def _delta(self, data: bytes, span: int) -> None:
        for key in _TEXT_KEYS:
            start = data.find(key, span)
            if start >= 0:
                size = data.find(b'"', start + len(key)) - start - len(key)
                self._text += size if size > 0 else 1
                return
        self._text += 1

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        reading = self._shown
        if self._error is not None:
            reading.error_type, reading.error_message = self._error
        background = facts.background if self._background is None else self._background
        runs_on = background and not self._final
        if reading.state is UsageState.NONE and not runs_on and (self._text or reading.error_type is None):
            complete_reading(reading, facts, self._text, self._problems)
            _bill_calls(reading, self._calls, self._problems)
        if not self._final and reading.stop_reason in _UNSTARTED:
            reading.stop_reason = None
        return reading


class FetchedResponseReader(BodyReader):
    """A whole response that was made before."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        response = decode(_RESPONSE, body, self._problems)
        if response is not None and response.background is False:
            self._problems.clear()  # whatever may be wrong with it, it was billed where it was made
        if response is None or not response.background or "cut" in self._problems:
            return Reading()
        return _ended(response, self._problems)

    def _free(self, reading: Reading) -> bool:
        return True


class FetchedResponseStreamReader(EventReader):
    """The events of a response that was made before."""

    __slots__ = ("_background", "_shown")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._background: bool | None = None
        self._shown = Reading()

    def _event(self, data: bytes) -> None:
        if data.startswith(_STARTS) and data.find(b".delta", 0, _KIND_SPAN) >= 0:
            return
        event = decode(_EVENT, data, self._problems)
        if event is None or (event.type not in _LAST_EVENTS and event.type != "response.created"):
            return
        response = decode(_RESPONSE, bytes(event.response), self._problems)
        if response is None:
            return
        self._background = response.background
        if response.background and event.type in _LAST_EVENTS:
            self._shown = _ended(response, self._problems)

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        if self._background is False:
            self._problems.clear()  # as in FetchedResponseReader
        return self._shown


def _ended(response: _Response, problems: list[str]) -> Reading:
    """What a background response used; nothing before its end, and nothing that it does not tell."""
    reading = Reading()
    if response.status not in _UNSTARTED:
        _read_response(response, reading, {}, problems)
    if reading.state is UsageState.FINAL:
        return reading
    return Reading(error_type=reading.error_type, error_message=reading.error_message)


def _read_response(response: _Response, reading: Reading, calls: dict[str, int], problems: list[str]) -> None:
    """Fill ``reading``. ``calls`` are the tool calls seen pass by; the response's own list replaces them."""
    reading.model = name(response.model) or reading.model
    reading.service_tier = name(response.service_tier)
    reading.stop_reason = name(response.status)
    if response.incomplete_details is not None:
        reading.stop_reason = name(response.incomplete_details.reason) or reading.stop_reason
    if (error := member_error(response.error)) is not None:
        reading.error_type, reading.error_message = error
    if response.output:
        calls.clear()
        for item in response.output:
            _count_call(item, calls)
    usage = token_usage(response.usage, problems)
    if usage is None:
        return
    text: bytes | None = usage[1]
    read_usage(usage[0], reading, problems)
    tools = usage_object(response.tool_usage, problems)
    if tools is not None:
        text = usage_text({**any_value(usage[1]), "tool_usage": tools[0]})
        searches = count(table(tools[0], "web_search", problems), "num_requests", problems)
        if searches is not None:
            calls["web_search_call"] = searches  # the provider's own count of billable ones
        pictures = table(tools[0], "image_gen", problems)
        if any(pictures.get(key) for key in ("input_tokens", "output_tokens")):
            calls.pop("image_generation_call", None)
            model = next((t.model for t in response.tools or () if t.type == "image_generation"), None)
            if model is None:
                note(problems, "image_tool_model_unknown")
            reading.parts = (*reading.parts, image_part(pictures, name(model), problems))
    reading.usage = text
    if reading.parts:
        _bill_calls(reading, calls, problems)
    if response.background and response.id and reading.state is UsageState.FINAL:
        reading.billed_once = mark("response", response.id)


def _bill_calls(reading: Reading, calls: dict[str, int], problems: list[str]) -> None:
    pictures = calls.get("image_generation_call", 0)
    if pictures:
        note(problems, "image_call_without_usage")
    if calls.get("code_interpreter_call"):
        note(problems, "code_interpreter_unpriced")  # sold by container and hour, of which a reply tells nothing
    tools = {
        Bucket.WEB_SEARCH: calls.get("web_search_call", 0),
        Bucket.FILE_SEARCH: calls.get("file_search_call", 0),
    }
    add_counts(reading, tools)
    if pictures:
        reading.parts = (*reading.parts, Part(None, {Bucket.IMAGES: pictures}))


_CALLS: Final = frozenset({"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"})


def _count_call(item: _Item, calls: dict[str, int]) -> None:
    kind = item.type
    if kind not in _CALLS:
        return
    assert kind is not None
    if kind == "web_search_call" and bytes(item.action):
        action = any_value(bytes(item.action))
        if action.__class__ is dict and action.get("type", "search") != "search":
            return  # opening a page and finding in it are not billed
    calls[kind] = calls.get(kind, 0) + 1
