"""OpenAI images, speech and transcription."""

from typing import Any

import pytest
from meter_samples import IMAGE_USAGE, JSON, SSE, TRANSCRIPT_USAGE, billed, events, read, text

from majordomo.apis import Api
from majordomo.meter.reading import Reading, RequestFacts, UsageState

# images


def images(usage: Any, **more: Any) -> Reading:
    return read(Api.OPENAI_IMAGES, text({"created": 1, "data": [{"b64_json": "aGk="}], "usage": usage, **more}))


def test_without_output_details_all_output_is_image():
    """And with them, each class is billed apart."""
    assert billed(images(IMAGE_USAGE))[0]["output_image"] == 1_600
    split = {**IMAGE_USAGE, "output_tokens_details": {"text_tokens": 100, "image_tokens": 1_500}}
    assert billed(images(split)) == [{"input": 20, "input_image": 30, "output": 100, "output_image": 1_500}]


def test_input_without_details_is_text():
    """Nothing is lost where no detail names it."""
    assert billed(images({"input_tokens": 50, "output_tokens": 60})) == [{"input": 50, "output_image": 60}]


def test_cached_image_input_has_its_own_rate():
    """By the split if there is one, else text first and flagged."""
    cached = {**IMAGE_USAGE, "cached_tokens": 30}
    split = {**cached, "cached_tokens_details": {"cached_text_tokens": 5, "cached_image_tokens": 25}}
    assert billed(images(split)) == [
        {"input": 15, "input_image": 5, "cache_read": 5, "cache_read_image": 25, "output_image": 1_600}
    ]
    guessed = images(cached)
    assert billed(guessed) == [{"input_image": 20, "cache_read": 20, "cache_read_image": 10, "output_image": 1_600}]
    assert guessed.problems == ("cache_modality_missing",)


def test_pictures_without_tokens_are_counted_by_the_piece():
    """Older models bill so."""
    reading = read(Api.OPENAI_IMAGES, text({"created": 1, "data": [{"url": "https://a"}, {"url": "https://b"}]}))
    assert billed(reading) == [{"images": 2}]
    assert reading.state is UsageState.FINAL


def test_writing_an_svg_is_billed_at_the_model_that_wrote_it():
    """Beside the rendering."""
    reading = images(IMAGE_USAGE, svg_usage={"model": "gpt-5.6", "input_tokens": 7, "output_tokens": 9})
    assert [part.model for part in reading.parts] == [None, "gpt-5.6"]
    assert billed(reading)[1] == {"input": 7, "output": 9}


def test_a_picture_stream_cut_before_its_usage_counts_a_picture():
    """Never nothing."""
    body = events({"type": "image_generation.partial_image", "b64_json": "aGk=", "partial_image_index": 0})
    reading = read(Api.OPENAI_IMAGES, body, SSE, complete=False)
    assert billed(reading) == [{"images": 1}]
    assert reading.state is UsageState.ESTIMATED


# speech


def speech(content_type: str, body: bytes, **facts: Any) -> Reading:
    return read(Api.OPENAI_SPEECH, body, content_type, facts=RequestFacts(**facts))


def test_speech_is_billed_by_the_characters_of_the_request():
    """The reply is sound, and tells nothing."""
    reading = speech("audio/mpeg", b"\x00\x01" * 500, model="tts-1", characters=1_234, input_bytes=1_300)
    assert billed(reading) == [{"characters": 1_234}]
    assert reading.state is UsageState.FINAL


def test_speech_of_a_model_that_bills_tokens_is_an_estimate_where_they_are_not_told():
    """Only the event stream tells them."""
    reading = speech("audio/mpeg", b"\x00", model="gpt-4o-mini-tts", characters=100, input_bytes=130)
    assert reading.state is UsageState.ESTIMATED
    assert reading.problems == ("tokens_not_told",)
    cut = speech(SSE, events({"type": "speech.audio.delta", "audio": "UklG"}), characters=100, input_bytes=130)
    assert billed(cut) == [{"input": 25, "output_audio": 131}]
    assert cut.state is UsageState.ESTIMATED


# transcription


def transcript(value: dict[str, Any], content_type: str = JSON, **facts: Any) -> Reading:
    return read(Api.OPENAI_TRANSCRIPTION, text(value), content_type, facts=RequestFacts(**facts))


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(9, 9_000), (8.47, 8_470), ("8.47", 8_470), (0.0005, 1), (59.9999, 60_000), (1e-3, 1)],
)
def test_a_duration_is_exact_to_the_millisecond_and_rounded_up(seconds: Any, milliseconds: int):
    """Whether it is a number or text, in the usage or, of older models, beside the transcript."""
    assert billed(transcript({"text": "a", "usage": {"type": "duration", "seconds": seconds}})) == [
        {"audio_seconds": milliseconds}
    ]
    assert billed(transcript({"text": "a", "duration": seconds})) == [{"audio_seconds": milliseconds}]


@pytest.mark.parametrize("seconds", [-1, "1e9999999", "NaN", "Infinity", True, [], {}, "x", 10**12, "9" * 10_000])
def test_a_duration_that_is_none_is_flagged_and_estimated(seconds: Any):
    """From the size of the upload, at 128 kbit/s."""
    reading = transcript({"text": "abcd", "usage": {"type": "duration", "seconds": seconds}}, input_bytes=32_000)
    assert billed(reading) == [{"audio_seconds": 2_000}]
    assert reading.state is UsageState.ESTIMATED
    assert "bad_count:seconds" in reading.problems


def test_audio_tokens_are_billed_as_audio():
    """And as audio where no detail says what they are."""
    bare = {key: value for key, value in TRANSCRIPT_USAGE.items() if key != "input_token_details"}
    assert billed(transcript({"text": "a", "usage": bare})) == [{"input_audio": 114, "output": 31}]


def test_plain_text_and_subtitles_are_estimated():
    """They tell no usage."""
    for body in (b"Imagine the wildest idea", b"1\n00:00:00,000 --> 00:00:03,000\nImagine", b'{"text":"a"}'):
        reading = read(
            Api.OPENAI_TRANSCRIPTION, body, "text/plain", facts=RequestFacts(model="whisper-1", input_bytes=160_000)
        )
        assert billed(reading) == [{"audio_seconds": 10_000}]
        assert reading.state is UsageState.ESTIMATED
