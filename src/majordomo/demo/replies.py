"""From a request to a rendered reply: which API it speaks, what its script changes, and how its bytes are dressed."""

from typing import get_args

import msgspec

from majordomo.demo import anthropic_replies, gemini_replies, openai_replies
from majordomo.demo.reply import JSON, Ask, Reply, compress, json_reply, recut
from majordomo.demo.script import Encoding, Json

DEFAULT_MESSAGES = {
    400: "The request is not valid (scripted).",
    401: "The API key is not valid (scripted).",
    404: "The model does not exist (scripted).",
    429: "Too many requests (scripted).",
    529: "Overloaded (scripted).",
}


def decode(body: bytes) -> Json:
    """The body as a JSON value, or None if it is something else."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def render(ask: Ask) -> Reply:
    """The reply to a request, as its script wants it."""
    script = ask.script
    reply = _plain(ask)
    headers = [*reply.headers, *((name.lower(), value) for name, value in script.headers.items())]
    if script.retry_after is not None:
        headers.append(("retry-after", script.retry_after))
    if script.content_type is not None:
        headers = [(name, value) for name, value in headers if name != "content-type"]
        headers.append(("content-type", script.content_type))
    pieces = reply.pieces
    if script.piece_bytes is not None:
        pieces = recut(pieces, max(1, script.piece_bytes))
    encoding = _encoding(ask)
    if encoding is not None:
        pieces = compress(pieces, encoding)
        headers.append(("content-encoding", encoding))
    return Reply(reply.status, tuple(headers), pieces, reply.streamed)


def _encoding(ask: Ask) -> Encoding | None:
    if ask.script.encoding != "accepted":
        return ask.script.encoding
    named = [word.partition(";")[0].strip() for word in ask.header("accept-encoding").split(",")]
    return next((encoding for encoding in get_args(Encoding) if encoding in named), None)


def _plain(ask: Ask) -> Reply:
    script = ask.script
    if script.body is not None:
        return Reply(script.status, (("content-type", JSON),), (script.body.encode(),))
    if script.status >= 400:
        return _error(ask, script.status, script.error_type, script.error_message)
    reply = _answer(ask)
    if reply is None:
        return _error(ask, 404, None, f"The scripted provider has nothing at {ask.path}.")
    if script.status == reply.status:
        return reply
    return Reply(script.status, reply.headers, reply.pieces, reply.streamed)


def _answer(ask: Ask) -> Reply | None:
    path = ask.path
    if ask.method == "HEAD" or path in ("", "/"):
        return json_reply({"status": "ok"})
    if path.endswith("/models") or "/models/" in path:
        if gemini_replies.is_verb(path):
            return gemini_replies.answer(ask)
        if ask.header("anthropic-version"):
            return anthropic_replies.models(ask)
        return gemini_replies.models(ask) if _for_gemini(ask) else openai_replies.models(ask)
    return anthropic_replies.answer(ask) or openai_replies.answer(ask)


def _error(ask: Ask, status: int, kind: str | None, message: str | None) -> Reply:
    text = message or DEFAULT_MESSAGES.get(status, f"Scripted error {status}.")
    if "/messages" in ask.path or ask.header("anthropic-version"):
        return json_reply(anthropic_replies.error(status, kind, text), status=status)
    if gemini_replies.is_verb(ask.path) or _for_gemini(ask):
        return json_reply(gemini_replies.error(status, kind, text), status=status)
    return json_reply(openai_replies.error(status, kind, text), status=status)


def _for_gemini(ask: Ask) -> bool:
    return "/v1beta/models" in ask.path or bool(ask.header("x-goog-api-key"))
