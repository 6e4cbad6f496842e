"""Images and audio of the OpenAI API of the scripted provider. The bytes are placeholders; the usage is what counts."""

import base64
import re
from collections.abc import Iterator

from majordomo.demo.reply import CREATED, Ask, Reply, json_reply, named_event, sse_reply
from majordomo.demo.script import Json

#: A PNG of one pixel.
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
        "0000000049454e44ae426082"
    )
).decode()

#: Not music: an MP3 frame header and silence, repeated.
SOUND = (b"\xff\xfb\x90\x00" + bytes(413)) * 8


def answer(ask: Ask) -> Reply | None:
    """The reply to a request under ``/images`` or ``/audio``, or None if the path is neither."""
    path = ask.path
    if path.endswith(("/images/generations", "/images/edits", "/images/variations")):
        return sse_reply(_image_events(ask)) if _field(ask, "stream") == "true" else json_reply(_image(ask))
    if path.endswith("/audio/speech"):
        return _speech(ask)
    if path.endswith(("/audio/transcriptions", "/audio/translations")):
        return _transcription(ask)
    return None


def _field(ask: Ask, name: str) -> str:
    """A field of the request, whether it came as JSON or as a multipart form."""
    if isinstance(ask.json, dict):
        value = ask.json.get(name, "")
        return str(value).lower() if isinstance(value, bool) else str(value)
    form = re.search(rb'name="' + name.encode() + rb'"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n', ask.body)
    return form[1].decode("utf-8", "replace").lower() if form else ""


def _image_usage(ask: Ask) -> dict[str, Json]:
    if ask.script.usage is not None:
        return ask.script.usage
    prompt, output = max(1, ask.input_tokens), 1056  # what a medium square picture takes
    details = {"text_tokens": prompt, "image_tokens": 0}
    total = prompt + output
    return {"input_tokens": prompt, "output_tokens": output, "total_tokens": total, "input_tokens_details": details}


def _image(ask: Ask) -> Json:
    shape = {"background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024"}
    return {"created": CREATED, "data": [{"b64_json": PIXEL}], "usage": _image_usage(ask), **shape, **ask.script.extra}


def _image_events(ask: Ask) -> Iterator[bytes]:
    verb = "image_edit" if ask.path.endswith("/edits") else "image_generation"
    shape = {"background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024"}
    common = {"b64_json": PIXEL, "created_at": CREATED, **shape}
    yield named_event({"type": f"{verb}.partial_image", "partial_image_index": 0, **common})
    yield named_event({"type": f"{verb}.completed", **common, "usage": _image_usage(ask)})


def _speech(ask: Ask) -> Reply:
    if _field(ask, "stream_format") != "sse":
        pieces = tuple(SOUND[at : at + 1024] for at in range(0, len(SOUND), 1024))
        return Reply(200, (("content-type", "audio/mpeg"),), pieces, streamed=True)
    text, sound = ask.input_tokens, 120
    usage = ask.script.usage or {"input_tokens": text, "output_tokens": sound, "total_tokens": text + sound}
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(SOUND).decode()}
    return sse_reply([named_event(delta), named_event({"type": "speech.audio.done", "usage": usage})])


def _transcription_usage(ask: Ask) -> dict[str, Json]:
    if ask.script.usage is not None:
        return ask.script.usage
    if "whisper" in _field(ask, "model"):
        return {"type": "duration", "seconds": 7}
    details = {"text_tokens": 0, "audio_tokens": 70}
    tokens = {"input_tokens": 70, "output_tokens": ask.output_tokens, "total_tokens": 70 + ask.output_tokens}
    return {"type": "tokens", **tokens, "input_token_details": details}


def _transcription(ask: Ask) -> Reply:
    form = _field(ask, "response_format")
    if form in ("text", "srt", "vtt"):
        return Reply(200, (("content-type", "text/plain; charset=utf-8"),), (ask.text.encode() + b"\n",))
    usage = _transcription_usage(ask)
    if _field(ask, "stream") == "true":
        deltas = [named_event({"type": "transcript.text.delta", "delta": piece}) for piece in ask.text_pieces]
        return sse_reply([*deltas, named_event({"type": "transcript.text.done", "text": ask.text, "usage": usage})])
    reply: dict[str, Json] = {"text": ask.text, "usage": usage}
    if form == "verbose_json":
        reply |= {"task": "transcribe", "language": "english", "duration": 7.0, "segments": []}
    return json_reply({**reply, **ask.script.extra})
