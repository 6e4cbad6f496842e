"""Which provider a request is for and which API it speaks: by header if given, else by path."""

from typing import NamedTuple

from majordomo.admit.refusal import Refusal, no_route, unknown_provider
from majordomo.apis import Api, Family
from majordomo.forward.providers import Provider

SUPPORTED = (
    "/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/images/…, /v1/audio/…, /v1/moderations "
    "(openai); /v1/messages, /v1/messages/count_tokens, /v1/messages/batches (anthropic); "
    "/v1beta/models/MODEL:generateContent, :streamGenerateContent, :countTokens, :embedContent, :batchEmbedContents "
    "(gemini); /v1/models (openai, or anthropic with anthropic-version or x-api-key)"
)


class Route(NamedTuple):
    """Where a request goes and how its reply is to be read."""

    provider: Provider
    api: Api


# Paths without their leading /v1; the OpenAI ones are also taken without it.
_OPENAI_PATHS = {
    b"/chat/completions": Api.OPENAI_CHAT,
    b"/completions": Api.OPENAI_COMPLETIONS,
    b"/embeddings": Api.OPENAI_EMBEDDINGS,
    b"/responses": Api.OPENAI_RESPONSES,
    b"/responses/compact": Api.OPENAI_RESPONSES,
    b"/moderations": Api.OPENAI_MODERATIONS,
    b"/audio/speech": Api.OPENAI_SPEECH,
    b"/audio/transcriptions": Api.OPENAI_TRANSCRIPTION,
    b"/audio/translations": Api.OPENAI_TRANSCRIPTION,
}
_OPENAI_PREFIXES = (
    (b"/images/", Api.OPENAI_IMAGES),
    (b"/audio/", Api.OPENAI_OTHER),
)
_OPENAI_RESPONSE = b"/responses/"
_ANTHROPIC_PATHS = {
    b"/v1/messages": Api.ANTHROPIC_MESSAGES,
    b"/v1/messages/count_tokens": Api.ANTHROPIC_COUNT_TOKENS,
    b"/v1/messages/batches": Api.ANTHROPIC_BATCHES,
}
_ANTHROPIC_BATCH = b"/v1/messages/batches/"
_GEMINI_VERBS = {
    b"generateContent": Api.GEMINI_GENERATE,
    b"streamGenerateContent": Api.GEMINI_STREAM,
    b"countTokens": Api.GEMINI_COUNT_TOKENS,
    b"embedContent": Api.GEMINI_EMBED,
    b"batchEmbedContents": Api.GEMINI_EMBED,
}
_OTHER = {
    Family.OPENAI: Api.OPENAI_OTHER,
    Family.ANTHROPIC: Api.ANTHROPIC_OTHER,
    Family.GEMINI: Api.GEMINI_OTHER,
}
_MODELS = {
    Family.OPENAI: Api.OPENAI_MODELS,
    Family.ANTHROPIC: Api.ANTHROPIC_MODELS,
    Family.GEMINI: Api.GEMINI_MODELS,
}
_POST_USES = (*_OPENAI_PATHS.values(), Api.OPENAI_IMAGES, Api.ANTHROPIC_MESSAGES, *_GEMINI_VERBS.values())
#: By which methods a request uses something, or is told of what was used. By others it looks, lists or deletes.
_METHODS = {
    **dict.fromkeys(_POST_USES, (b"POST",)),
    Api.OPENAI_RESPONSE: (b"GET", b"POST"),
    Api.ANTHROPIC_BATCH_RESULTS: (b"GET",),
}


def api_of(path: bytes, *, anthropic_marks: bool) -> Api | None:
    """The API that a path belongs to, whoever serves it; None if it is nobody's.

    ``anthropic_marks``: the request has ``anthropic-version`` or ``x-api-key``; ``/v1/models`` exists twice.
    """
    api = _ANTHROPIC_PATHS.get(path)
    if api is not None:
        return api
    bare = path[3:] if path.startswith(b"/v1/") else path
    api = _OPENAI_PATHS.get(bare)
    if api is not None:
        return api
    if bare.startswith(_OPENAI_RESPONSE):
        parts = bare[len(_OPENAI_RESPONSE) :].split(b"/")
        return Api.OPENAI_RESPONSE if len(parts) == 1 or parts[1:] == [b"cancel"] else Api.OPENAI_OTHER
    for prefix, api in _OPENAI_PREFIXES:
        if bare.startswith(prefix):
            return api
    if path.startswith(_ANTHROPIC_BATCH):
        return Api.ANTHROPIC_BATCH_RESULTS if path.endswith(b"/results") else Api.ANTHROPIC_BATCHES
    if path.startswith((b"/v1beta/", b"/v1/models/")):
        verb = path.rpartition(b":")[2]
        if verb in _GEMINI_VERBS and b"/models/" in path:
            return _GEMINI_VERBS[verb]
    if path == b"/v1/models" or path.startswith(b"/v1/models/"):
        return _MODELS[Family.ANTHROPIC if anthropic_marks else Family.OPENAI]
    if path == b"/v1beta/models" or path.startswith(b"/v1beta/models/"):
        return Api.GEMINI_MODELS
    return None


class Routes:
    """The routing table of one front desk."""

    __slots__ = ("_providers",)

    def __init__(self, providers: dict[str, Provider]) -> None:
        self._providers = providers

    def find(self, method: bytes, path: bytes, named: str | None, *, anthropic_marks: bool) -> Route | Refusal:
        """The route for a request, by its path and the provider that the caller named, if any."""
        api = api_of(path, anthropic_marks=anthropic_marks)
        if api in _METHODS and method not in _METHODS[api]:
            api = _OTHER[api.family]
        if named is not None:
            provider = self._providers.get(named.strip().lower())
            if provider is None:
                return unknown_provider(named, ", ".join(sorted(self._providers)))
            return Route(provider, _as_spoken_by(provider.family, path, api))
        if api is None:
            return no_route(path.decode("utf-8", "replace"), SUPPORTED)
        return Route(self._providers[api.family.value], api)


def _as_spoken_by(family: Family, path: bytes, api: Api | None) -> Api:
    """``/v1/models`` is the named provider's own; every other known path keeps its API; the rest is passed through."""
    if path == b"/v1/models" or (api in _MODELS.values() and api is not None and api.family is not family):
        return _MODELS[family]
    return api if api is not None else _OTHER[family]


def family_of(path: bytes, *, anthropic_marks: bool) -> Family:
    """Whose error shape a caller of this path understands, also where no route exists."""
    api = api_of(path, anthropic_marks=anthropic_marks)
    if api is not None:
        return api.family
    if path.startswith(b"/v1beta/"):
        return Family.GEMINI
    return Family.ANTHROPIC if anthropic_marks else Family.OPENAI
