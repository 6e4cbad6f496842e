"""The Gemini API of the scripted provider: generateContent, streams, countTokens, embeddings, models, errors."""

from majordomo.demo.reply import Ask, Reply, data_event, encode, json_reply, sse_reply
from majordomo.demo.script import Json

MODELS = ("gemini-2.5-pro", "gemini-2.5-flash")

#: Length of the vectors that embedContent returns: short, as nobody looks at them.
DIMENSIONS = 8

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def is_verb(path: str) -> bool:
    """Whether a path is one of Gemini's ``models/NAME:verb``."""
    return "models/" in path and ":" in path.rpartition("/")[2]


def answer(ask: Ask) -> Reply | None:
    """The reply to a request on a Gemini path, or None if the path is not one."""
    if not is_verb(ask.path):
        return None
    model, _, verb = ask.path.rpartition("/")[2].partition(":")
    model = ask.script.model or model
    if verb == "generateContent":
        return json_reply(_chunk(ask, model, ask.text_pieces, last=True))
    if verb == "streamGenerateContent":
        return _stream(ask, model)
    if verb == "countTokens":
        return json_reply(ask.script.usage or {"totalTokens": ask.input_tokens})
    if verb == "embedContent":
        return json_reply(_with_usage(ask, {"embedding": {"values": [0.125] * DIMENSIONS}}))
    if verb == "batchEmbedContents":
        count = len(ask.json.get("requests", ())) if isinstance(ask.json, dict) else 0
        return json_reply(_with_usage(ask, {"embeddings": [{"values": [0.125] * DIMENSIONS}] * count}))
    return None


def models(ask: Ask) -> Reply:
    """The list of models, or one of them."""
    name = ask.path.rpartition("/models")[2].strip("/")
    return json_reply(_model(name) if name else {"models": [_model(m) for m in MODELS]})


def error(status: int, kind: str | None, message: str) -> Json:
    """The body of a Gemini error."""
    name = kind or STATUS_NAMES.get(status, "INTERNAL")
    return {"error": {"code": status, "message": message, "status": name}}


def _model(name: str) -> Json:
    return {"name": f"models/{name}", "displayName": name, "version": "1", "inputTokenLimit": 1_048_576}


def _with_usage(ask: Ask, value: dict[str, Json]) -> dict[str, Json]:
    return value if ask.script.usage is None else {**value, "usageMetadata": ask.script.usage}


def _usage(ask: Ask) -> dict[str, Json]:
    if ask.script.usage is not None:
        return ask.script.usage
    prompt, output = ask.input_tokens, ask.output_tokens
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }


def _parts(ask: Ask, pieces: list[str], *, last: bool) -> list[Json]:
    parts: list[Json] = []
    if last and ask.script.thinking is not None:
        parts.append({"text": ask.script.thinking, "thought": True})
    if not (ask.script.tools and ask.script.text is None):
        parts += [{"text": "".join(pieces)}]
    if last:
        parts += [{"functionCall": {"name": tool.name, "args": tool.input}} for tool in ask.script.tools]
    return parts


def _chunk(ask: Ask, model: str, pieces: list[str], *, last: bool, usage: Json = None) -> dict[str, Json]:
    candidate: dict[str, Json] = {
        "content": {"role": "model", "parts": _parts(ask, pieces, last=last)},
        "index": 0,
    }
    if last:
        candidate["finishReason"] = ask.script.stop_reason or "STOP"
        if ask.script.web_searches:
            queries = [f"query {number}" for number in range(ask.script.web_searches)]
            candidate["groundingMetadata"] = {"webSearchQueries": queries}
    return {
        "candidates": [candidate],
        "usageMetadata": usage or _usage(ask),
        "modelVersion": model,
        "responseId": ask.id("gem_"),
        **(ask.script.extra if last else {}),
    }


def _stream(ask: Ask, model: str) -> Reply:
    """Usage stands in every chunk and grows; the last chunk has the final counts."""
    pieces = ask.text_pieces or [""]
    final = _usage(ask)
    chunks = []
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces)
        usage = final if last else _so_far(final, number, len(pieces))
        chunks.append(_chunk(ask, model, [piece], last=last, usage=usage))
    if "alt=sse" in ask.query:
        return sse_reply([data_event(chunk).replace(b"\n\n", b"\r\n\r\n") for chunk in chunks])
    body = [(b"[" if number == 0 else b",\r\n") + encode(chunk) for number, chunk in enumerate(chunks)]
    return Reply(200, (("content-type", "application/json; charset=UTF-8"),), (*body, b"]"), streamed=True)


def _so_far(final: dict[str, Json], number: int, of: int) -> dict[str, Json]:
    grown = {"promptTokenCount", "promptTokensDetails", "cachedContentTokenCount", "cacheTokensDetails"}
    usage = {name: value for name, value in final.items() if name in grown}
    output = final.get("candidatesTokenCount", 0) * number // of
    return {**usage, "candidatesTokenCount": output, "totalTokenCount": final.get("promptTokenCount", 0) + output}
