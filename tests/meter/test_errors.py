"""Replies with status 400 and above, of every shape."""

import pytest
from meter_samples import events, read, text

from majordomo.apis import Api
from majordomo.meter.reading import UsageState
from majordomo.meter.text import MESSAGE_LIMIT, safe_text

SHAPES = [
    (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        ("overloaded_error", "Overloaded"),
    ),
    (
        {
            "error": {
                "message": "No such model",
                "type": "invalid_request_error",
                "code": "model_not_found",
                "param": None,
            }
        },
        ("invalid_request_error", "No such model"),
    ),
    ({"error": {"message": "m", "type": None, "code": "rate_limited"}}, ("rate_limited", "m")),
    ({"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}, ("NOT_FOUND", "not found")),
    ([{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}], ("RESOURCE_EXHAUSTED", "quota")),
    ({"error": "plain words"}, (None, "plain words")),
    ({"message": "m", "type": "t"}, ("t", "m")),
    ({"detail": "Not Found"}, (None, "Not Found")),
    ({"object": "error", "message": "m", "code": "c"}, ("c", "m")),
    ("just text", (None, "just text")),
]


@pytest.mark.parametrize(("body", "expected"), SHAPES, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("api", [Api.OPENAI_CHAT, Api.ANTHROPIC_MESSAGES, Api.GEMINI_STREAM, Api.ANTHROPIC_MODELS])
def test_type_and_message_are_found(api: Api, body: object, expected: tuple[str | None, str | None]):
    """In the shapes of all three families and their kin."""
    reading = read(api, text(body), status=400)
    assert (reading.error_type, reading.error_message) == expected
    assert reading.state is UsageState.NONE
    assert reading.parts == ()


def test_an_error_sent_as_an_event_is_found():
    """Some servers answer a stream request so, whatever the status."""
    error = {"type": "error", "error": {"type": "api_error", "message": "broken"}}
    reading = read(Api.ANTHROPIC_MESSAGES, events(error, named=True), "text/event-stream", status=500)
    assert (reading.error_type, reading.error_message) == ("api_error", "broken")


def test_whatever_is_not_json_gives_its_text():
    """The page of a proxy in between, cut to what a row holds."""
    page = b"<html><body>502 Bad Gateway</body></html>"
    assert read(Api.OPENAI_CHAT, page, "text/html", status=502).error_message == page.decode()
    long = read(Api.OPENAI_CHAT, b"x" * 100_000, "text/plain", status=502).error_message
    assert long == "x" * MESSAGE_LIMIT
    assert read(Api.OPENAI_CHAT, b"", status=500).error_message is None


def test_text_is_made_safe_for_postgresql():
    """No NUL, no lone surrogate, valid UTF-8."""
    for body in (b'{"error":{"message":"a\\u0000b\\ud800c"}}', b"a\x00b\xff\xfec", b'{"message":"\xed\xa0\x80"}'):
        message = read(Api.OPENAI_CHAT, body, status=400).error_message
        assert message is not None
        assert "\x00" not in message
        message.encode("utf-8")
    assert safe_text("a\ud800\x00", 10) == "a?\ufffd"


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefgh12345678",
        "sk-ant-api03-abcdefgh-123",
        "mdm_sk_" + "A" * 43,
        "AIzaSyA1234567890",
        "gsk_12345678",
    ],
)
def test_credentials_that_a_provider_repeats_never_reach_a_row(key: str):
    """Not even where the limit cuts through them."""
    for before in ("", "x" * (MESSAGE_LIMIT - 10) + " "):
        body = text({"error": {"message": f"{before}Incorrect API key: {key}. Bearer {key}", "type": "auth"}})
        message = read(Api.OPENAI_CHAT, body, status=401).error_message
        assert message is not None
        assert key not in message
        assert key[8:] not in message


def test_an_endless_error_is_kept_in_bounds():
    """A hostile page of any length."""
    pieces = [b"y" * 65_536] * 200
    assert read(Api.OPENAI_CHAT, pieces, status=500).error_message == "y" * MESSAGE_LIMIT


def test_a_cut_error_says_so():
    """Its text is kept."""
    reading = read(Api.OPENAI_CHAT, b'{"error":{"message":"Slow', status=429, complete=False)
    assert reading.error_message == '{"error":{"message":"Slow'
    assert reading.problems == ("cut",)
