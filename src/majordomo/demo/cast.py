"""Who calls in the demo: made-up teams with their features, users, models and habits. One function per habit."""

from collections.abc import Callable
from random import Random
from typing import Any

from majordomo.demo.call import Call

OPENAI = {"authorization": "Bearer sk-demo-not-a-key"}
GEMINI = {"x-goog-api-key": "demo-not-a-key"}
ANTHROPIC = {"x-api-key": "sk-ant-demo-not-a-key", "anthropic-version": "2023-06-01"}

#: Milliseconds before a reply starts. Shorter than life, to keep the demo brisk.
THINKING_MS = (40, 400)

Habit = Callable[[Random], Call]


def tagged(credentials: dict[str, str], **metadata: str) -> dict[str, str]:
    """Headers of a call: the provider's credential and the metadata, ``_`` standing for ``-``."""
    return {**credentials, **{f"X-Majordomo-{name.replace('_', '-')}": value for name, value in metadata.items()}}


def user(random: Random, of: int = 40) -> str:
    """An end user's opaque id; a few of them are busy, most are not."""
    return f"user_{min(random.randrange(of), random.randrange(of)):03}"


def environment(random: Random) -> str:
    """Most traffic is production's; staging costs more than anyone thinks."""
    return random.choices(("production", "staging", "development"), (14, 4, 1))[0]


def pace(random: Random) -> dict[str, Any]:
    """How quickly the provider answers."""
    return {"delay_ms": random.randint(*THINKING_MS), "event_delay_ms": random.randint(2, 25), "events": 6}


def chat_assistant(random: Random) -> Call:
    """Support: a streamed chat with a long, cached system prompt."""
    prompt = random.randint(1800, 4200)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": (output := random.randint(60, 420)),
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": random.choice((0, 1024, 1536)), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    body: dict[str, Any] = {"model": "gpt-4o-mini", "stream": True, "messages": _ask("Where is my parcel?")}
    if random.random() < 0.5:
        body["stream_options"] = {"include_usage": True}
    tags = {"Team": "support", "Feature": "chat-assistant", "User_Id": user(random)}
    tags |= {"User_Tier": random.choice(("free", "free", "pro", "enterprise")), "Environment": environment(random)}
    hang_up = random.random() < 0.04
    return Call(
        path="/v1/chat/completions",
        body=body,
        headers=tagged(OPENAI, **tags),
        script={**pace(random), "usage": usage},
        hang_up=hang_up,
    )


