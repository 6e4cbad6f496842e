"""What the meter needs to know of a request: one typed decode of the few fields that matter."""

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from majordomo.apis import Api, Family
from majordomo.meter.counts import MAX_COUNT, note
from majordomo.meter.decoding import decode
from majordomo.meter.multipart import read_form
from majordomo.meter.reading import RequestFacts
from majordomo.meter.text import name


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class JsonBody(msgspec.Struct, gc=False):
    """A JSON body of OpenAI's or Anthropic's APIs."""

    model: str | None = None
    stream: bool | None = None
    background: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    service_tier: str | None = None


class _Speech(msgspec.Struct, gc=False):
    model: str | None = None
    input: str | None = None
    stream_format: str | None = None


class _GenerationConfig(msgspec.Struct, gc=False, rename="camel"):
    max_output_tokens: int | None = None


class _Gemini(msgspec.Struct, gc=False, rename="camel"):
    model: str | None = None
    generation_config: _GenerationConfig | None = None
    service_tier: str | None = None


#: Looked up once: this stands on the way of every request.
_FAMILIES: Final = {api: api.family for api in Api}
_GEMINI_FAMILY: Final = Family.GEMINI
_ANTHROPIC_FAMILY: Final = Family.ANTHROPIC
_BATCH_RESULTS: Final = Api.ANTHROPIC_BATCH_RESULTS

_BODY: Final = msgspec.json.Decoder(JsonBody)
_SPEECH: Final = msgspec.json.Decoder(_Speech)
_GEMINI: Final = msgspec.json.Decoder(_Gemini)

_CACHE_CONTROL: Final = b'"cache_control"'
_CACHE_VALUE: Final = re.compile(rb"\s*:\s*(\{[^{}]*\})")
_ONE_HOUR: Final = re.compile(rb'"ttl"\s*:\s*"1h"')
#: Most cache marks of a request that are looked at. The API takes four.
_CACHE_MARKS_MAX: Final = 64
_BATCH: Final = re.compile(r"/batches/+([^/]+)/+results$")
_GEMINI_MODEL: Final = re.compile(r"(?:models|tunedModels|endpoints)/([^/:?]+)")


def read_request(api: Api, path: str, body: bytes | bytearray, content_type: str) -> RequestFacts:
    """What the request says of itself. Never raises; what cannot be read leaves a problem and its default.

    ``input_bytes`` is the size of the body or, for uploads, of the files in it.
    """
    try:
        return _read(api, path, body, content_type)
    except Exception:  # promise 1: metering never fails a customer's call
        return RequestFacts(input_bytes=len(body), problems=("request_reader_failed",))


def _read(api: Api, path: str, body: bytes | bytearray, content_type: str) -> RequestFacts:
    family = _FAMILIES[api]
    if family is _GEMINI_FAMILY:
        return _gemini(api, path, body)
    if api is _BATCH_RESULTS:
        return RequestFacts(batch_id=_batch_id(path))
    if not body:
        return RequestFacts()
    if content_type and content_type[:10].lower() == "multipart/":
        return _form(body, content_type)
    if api is Api.OPENAI_SPEECH:
        return _speech(body)
    problems: list[str] = []
    said = decode(_BODY, body, problems)
    if said is None:
        return RequestFacts(input_bytes=len(body), problems=tuple(problems))
    return facts_of(said, body, problems, anthropic=family is _ANTHROPIC_FAMILY)


def facts_of(said: JsonBody, body: bytes | bytearray, problems: list[str], *, anthropic: bool) -> RequestFacts:
    """The facts of a decoded body; ``anthropic``: it is a request for a message."""
    limit = said.max_completion_tokens or said.max_output_tokens or said.max_tokens
    if limit is not None and not 0 < limit <= MAX_COUNT:
        note(problems, "bad_count:max_tokens")
        limit = None
    options = said.stream_options
    return RequestFacts(
        model=name(said.model),
        stream=said.stream is True,
        include_usage=options is not None and options.include_usage is True,
        cache_ttl_1h=anthropic and _all_one_hour(body),
        max_output_tokens=limit,
        input_bytes=len(body),
        service_tier=name(said.service_tier),
        background=said.background is True,
        problems=tuple(problems),
    )


def _batch_id(path: str) -> str | None:
    """The batch of ``/v1/messages/batches/ID/results``, however its path is spelt."""
    found = _BATCH.search(path)
    return unquote(found[1]) if found else None


def _all_one_hour(body: bytes | bytearray) -> bool:
    """Whether every ``cache_control`` asks for one hour. A mark inside text is escaped and so never found."""
    found = False
    at = body.find(_CACHE_CONTROL)
    for _ in range(_CACHE_MARKS_MAX):
        if at < 0:
            return found
        at += len(_CACHE_CONTROL)
        value = _CACHE_VALUE.match(body, at)
        if value is not None:
            if not _ONE_HOUR.search(value[1]):
                return False
            found = True
        at = body.find(_CACHE_CONTROL, at)
    return found


def _speech(body: bytes | bytearray) -> RequestFacts:
    problems: list[str] = []
    said = decode(_SPEECH, body, problems) or _Speech()
    return RequestFacts(
        model=name(said.model),
        stream=said.stream_format == "sse",
        input_bytes=len(body),
        characters=len(said.input) if said.input is not None else None,
        problems=tuple(problems),
    )


def _gemini(api: Api, path: str, body: bytes | bytearray) -> RequestFacts:
    problems: list[str] = []
    said = (decode(_GEMINI, body, problems) if body else None) or _Gemini()
    in_path = _GEMINI_MODEL.search(path)
    model = unquote(in_path[1]) if in_path else said.model
    limit = said.generation_config.max_output_tokens if said.generation_config is not None else None
    if limit is not None and not 0 < limit <= MAX_COUNT:
        note(problems, "bad_count:max_tokens")
        limit = None
    return RequestFacts(
        model=name(model),
        stream=api is Api.GEMINI_STREAM,
        max_output_tokens=limit,
        input_bytes=len(body),
        service_tier=name(said.service_tier),
        problems=tuple(problems),
    )


def _form(body: bytes | bytearray, content_type: str) -> RequestFacts:
    form = read_form(body, content_type)
    if form is None:
        return RequestFacts(input_bytes=len(body), problems=("bad_form",))
    fields, files = form
    return RequestFacts(
        model=name(fields.get("model")),
        stream=fields.get("stream", "").strip().lower() in ("true", "1"),
        input_bytes=files or len(body),
    )
