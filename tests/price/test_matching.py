"""A model id means an entry only if nothing of the id is left unaccounted for."""

import pytest

from majordomo.price import matching
from majordomo.price.catalogue import Catalogue, packaged

CATALOGUE = packaged()

MEANT = {
    ("openai", "gpt-4o-2024-08-06"): "gpt-4o",
    ("openai", "GPT-4o"): "gpt-4o",
    ("openai", "gpt-5.2-20251211"): "gpt-5.2",  # the compact date that some routers write
    ("openai", "gpt-5-nano-2025-08-07"): "gpt-5-nano",
    ("openai", "gpt-6-sol-2026-12-01"): "gpt-6-sol",
    ("openai", "gpt-4o-audio-preview-2024-12-17"): "gpt-4o-audio-preview",
    ("openai", "ft:gpt-4o-2024-08-06:acme::abc123"): "ft:gpt-4o",
    ("openai", "ft:gpt-3.5-turbo-0125:acme:name:id"): "ft:gpt-3.5-turbo-",
    ("openai", "gpt-4o-mini-2024-07-18.ft-0123"): "gpt-4o-mini-2024-07-18.ft-",
    ("anthropic", "claude-opus-4-5-20251101"): "claude-opus-4-5",
    ("anthropic", "claude-sonnet-4-20250514"): "claude-sonnet-4-0",
    ("anthropic", "claude-haiku-5-5@20261001"): "claude-haiku-5-5",
    ("anthropic", "claude-3-5-haiku-latest"): "claude-3-5-haiku-latest",
    ("google", "gemini-2.0-flash-001"): "gemini-2.0-flash",
    ("google", "gemini-2.5-pro-preview-05-06"): "gemini-2.5-pro",
    ("google", "gemini-3.5-flash-001"): "gemini-3.5-flash",
    ("google", "publishers/google/models/gemini-1.5-flash-002"): "gemini-1.5-flash",
    ("deepseek", "deepseek-v4-flash-0731"): "deepseek-v4-flash",
}

# The catalogue's own matching takes each of these for an older model, at that one's price, or could.
NOT_MEANT = [
    ("openai", "gpt-4o-2027-01-01"),  # a snapshot that is not listed can cost anything: gpt-4o-2024-05-13 is at double
    ("openai", "gpt-6-sol-max"),
    ("openai", "ft:gpt-4o-2024-08-06-turbo:acme"),
    ("openai", "my-gpt-4o"),
    ("anthropic", "claude-opus-4-50"),
    ("anthropic", "claude-opus-4-10"),
    ("anthropic", "claude-opus-4-8-mini"),
    ("anthropic", "claude-opus-5-6"),
    ("google", "gemini-3.6-flash-lite"),
    ("google", "gemini-2.5-pro-ultra"),
    ("google", "gemini-1.5-flash-8b"),
    ("google", "gemini-3.5-flash-8b"),
    ("google", "not-gemini-1.5-flash"),
    ("deepseek", "deepseek-r1-distill-qwen-32b"),
    ("deepseek", "deepseek-chat-v3.1"),
    ("openai", ""),
    ("openai", "gpt-4o" * 1000),
]


@pytest.mark.parametrize(("provider", "model"), MEANT)
def test_a_known_name_date_revision_or_fine_tune_is_found(provider: str, model: str) -> None:
    entry = CATALOGUE.find(provider, model)
    assert entry is not None
    assert entry.id == MEANT[provider, model]


@pytest.mark.parametrize(("provider", "model"), NOT_MEANT)
def test_a_name_with_a_rest_that_could_be_another_model_is_unknown(provider: str, model: str) -> None:
    assert CATALOGUE.find(provider, model) is None


def test_every_name_that_the_catalogue_spells_out_is_found() -> None:
    """The stricter rule loses none of the ids that are written in the catalogue itself."""
    lost = [(provider, name) for provider, name in _spelled(CATALOGUE) if CATALOGUE.find(provider, name) is None]
    assert lost == []


def _spelled(catalogue: Catalogue) -> list[tuple[str, str]]:
    names = []
    for provider in ("openai", "anthropic", "google", "deepseek", "moonshotai", "fireworks", "together", "novita"):
        for model in catalogue.models(provider):
            clauses = [model.match]
            while clauses:
                ((kind, value),) = clauses.pop().items()
                if kind == "or":
                    clauses += value
                elif kind == "equals":
                    names.append((provider, value))
    assert len(names) > 500
    return names


@pytest.mark.parametrize(
    "clause",
    [
        {"regex": "^(a+)+$"},
        {"regex": "("},
        {"regex": "x" * 1000},
        {"sounds_like": "gpt"},
        {"equals": ""},
        {"or": []},
        {"equals": "a", "contains": "b"},
        "gpt",
    ],
)
def test_a_clause_that_could_do_harm_is_refused(clause: object) -> None:
    with pytest.raises(matching.BadMatchError):
        matching.check(clause)


def test_clauses_nested_without_end_are_refused() -> None:
    clause: dict[str, object] = {"equals": "a"}
    for _ in range(50):
        clause = {"or": [clause]}
    with pytest.raises(matching.BadMatchError):
        matching.check(clause)
