"""The worst case of a request: what it cannot exceed, whatever the provider reports, as long as that is consistent with
what was asked. Or the reason why nobody can say, which a strict budget refuses by.

What is relied on stands on ``docs/decisions/budget-modes.md``: text has at most one token a byte, a provider adds at
most ``ADDED_TOKENS`` of its own, no reply is longer than the request allows, and only what is known here to be harmless
is in the body. Everything else, above all what is fetched, uploaded earlier or run by the provider, has no known bound.
"""

import json
from typing import Any, Protocol

from majordomo.apis import Api
from majordomo.budget.expected import Expected
from majordomo.price.dearest import Dearest

#: Tokens that a provider may put around what was sent: system prompts for tools, separators. Anthropic's largest known
#: are some 800; tens of messages have a few each, which their JSON in the body outweighs.
ADDED_TOKENS = 4096

#: Most alternatives of one reply (``n``) that are believed; the API takes 128.
_MOST_CHOICES = 128


class Rates(Protocol):
    """The pricer, as far as bounds ask it."""

    def dearest(self, provider: str, model: str, at_us: int) -> Dearest | None:
        """The highest rates of a model."""


class _UnboundedError(Exception):
    """Why there is no bound, for people."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What may stand at the top of a body without adding to what it costs, or is looked at below.
_ANTHROPIC_KEYS = _words(
    "model messages system tools tool_choice metadata max_tokens thinking context_management output_config "
    "output_format stream temperature top_k top_p stop_sequences service_tier speed inference_geo cache_control"
)
_CHAT_KEYS = _words(
    "model messages tools tool_choice parallel_tool_calls functions function_call metadata max_tokens "
    "max_completion_tokens n stream stream_options temperature top_p stop seed user store service_tier "
    "reasoning_effort reasoning response_format frequency_penalty presence_penalty logit_bias logprobs top_logprobs "
    "prompt_cache_key prompt_cache_retention safety_identifier verbosity thinking"
)
_COMPLETIONS_KEYS = (_CHAT_KEYS | {"prompt", "suffix", "echo", "best_of"}) - {"messages"}
_RESPONSES_KEYS = _words(
    "model input instructions tools tool_choice parallel_tool_calls metadata max_output_tokens stream stream_options "
    "temperature top_p top_logprobs user store service_tier reasoning text truncation include "
    "prompt_cache_key prompt_cache_retention safety_identifier verbosity"
)
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_EMBEDDINGS_KEYS = _words("model input encoding_format dimensions user")
_GEMINI_KEYS = _words(
    "model contents tools toolConfig systemInstruction system_instruction generationConfig safetySettings labels "
    "serviceTier"
)
_KEYS = {
    Api.ANTHROPIC_MESSAGES: _ANTHROPIC_KEYS,
    Api.OPENAI_CHAT: _CHAT_KEYS,
    Api.OPENAI_COMPLETIONS: _COMPLETIONS_KEYS,
    Api.OPENAI_RESPONSES: _RESPONSES_KEYS,
    Api.OPENAI_EMBEDDINGS: _EMBEDDINGS_KEYS,
    Api.GEMINI_GENERATE: _GEMINI_KEYS,
    Api.GEMINI_STREAM: _GEMINI_KEYS,
}

#: Kinds of content that are in the body as text, and nowhere else.
_TEXT_BLOCKS = frozenset(
    {
        *("text", "tool_use", "tool_result", "thinking", "redacted_thinking", "tool_reference"),
        *("input_text", "output_text", "message", "function_call", "function_call_output", "reasoning", "summary_text"),
        *("refusal", "custom_tool_call", "custom_tool_call_output"),
    }
)
#: Where content with blocks of a type may be.
_CONTENT_KEYS = ("content", "output", "summary")
#: Parts of Gemini's contents that are text in the body.
_GEMINI_PARTS = frozenset(
    {"text", "thought", "thoughtSignature", "thought_signature", "functionCall", "functionResponse", "function_call"}
    | {"function_response"}
)


def bound(rates: Rates, provider: str, api: Api, model: str, body: bytes | bytearray, at_us: int) -> Expected | str:
    """The most that the request can use, or why there is no such amount."""
    try:
        output = _most_output(api, _parsed(api, body))
    except _UnboundedError as why:
        return str(why)
    prompt = len(body) + ADDED_TOKENS
    dearest = rates.dearest(provider, model, at_us)
    return Expected(dearest.text_cost(prompt, output) if dearest is not None else None, prompt, output)


def _parsed(api: Api, body: bytes | bytearray) -> dict[str, Any]:
    """The body, after a look at everything in it that could cost more than its own text."""
    keys = _KEYS.get(api)
    if keys is None:
        raise _UnboundedError(f"requests of the kind {api.value} do not tell how much they will use")
    try:
        said = _decoder.decode(body.decode())
    except (ValueError, RecursionError):
        raise _UnboundedError("its body is no JSON that every reader reads alike") from None
    if not isinstance(said, dict):
        raise _UnboundedError("its body is no JSON object")
    for key, value in said.items():
        if key not in keys and value is not None:
            raise _UnboundedError(f"the field {key[:60]!r} may add to what it uses")
    if api in (Api.GEMINI_GENERATE, Api.GEMINI_STREAM):
        _look_at_gemini(said)
    else:
        _look_at_tools(said.get("tools"))
        for block in (*_items(said.get("messages")), *_items(said.get("input")), *_items(said.get("system"))):
            _look_at_block(block)
        for edit in _items(_table(said.get("context_management")).get("edits")):
            kind = str(_table(edit).get("type"))
            if not kind.startswith("clear_"):
                raise _UnboundedError(f"the context edit {kind[:60]!r} makes the provider work on its own")
    return said


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two members of one name: one reader takes the first, another the last."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a member stands twice")
    return table


_decoder = json.JSONDecoder(object_pairs_hook=_without_doubles)


def _look_at_tools(tools: Any) -> None:
    for tool in _items(tools):
        kind = _table(tool).get("type")
        if kind not in (None, "custom", "function"):
            raise _UnboundedError(f"the tool {str(kind)[:60]!r} is run by the provider, as often as the model likes")


def _look_at_block(block: Any) -> None:
    if isinstance(block, str):
        return
    table = _table(block)
    kind = table.get("type")
    if kind is not None and kind not in _TEXT_BLOCKS:
        raise _UnboundedError(f"its size in tokens is not told by a part of the kind {str(kind)[:60]!r}")
    for key in _CONTENT_KEYS:
        for inner in _items(table.get(key)):
            _look_at_block(inner)
    if "audio" in table and table["audio"] is not None:
        raise _UnboundedError("it refers to audio of an earlier reply")


def _look_at_gemini(said: dict[str, Any]) -> None:
    for tool in _items(said.get("tools")):
        for name in _table(tool):
            if name not in ("functionDeclarations", "function_declarations"):
                raise _UnboundedError(f"the tool {name[:60]!r} is run by the provider, as often as the model likes")
    system = said.get("systemInstruction") or said.get("system_instruction")
    for content in (*_items(said.get("contents")), system):
        for part in _items(_table(content).get("parts")):
            for name in _table(part):
                if name not in _GEMINI_PARTS:
                    raise _UnboundedError(f"its size in tokens is not told by a part of the kind {name[:60]!r}")
    modalities = _table(said.get("generationConfig")).get("responseModalities")
    if any(str(one).upper() != "TEXT" for one in _items(modalities)):
        raise _UnboundedError("it asks for a reply that is not only text")


def _most_output(api: Api, said: dict[str, Any]) -> int:
    """Tokens of the longest reply that the request allows."""
    if api is Api.OPENAI_EMBEDDINGS:
        return 0
    config = _table(said.get("generationConfig"))
    told = [said.get(key) for key in _LIMITS] + [config.get("maxOutputTokens")]
    limits = [limit for limit in told if isinstance(limit, int) and limit > 0]
    most = max(limits, default=None)
    if most is None or len(limits) < sum(limit is not None for limit in told):
        raise _UnboundedError("it sets no highest number of output tokens (max_tokens or its like)")
    several = config.get("candidateCount") or said.get("n") or 1
    best_of = said.get("best_of") or 1
    choices = max(several, best_of) if isinstance(several, int) and isinstance(best_of, int) else _MOST_CHOICES + 1
    prompts = len(said["prompt"]) if isinstance(said.get("prompt"), list) else 1
    if not 1 <= choices <= _MOST_CHOICES:
        raise _UnboundedError("it asks for an impossible number of alternatives")
    return most * choices * max(1, prompts)


def _items(value: Any) -> list[Any]:
    """The members of a list; a single table counts as one."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
