"""OpenAI images, as one JSON body and as events; and the image tokens that the Responses API reports of its tool.

Conventions (accuracy: Images): ``input_tokens`` splits into text and image, ``output_tokens`` is all image unless
details say otherwise. Models billed by the piece (DALL-E) report no usage: then the pictures are counted. The reply
names no model.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader
from majordomo.meter.counts import count, note, table
from majordomo.meter.decoding import ABSENT, NOT_WHOLE, decode, usage_object, usage_text
from majordomo.meter.errors import member_error
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class _Reply(msgspec.Struct, gc=False):
    """A reply, or an event whose picture stands at the top."""

    type: str | None = None
    data: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = ABSENT
    svg_usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_REPLY: Final = msgspec.json.Decoder(_Reply)


class ImagesReader(BodyReader):
    """Pictures in one body."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        reading = Reading()
        reply = decode(_REPLY, body, self._problems)
        if reply is not None and not _read_reply(reply, reading, self._problems) and reply.data:
            if NOT_WHOLE in self._problems:  # the usage may have been cut off
                count_pictures(reading, len(reply.data), self._problems)
            else:
                reading.parts = (Part(None, {Bucket.IMAGES: len(reply.data)}),)
                reading.state = UsageState.FINAL
        return reading

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        count_pictures(reading, 1, self._problems)


class ImagesStreamReader(EventReader):
    """Pictures in events: partial ones pass by, a completed one brings the usage."""

    __slots__ = ("_last", "_partial", "_pictures")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._last = Reading()
        self._partial = False
        self._pictures = 0

    def _event(self, data: bytes) -> None:
        reply = decode(_REPLY, data, self._problems)
        if reply is None:
            return
        kind = reply.type or ""
        if kind.endswith(".completed"):
            self._pictures += 1
            if self._pictures > 1:
                note(self._problems, "several_images")
            _read_reply(reply, self._last, self._problems)
        elif kind.endswith(".partial_image"):
            self._partial = True
        elif (error := member_error(reply.error)) is not None:
            self._last.error_type, self._last.error_message = error

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        reading = self._last
        if reading.state is UsageState.NONE and (self._partial or self._pictures or reading.error_type is None):
            count_pictures(reading, max(self._pictures, 1), self._problems)
        return reading


def count_pictures(reading: Reading, pictures: int, problems: list[str]) -> None:
    """Put pictures in the place of tokens that were not told."""
    note(problems, "estimated")
    reading.parts = (Part(None, {Bucket.IMAGES: pictures}),)
    reading.state = UsageState.ESTIMATED


def image_part(usage: Mapping[str, Any], model: str | None, problems: list[str]) -> Part:
    """What an image usage bills."""
    text_in = image_in = 0
    total_in = count(usage, "input_tokens", problems) or 0
    details = table(usage, "input_tokens_details", problems)
    image_in = min(count(details, "image_tokens", problems) or 0, total_in)
    text_in = total_in - image_in
    text_told = count(details, "text_tokens", problems)
    if text_told is not None and text_told != text_in:
        note(problems, "details_mismatch")
    cached_told = count(usage, "cached_tokens", problems)
    cached = min(cached_told or count(details, "cached_tokens", problems) or 0, total_in)
    cached_split = table(usage, "cached_tokens_details", problems)
    cached_image = min(count(cached_split, "cached_image_tokens", problems) or 0, image_in, cached)
    cached_text = min(cached - cached_image, text_in)
    cached_image = cached - cached_text
    if cached and not cached_split and image_in:
        note(problems, "cache_modality_missing")

    total_out = count(usage, "output_tokens", problems) or 0
    split = table(usage, "output_tokens_details", problems)
    text_out = min(count(split, "text_tokens", problems) or 0, total_out)
    counts = {
        Bucket.INPUT: text_in - cached_text,
        Bucket.INPUT_IMAGE: image_in - cached_image,
        Bucket.CACHE_READ: cached_text,
        Bucket.CACHE_READ_IMAGE: cached_image,
        Bucket.OUTPUT: text_out,
        Bucket.OUTPUT_IMAGE: total_out - text_out,
    }
    return Part(model, {bucket: amount for bucket, amount in counts.items() if amount})


def _read_reply(reply: _Reply, reading: Reading, problems: list[str]) -> bool:
    """Fill ``reading`` from what the reply says of usage; whether it did."""
    usage = usage_object(reply.usage, problems)
    if usage is None:
        if (error := member_error(reply.error)) is not None:
            reading.error_type, reading.error_message = error
        return False
    said, text = usage
    part = image_part(said, None, problems)
    reading.parts = (part,)
    reading.usage = text
    reading.input_tokens = reading.prompt_tokens = count(said, "input_tokens", problems)
    reading.output_tokens = count(said, "output_tokens", problems)
    total = count(said, "total_tokens", problems)
    if total is not None and total != (reading.input_tokens or 0) + (reading.output_tokens or 0):
        note(problems, "total_mismatch")
    drawing = usage_object(reply.svg_usage, problems)
    if drawing is not None:
        # writing an SVG is a text model's work beside the picture's
        counts = {
            Bucket.INPUT: count(drawing[0], "input_tokens", problems) or 0,
            Bucket.OUTPUT: count(drawing[0], "output_tokens", problems) or 0,
        }
        reading.parts = (part, Part(name(drawing[0].get("model")), {b: n for b, n in counts.items() if n}))
        reading.usage = usage_text({**said, "svg_usage": drawing[0]})
    told = reading.input_tokens is not None and reading.output_tokens is not None
    reading.state = UsageState.FINAL if told else UsageState.NONE
    return told