def document_review(random: Random) -> Call:
    """Legal: long contracts, written to the prompt cache once and read many times."""
    written = random.random() < 0.25
    document = random.randint(9_000, 60_000)
    usage = {
        "input_tokens": random.randint(20, 400),
        "cache_creation_input_tokens": document if written else 0,
        "cache_read_input_tokens": 0 if written else document,
        "cache_creation": {"ephemeral_5m_input_tokens": document if written else 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": random.randint(300, 2_400),
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    body = {"model": "claude-sonnet-5", "max_tokens": 4096, "messages": _ask("Summarise the liability clause.")}
    tags = {"Team": "legal", "Feature": "document-review", "User_Id": user(random, 9), "User_Tier": "enterprise"}
    return Call(
        path="/v1/messages",
        body={**body, "stream": random.random() < 0.6},
        headers=tagged(ANTHROPIC, **tags, Environment=environment(random)),
        script={**pace(random), "usage": usage, "thinking": "The clause limits..."},
    )


def email_drafting(random: Random) -> Call:
    """Growth: short mails by a small Gemini model."""
    prompt, answer, thoughts = random.randint(150, 900), random.randint(120, 500), random.choice((0, 0, 300))
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + answer + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    verb = random.choice(("generateContent", "streamGenerateContent?alt=sse"))
    return Call(
        path=f"/v1beta/models/gemini-2.5-flash:{verb}",
        body={"contents": [{"role": "user", "parts": [{"text": "Draft a friendly reminder."}]}]},
        headers=tagged(GEMINI, Team="growth", Feature="email-drafting", Environment=environment(random)),
        script={**pace(random), "usage": usage},
    )


def semantic_search(random: Random) -> Call:
    """Data: embeddings, many and cheap."""
    count = random.randint(400, 8_000)
    return Call(
        path="/v1/embeddings",
        body={"model": "text-embedding-3-small", "input": "A paragraph of the handbook."},
        headers=tagged(OPENAI, Team="data", Feature="semantic-search", Environment=environment(random)),
        script={"delay_ms": random.randint(5, 60), "usage": {"prompt_tokens": count, "total_tokens": count}},
    )


def market_research(random: Random) -> Call:
    """Research: an experiment with two models, one of which searches the web and thinks at length."""
    arm = random.choice(("a", "b"))
    tags = {
        "Team": "research",
        "Feature": "market-research",
        "Experiment": f"model-test-{arm}",
        "Environment": "staging",
    }
    if arm == "a":
        usage: dict[str, Any] = {"prompt_tokens": 900, "completion_tokens": random.randint(200, 900)}
        usage |= {"prompt_cache_hit_tokens": 640, "prompt_cache_miss_tokens": 260}
        usage["prompt_tokens_details"] = {"cached_tokens": 640}
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        headers = tagged(OPENAI, **tags, Provider="deepseek")
        body: dict[str, Any] = {"model": "deepseek-chat", "messages": _ask("Who are our competitors?")}
        return Call(path="/v1/chat/completions", body=body, headers=headers, script={**pace(random), "usage": usage})
    reasoning = random.randint(500, 3_000)
    usage = {
        "input_tokens": (prompt := random.randint(2_000, 9_000)),
        "input_tokens_details": {"cached_tokens": 1_920},
        "output_tokens": reasoning + 400,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + reasoning + 400,
    }
    searches = random.randint(1, 3)
    return Call(
        path="/v1/responses",
        body={"model": "gpt-5", "input": "Who are our competitors?", "stream": True, "tools": [{"type": "web_search"}]},
        headers=tagged(OPENAI, **tags),
        script={**pace(random), "usage": usage, "web_searches": searches, "thinking": "Let me look."},
    )


def ad_pictures(random: Random) -> Call:
    """Growth: now and then a picture."""
    text = random.randint(20, 90)
    usage = {"input_tokens": text, "output_tokens": 1056, "total_tokens": text + 1056}
    usage_of = {**usage, "input_tokens_details": {"text_tokens": text, "image_tokens": 0}}
    return Call(
        path="/v1/images/generations",
        body={"model": "gpt-image-1", "prompt": "A red bicycle at dawn"},
        headers=tagged(OPENAI, Team="growth", Feature="ad-pictures", Environment="production"),
        script={"delay_ms": random.randint(300, 800), "usage": usage_of},
    )


def own_model(random: Random) -> Call:
    """Platform: a model of the house whose price nobody has told yet. Its cost stays unknown, never 0."""
    usage = {"prompt_tokens": 700, "completion_tokens": random.randint(50, 90), "total_tokens": 790}
    return Call(
        path="/v1/chat/completions",
        body={"model": "house-llama-7b", "messages": _ask("Label this ticket.")},
        headers=tagged(OPENAI, Team="platform", Feature="ticket-labels", Environment="development", Provider="baseten"),
        script={**pace(random), "usage": usage},
    )


#: Whatever can go wrong: limits, overload, a wrong model, a provider that breaks off, a forgotten key.
TROUBLES = ("limit", "overloaded", "model", "broken", "no key")


def trouble(random: Random, kind: str | None = None) -> Call:
    """One of the troubles."""
    kind = kind or random.choice(TROUBLES)
    tags = {"Team": "support", "Feature": "chat-assistant", "User_Id": user(random), "Environment": "production"}
    body: dict[str, Any] = {"model": "gpt-4o-mini", "stream": True, "messages": _ask("Where is my parcel?")}
    if kind == "overloaded":
        body = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": _ask("Hello?")}
        return Call(path="/v1/messages", body=body, headers=tagged(ANTHROPIC, **tags), script={"status": 529})
    if kind == "model":
        body["model"] = "gpt-4o-mnii"
    scripts: dict[str, dict[str, Any]] = {
        "limit": {"status": 429, "retry_after": "1"},
        "model": {"status": 404, "error_message": "The model `gpt-4o-mnii` does not exist."},
        "broken": {**pace(random), "break_after": 4},
        "no key": {},
    }
    headers = tagged(OPENAI, **tags)
    return Call(
        path="/v1/chat/completions", body=body, headers=headers, script=scripts[kind], with_key=kind != "no key"
    )


#: Each habit and how often it comes up.
HABITS: tuple[tuple[Habit, int], ...] = (
    (chat_assistant, 30),
    (document_review, 14),
    (email_drafting, 12),
    (semantic_search, 12),
    (market_research, 8),
    (ad_pictures, 2),
    (own_model, 2),
    (trouble, 3),
)


def any_call(random: Random) -> Call:
    """The next call of anyone but Claude Code."""
    habit = random.choices([habit for habit, _ in HABITS], [weight for _, weight in HABITS])[0]
    return habit(random)


def _ask(question: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": question}]
