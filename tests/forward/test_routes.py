"""Which provider answers a path, and what its reply is read as."""

import pytest

from majordomo.admit.refusal import Refusal
from majordomo.apis import Api
from majordomo.forward.providers import build_providers
from majordomo.forward.routes import Route, Routes

ROUTES = Routes(build_providers({"house": {"base_url": "http://127.0.0.1:9/llm"}}))


def route(path: str, method: str = "POST", named: str | None = None, marks: bool = False) -> Route | Refusal:
    return ROUTES.find(method.encode(), path.encode(), named, anthropic_marks=marks)


@pytest.mark.parametrize(
    ("path", "provider", "api"),
    [
        ("/v1/chat/completions", "openai", Api.OPENAI_CHAT),
        ("/chat/completions", "openai", Api.OPENAI_CHAT),
        ("/v1/completions", "openai", Api.OPENAI_COMPLETIONS),
        ("/v1/embeddings", "openai", Api.OPENAI_EMBEDDINGS),
        ("/v1/responses", "openai", Api.OPENAI_RESPONSES),
        ("/responses", "openai", Api.OPENAI_RESPONSES),
        ("/v1/images/generations", "openai", Api.OPENAI_IMAGES),
        ("/v1/audio/speech", "openai", Api.OPENAI_SPEECH),
        ("/v1/audio/transcriptions", "openai", Api.OPENAI_TRANSCRIPTION),
        ("/v1/audio/translations", "openai", Api.OPENAI_TRANSCRIPTION),
        ("/v1/moderations", "openai", Api.OPENAI_MODERATIONS),
        ("/v1/messages", "anthropic", Api.ANTHROPIC_MESSAGES),
        ("/v1/messages/count_tokens", "anthropic", Api.ANTHROPIC_COUNT_TOKENS),
        ("/v1/messages/batches", "anthropic", Api.ANTHROPIC_BATCHES),
        ("/v1/messages/batches/b", "anthropic", Api.ANTHROPIC_BATCHES),
        ("/v1beta/models/gemini-3-pro:generateContent", "gemini", Api.GEMINI_GENERATE),
        ("/v1beta/models/gemini-3-pro:streamGenerateContent", "gemini", Api.GEMINI_STREAM),
        ("/v1/models/gemini-3-pro:generateContent", "gemini", Api.GEMINI_GENERATE),
        ("/v1beta/models/gemini-3-pro:countTokens", "gemini", Api.GEMINI_COUNT_TOKENS),
        ("/v1beta/models/e:embedContent", "gemini", Api.GEMINI_EMBED),
        ("/v1beta/models/e:batchEmbedContents", "gemini", Api.GEMINI_EMBED),
    ],
)
def test_each_path_of_the_contract_has_its_provider(path: str, provider: str, api: Api) -> None:
    found = route(path)
    assert isinstance(found, Route)
    assert (found.provider.name, found.api) == (provider, api)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/some-model"])
def test_models_are_anthropics_only_with_its_marks(path: str) -> None:
    for marks, api in ((True, Api.ANTHROPIC_MODELS), (False, Api.OPENAI_MODELS)):
        found = route(path, "GET", marks=marks)
        assert isinstance(found, Route)
        assert found.api is api


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/responses/input_tokens"),
    ],
)
def test_looking_at_what_was_billed_before_is_not_billed_again(method: str, path: str) -> None:
    found = route(path, method)
    assert isinstance(found, Route)
    assert found.api is Api.OPENAI_OTHER


@pytest.mark.parametrize(("method", "api"), [("GET", Api.ANTHROPIC_BATCH_RESULTS), ("HEAD", Api.ANTHROPIC_OTHER)])
def test_results_of_a_batch_are_read_where_they_are_fetched(method: str, api: Api) -> None:
    found = route("/v1/messages/batches/msgbatch_1/results", method)
    assert isinstance(found, Route)
    assert found.api is api


def test_a_named_provider_takes_any_path_and_known_paths_keep_their_reader() -> None:
    for path, api in (("/v1/chat/completions", Api.OPENAI_CHAT), ("/made/up", Api.OPENAI_OTHER)):
        found = route(path, named="DeepSeek ")
        assert isinstance(found, Route)
        assert (found.provider.name, found.api) == ("deepseek", api)


def test_what_nobody_serves_is_404_with_the_paths_that_are() -> None:
    for refused in (route("/v2/chat"), route("/v1/chat/completions", named="nobody")):
        assert isinstance(refused, Refusal)
        assert refused.status == 404
        assert "/v1/messages" in refused.message or "deepseek" in refused.message


@pytest.mark.parametrize(
    ("name", "asked", "sent"),
    [
        ("openai", b"/chat/completions?x=1", b"/v1/chat/completions?x=1"),
        ("openai", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("deepinfra", b"/v1/chat/completions", b"/v1/openai/chat/completions"),
        ("gemini-openai", b"/v1/chat/completions", b"/v1beta/openai/chat/completions"),
        ("fireworks", b"/v1/chat/completions", b"/inference/v1/chat/completions"),
        ("novita", b"/v1/chat/completions", b"/openai/v1/chat/completions"),
        ("house", b"/anything?at=all", b"/llm/anything?at=all"),
    ],
)
def test_the_version_in_a_path_fits_the_base_url(name: str, asked: bytes, sent: bytes) -> None:
    provider = build_providers({"house": {"base_url": "http://127.0.0.1:9/llm"}})[name]
    assert provider.target(asked) == sent


def test_a_base_url_that_brings_the_version_does_not_double_it() -> None:
    provider = build_providers({"openai": {"base_url": "http://127.0.0.1:9/v1/"}})["openai"]
    assert provider.target(b"/v1/chat/completions") == b"/v1/chat/completions"
    assert provider.target(b"/chat/completions") == b"/v1/chat/completions"
