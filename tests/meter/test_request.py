"""What is read of requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meter_samples import text

from majordomo.apis import Api
from majordomo.meter.reading import RequestFacts
from majordomo.meter.request import read_request

JSON = "application/json"


def asked(api: Api, body: Any, path: str = "/v1/x", content_type: str = JSON) -> RequestFacts:
    return read_request(api, path, body if isinstance(body, bytes | bytearray) else text(body), content_type)


def test_a_chat_request():
    """Model, stream, include_usage, limit and tier."""
    body = {"model": "gpt-5", "stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 99}
    body |= {"service_tier": "flex", "messages": [{"role": "user", "content": "Hi"}]}
    facts = asked(Api.OPENAI_CHAT, body)
    assert facts == RequestFacts(
        model="gpt-5",
        stream=True,
        include_usage=True,
        max_output_tokens=99,
        service_tier="flex",
        input_bytes=len(text(body)),
    )
    assert asked(Api.OPENAI_CHAT, bytearray(text(body))) == facts


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_every_name_of_the_output_limit(key: str):
    """Chat, its older name and Anthropic's, Responses."""
    assert asked(Api.OPENAI_CHAT, {"model": "m", key: 7}).max_output_tokens == 7


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"max_tokens": "7"}, "bad_field:max_tokens"),
        ({"stream": "yes"}, "bad_field:stream"),
        ({"stream_options": [1]}, "bad_field:stream_options"),
        ({"service_tier": 5}, "bad_field:service_tier"),
        ({"max_tokens": -1}, "bad_count:max_tokens"),
        ({"max_tokens": 2**40}, "bad_count:max_tokens"),
        ({"max_tokens": 10**400}, "bad_count:max_tokens"),
    ],
)
def test_a_wrong_type_in_one_field_never_loses_the_others(body: dict[str, Any], problem: str):
    """Wherever it stands."""
    for order in ({**body, "model": "m"}, {"model": "m", **body}):
        facts = asked(Api.OPENAI_CHAT, order)
        assert facts.model == "m"
        assert facts.problems == (problem,)
        assert facts.max_output_tokens is None


@pytest.mark.parametrize(
    "trick",
    [
        b'"x": "\\ud800"',
        b'"x": "\xff\xfe"',
        b'"x": 1e999999',
        b'"x": ' + b"[" * 5_000 + b"]" * 5_000,
        b'"x": tru',
        b'"max_tokens": {"a": [1, "model", {"model": "other"}]}',
        b'"x": "\\"model\\": \\"other\\""',
    ],
    ids=repr,
)
def test_no_caller_can_switch_off_the_accounting_of_its_own_request(trick: bytes):
    """What JSON decoders refuse costs the field it stands in, not the model."""
    for body in (b'{"model": "m", ' + trick + b"}", b"{" + trick + b', "model": "m"}'):
        assert asked(Api.OPENAI_CHAT, body).model == "m"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\x00\xff", b"{}", b'{"model": null}'])
def test_a_body_that_says_nothing_gives_facts_all_the_same(body: bytes):
    """Malformed JSON is the provider's to refuse."""
    facts = asked(Api.OPENAI_CHAT, body)
    assert facts.model is None
    assert facts.input_bytes == len(body)


def test_a_name_is_made_safe_for_a_row():
    """No NUL, and bounded."""
    assert asked(Api.OPENAI_CHAT, {"model": "a\x00b"}).model == "a\ufffdb"
    assert len(asked(Api.OPENAI_CHAT, {"model": "m" * 10_000}).model or "") == 255


HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
FIVE = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"system": [{"type": "text", "text": "a", **HOUR}], "tools": [{"name": "t", **HOUR}]}, True),
        ({"system": [{"type": "text", "text": "a", **HOUR}], "tools": [{"name": "t", **FIVE}]}, False),
        ({"system": [{"type": "text", "text": "a", **FIVE}]}, False),
        ({"system": "no marks"}, False),
        ({"cache_control": None, "system": [{"type": "text", "text": "a", **HOUR}]}, True),
        ({"system": [{"type": "text", "text": '"cache_control":{"type":"ephemeral"}', **HOUR}]}, True),
        ({"messages": [{"role": "user", "content": '"cache_control":{"ttl":"1h"}'}]}, False),
    ],
)
def test_one_hour_writes_are_known_where_every_cache_mark_asks_for_them(body: dict[str, Any], expected: bool):
    """Marks inside text are text."""
    assert asked(Api.ANTHROPIC_MESSAGES, {"model": "m", **body}).cache_ttl_1h is expected


def test_the_length_of_the_text_to_speak():
    """In characters, not bytes."""
    facts = asked(Api.OPENAI_SPEECH, {"model": "tts-1", "input": "\u4e2d\u6587!", "voice": "alloy"})
    assert (facts.model, facts.characters) == ("tts-1", 3)
    assert asked(Api.OPENAI_SPEECH, {"model": "tts-1", "input": 5}).characters is None


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-3-pro:generateContent", "gemini-3-pro"),
        ("/v1/models/gemini-2.5-flash%2D001:streamGenerateContent?alt=sse", "gemini-2.5-flash-001"),
        ("/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent", "gemini-3-pro"),
        ("/v1beta/tunedModels/mine:generateContent", "mine"),
        ("/v1beta/nothing", None),
    ],
)
def test_geminis_model_stands_in_the_path(path: str, model: str | None):
    """Percent-decoded, without the verb."""
    body = {"contents": [], "generationConfig": {"maxOutputTokens": 5}}
    facts = asked(Api.GEMINI_STREAM, body, path)
    assert facts.model == model
    assert facts.stream
    assert facts.max_output_tokens == 5


def form(*parts: tuple[str, bytes], boundary: str = "xYz") -> tuple[bytes, str]:
    body = b"".join(
        b"--"
        + boundary.encode()
        + b"\r\nContent-Disposition: form-data; "
        + head.encode()
        + b"\r\n\r\n"
        + value
        + b"\r\n"
        for head, value in parts
    )
    return body + b"--" + boundary.encode() + b"--\r\n", f'multipart/form-data; boundary="{boundary}"'


SOUND = b"RIFF\r\n\r\n--xY" * 1_000
UPLOAD = form(
    ('name="file"; filename="a.wav"\r\nContent-Type: audio/wav', SOUND),
    ('name="model"', b"whisper-1"),
    ('name="stream"', b"true"),
)


def test_an_upload_tells_its_model_and_the_size_of_its_file():
    """The size stands for the duration where no reply tells it."""
    facts = asked(Api.OPENAI_TRANSCRIPTION, UPLOAD[0], content_type=UPLOAD[1])
    assert (facts.model, facts.stream, facts.input_bytes) == ("whisper-1", True, len(SOUND))


def test_an_upload_cut_anywhere_never_raises():
    """Nor does one that is no form at all."""
    body, content_type = form(('name="model"', b"whisper-1"), ('name="file"; filename="a"', b"abc"))
    for length in range(len(body)):
        asked(Api.OPENAI_TRANSCRIPTION, body[:length], content_type=content_type)
    for odd in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/x; boundary=" + "b" * 1_000):
        assert asked(Api.OPENAI_TRANSCRIPTION, body, content_type=odd).problems == ("bad_form",)


@given(st.sampled_from(sorted(Api)), st.binary(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_no_request_makes_it_raise(api: Api, body: bytes, path: str, content_type: str):
    """Any bytes, path and content type."""
    for prefix in (b"", b'{"model": ', b'{"model": "m", "x": '):
        facts = read_request(api, path, prefix + body, content_type)
        assert "request_reader_failed" not in facts.problems
