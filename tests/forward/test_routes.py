"""Which provider a request goes to, which API it speaks, and what becomes of its path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.admit.refusal import Refusal
from majordomo.apis import Api, Family
from majordomo.forward.providers import Origin, Provider, build_providers
from majordomo.forward.routes import Route, Routes, api_of, family_of

PROVIDERS = build_providers({})

#: The contract's table, path by path: API, and whether the path is taken without ``/v1`` too.
TABLE = [
    ("/v1/chat/completions", Api.OPENAI_CHAT, True),
    ("/v1/completions", Api.OPENAI_COMPLETIONS, True),
    ("/v1/embeddings", Api.OPENAI_EMBEDDINGS, True),
    ("/v1/responses", Api.OPENAI_RESPONSES, True),
    ("/v1/responses/resp_1", Api.OPENAI_RESPONSE, True),
    ("/v1/responses/compact", Api.OPENAI_RESPONSES, True),
    ("/v1/responses/resp_1/cancel", Api.OPENAI_RESPONSE, True),
    ("/v1/responses/resp_1/input_items", Api.OPENAI_OTHER, True),
    ("/v1/responses/resp_1/input_items/cancel", Api.OPENAI_OTHER, True),
    ("/v1/images/generations", Api.OPENAI_IMAGES, True),
    ("/v1/images/edits", Api.OPENAI_IMAGES, True),
    ("/v1/audio/speech", Api.OPENAI_SPEECH, True),
    ("/v1/audio/transcriptions", Api.OPENAI_TRANSCRIPTION, True),
    ("/v1/audio/translations", Api.OPENAI_TRANSCRIPTION, True),
    ("/v1/audio/voices", Api.OPENAI_OTHER, True),
    ("/v1/moderations", Api.OPENAI_MODERATIONS, True),
    ("/v1/messages", Api.ANTHROPIC_MESSAGES, False),
    ("/v1/messages/count_tokens", Api.ANTHROPIC_COUNT_TOKENS, False),
    ("/v1/messages/batches", Api.ANTHROPIC_BATCHES, False),
    ("/v1/messages/batches/msgbatch_1", Api.ANTHROPIC_BATCHES, False),
    ("/v1/messages/batches/msgbatch_1/cancel", Api.ANTHROPIC_BATCHES, False),
    ("/v1/messages/batches/msgbatch_1/results", Api.ANTHROPIC_BATCH_RESULTS, False),
    ("/v1beta/models/gemini-2.5-pro:generateContent", Api.GEMINI_GENERATE, False),
    ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", Api.GEMINI_STREAM, False),
    ("/v1beta/models/gemini-2.5-pro:countTokens", Api.GEMINI_COUNT_TOKENS, False),
    ("/v1beta/models/embed:embedContent", Api.GEMINI_EMBED, False),
    ("/v1beta/models/embed:batchEmbedContents", Api.GEMINI_EMBED, False),
    ("/v1/models/gemini-2.5-pro:generateContent", Api.GEMINI_GENERATE, False),
    ("/v1beta/tunedModels/x:generateContent", None, False),
    ("/v1beta/models", Api.GEMINI_MODELS, False),
    ("/v1beta/models/gemini-2.5-pro", Api.GEMINI_MODELS, False),
    ("/v1/models", Api.OPENAI_MODELS, False),
    ("/v1/models/gpt-5", Api.OPENAI_MODELS, False),
    ("/v1/files", None, False),
    ("/v2/chat/completions", None, False),
    ("/v1/chat/completions/", None, False),
    ("/v1/messages/", None, False),
    ("/messages", None, False),
    ("/chat", None, False),
    ("/V1/chat/completions", None, False),
    ("", None, False),
]


@pytest.mark.parametrize(("path", "api", "also_bare"), TABLE)
def test_paths_go_where_the_contract_says(path: str, api: Api | None, also_bare: bool) -> None:
    routes = Routes(PROVIDERS)
    for spelled in (path, path.removeprefix("/v1")) if also_bare else (path,):
        method = b"GET" if api is Api.ANTHROPIC_BATCH_RESULTS else b"POST"
        found = routes.find(method, spelled.encode(), None, anthropic_marks=False)
        if api is None:
            assert isinstance(found, Refusal)
            assert found.status == 404
        else:
            assert found == Route(PROVIDERS[api.family.value], api)


@pytest.mark.parametrize(("path", "api", "also_bare"), TABLE)
def test_marks_of_anthropic_matter_for_models_alone(path: str, api: Api | None, also_bare: bool) -> None:
    expected = Api.ANTHROPIC_MODELS if api is Api.OPENAI_MODELS else api
    assert api_of(path.encode(), anthropic_marks=True) is expected


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_can_be_named_for_any_path(name: str) -> None:
    routes = Routes(PROVIDERS)
    for path in (b"/v1/chat/completions", b"/v1/messages", b"/what/ever", b"/v1/models"):
        for spelled in (name, name.upper(), f" {name} "):
            found = routes.find(b"POST", path, spelled, anthropic_marks=False)
            assert isinstance(found, Route)
            assert found.provider.name == name
    assert routes.find(b"GET", b"/v1/models", name, anthropic_marks=True).api.family is PROVIDERS[name].family  # type: ignore[union-attr]
    known = routes.find(b"POST", b"/v1/chat/completions", name, anthropic_marks=False)
    assert isinstance(known, Route)
    assert known.api is Api.OPENAI_CHAT


@given(
    st.sampled_from([b"GET", b"POST", b"DELETE"]),
    st.binary(max_size=60),
    st.none() | st.text(max_size=20),
    st.booleans(),
)
def test_any_path_and_name_give_a_route_or_a_404(method: bytes, path: bytes, name: str | None, marks: bool) -> None:
    found = Routes(PROVIDERS).find(method, path, name, anthropic_marks=marks)
    assert isinstance(found, Route) or found.status == 404
    assert family_of(path, anthropic_marks=marks) in Family
    api = api_of(path, anthropic_marks=marks)
    assert api is None or api.family is family_of(path, anthropic_marks=marks)


@pytest.mark.parametrize(
    "path", [b"/v1/chat/completions", b"/v1/responses", b"/v1/messages", b"/v1/images/generations"]
)
def test_a_look_at_what_a_post_made_uses_nothing(path: bytes) -> None:
    for method in (b"GET", b"DELETE", b"HEAD"):
        found = Routes(PROVIDERS).find(method, path, None, anthropic_marks=False)
        assert isinstance(found, Route)
        assert found.api in (Api.OPENAI_OTHER, Api.ANTHROPIC_OTHER)


@pytest.mark.parametrize(
    ("path", "fetched"),
    [
        (b"/v1/responses/resp_1", Api.OPENAI_RESPONSE),
        (b"/v1/messages/batches/msgbatch_1/results", Api.ANTHROPIC_BATCH_RESULTS),
    ],
)
def test_usage_that_is_told_later_is_read_where_it_is_fetched(path: bytes, fetched: Api) -> None:
    """By GET alone: HEAD has no body, and DELETE tells nothing."""
    for method, api in ((b"GET", fetched), (b"HEAD", None), (b"DELETE", None)):
        found = Routes(PROVIDERS).find(method, path, None, anthropic_marks=False)
        assert isinstance(found, Route)
        assert found.api is (api or (Api.OPENAI_OTHER if b"responses" in path else Api.ANTHROPIC_OTHER))


# -- providers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "target", "url"),
    [
        ("openai", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "/chat/completions?x=1", "https://api.openai.com/v1/chat/completions?x=1"),
        ("anthropic", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        (
            "gemini",
            "/v1beta/models/x:generateContent?key=k",
            "https://generativelanguage.googleapis.com/v1beta/models/x:generateContent?key=k",
        ),
        (
            "gemini-openai",
            "/v1/chat/completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
        ("fireworks", "/v1/chat/completions", "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("together", "/chat/completions", "https://api.together.xyz/v1/chat/completions"),
        ("deepseek", "/v1/chat/completions", "https://api.deepseek.com/v1/chat/completions"),
        ("deepseek", "/chat/completions", "https://api.deepseek.com/chat/completions"),
        ("deepseek", "/anthropic/v1/messages", "https://api.deepseek.com/anthropic/v1/messages"),
        ("moonshot", "/v1/chat/completions", "https://api.moonshot.ai/v1/chat/completions"),
        ("baseten", "/v1/chat/completions", "https://inference.baseten.co/v1/chat/completions"),
        ("nebius", "/v1/chat/completions", "https://api.studio.nebius.com/v1/chat/completions"),
        ("deepinfra", "/v1/chat/completions", "https://api.deepinfra.com/v1/openai/chat/completions"),
        ("novita", "/v1/chat/completions", "https://api.novita.ai/openai/v1/chat/completions"),
    ],
)
def test_built_in_providers_are_asked_where_they_answer(name: str, target: str, url: str) -> None:
    provider = PROVIDERS[name]
    assert provider.origin.tls
    assert provider.origin.port == 443
    assert f"https://{provider.authority.decode()}{provider.target(target.encode()).decode()}" == url


@pytest.mark.parametrize(
    ("url", "origin", "authority", "prefix"),
    [
        ("http://h", Origin("h", 80), b"h", b""),
        ("http://h:80/", Origin("h", 80), b"h", b""),
        ("http://h:8080/a/b/", Origin("h", 8080), b"h:8080", b"/a/b"),
        ("https://H.Example:443", Origin("h.example", 443, True), b"h.example", b""),
        ("https://h:80", Origin("h", 80, True), b"h:80", b""),
        ("http://[::1]:8080", Origin("::1", 8080), b"[::1]:8080", b""),
        ("http://user:secret@h/a", Origin("h", 80), b"h", b"/a"),
    ],
)
def test_base_urls_are_read(url: str, origin: Origin, authority: bytes, prefix: bytes) -> None:
    provider = Provider.at("own", url, Family.OPENAI, "keep")
    assert (provider.origin, provider.authority, provider.prefix) == (origin, authority, prefix)


@pytest.mark.parametrize(
    "url", ["", "h", "ftp://h", "http://", "http:///a", "http://h:99999", "http://h:x", "http://[::1"]
)
def test_base_urls_that_cannot_be_used_are_named(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Provider.at("own", url, Family.OPENAI, "keep")


@pytest.mark.parametrize("prefix", ["add", "strip", "keep"])
def test_a_base_url_that_brings_the_version_never_doubles_it(prefix: str) -> None:
    provider = Provider.at("own", "http://h/v1", Family.OPENAI, prefix)  # type: ignore[arg-type]
    for target in (b"/v1/chat/completions", b"/chat/completions"):
        assert provider.target(target) == b"/v1/chat/completions"


def test_settings_change_and_add_providers() -> None:
    built = build_providers(
        {
            "openai": {"base_url": "http://mock:1", "inject_stream_usage": False},
            "own": {"base_url": "http://own", "version_prefix": "strip"},
            "anthropic": {"base_url": None},
        }
    )
    assert set(built) == set(PROVIDERS) | {"own"}
    assert built["openai"].origin == Origin("mock", 1)
    assert not built["openai"].inject_stream_usage
    assert built["openai"].target(b"/embeddings") == b"/v1/embeddings"
    assert built["own"].family is Family.OPENAI
    assert built["own"].target(b"/v1/x") == b"/x"
    assert built["anthropic"] == PROVIDERS["anthropic"]


def test_a_new_provider_needs_a_base_url() -> None:
    with pytest.raises(ValueError, match="own"):
        build_providers({"own": {}})


@given(st.binary(max_size=40).map(lambda rest: b"/" + rest))
def test_a_target_is_never_changed_but_for_its_version(target: bytes) -> None:
    for provider in PROVIDERS.values():
        asked = provider.target(target)
        assert asked.startswith(provider.prefix + b"/")
        assert asked.endswith(target.removeprefix(b"/v1"))
