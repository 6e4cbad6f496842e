"""OpenAI embeddings: only the prompt is billed."""

from typing import Final

import msgspec

from majordomo.meter.body import BodyReader
from majordomo.meter.counts import count
from majordomo.meter.decoding import ABSENT, decode, usage_object
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import complete_reading
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class _Reply(msgspec.Struct, gc=False):
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_REPLY: Final = msgspec.json.Decoder(_Reply)


class EmbeddingsReader(BodyReader):
    """Vectors in one body."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        problems = self._problems
        reading = Reading()
        reply = decode(_REPLY, body, problems)
        if reply is None:
            return reading
        reading.model = name(reply.model)
        usage = usage_object(reply.usage, problems)
        if usage is None:
            if (error := member_error(reply.error)) is not None:
                reading.error_type, reading.error_message = error
            return reading
        reading.usage = usage[1]
        prompt = count(usage[0], "prompt_tokens", problems)
        if prompt is None:
            prompt = count(usage[0], "total_tokens", problems)
        if prompt is not None:
            reading.input_tokens = reading.prompt_tokens = prompt
            reading.output_tokens = 0
            reading.parts = (Part(reading.model, {Bucket.INPUT: prompt} if prompt else {}),)
            reading.state = UsageState.FINAL
        return reading

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        complete_reading(reading, facts, 0, self._problems)
