"""Bills worked out by hand: what a scripted provider says was used, and what the row must say it cost.

Rates are the providers' published ones in USD per million tokens, written out in each comment with the arithmetic.
Nothing here is computed: a literal that is wrong is wrong for all to see. Columns that are not named are not checked.
"""

from decimal import Decimal
from typing import Any

import msgspec


class Case(msgspec.Struct, frozen=True):
    """One reply and the row that it must become."""

    model: str  # asked for
    script: dict[str, Any]  # for the scripted provider
    row: dict[str, Any]  # columns of llm_requests


def usd(text: str) -> Decimal:
    """An amount of USD."""
    return Decimal(text)


# gpt-4o: input 2.50, cached 1.25, output 10.00
#   uncached 1203 - 1024 = 179 x 2.50 = 447.50      cached 1024 x 1.25 = 1280      output 77 x 10 = 770
#   447.50 + 1280 + 770 = 2497.50 millionths
CHAT_CACHED = Case(
    "gpt-4o",
    {
        "usage": {
            "prompt_tokens": 1203,
            "completion_tokens": 77,
            "total_tokens": 1280,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
    },
    {
        "provider": "openai",
        "model": "gpt-4o",
        "requested_model": "gpt-4o",
        "input_tokens": 1203,
        "output_tokens": 77,
        "cached_tokens": 1024,
        "prompt_tokens": 1203,
        "input_cost": usd("0.0004475"),
        "cache_read_cost": usd("0.00128"),
        "cache_creation_cost": usd("0"),
        "output_cost": usd("0.00077"),
        "tool_cost": usd("0"),
        "total_cost": usd("0.0024975"),
        "model_alias_found": True,
    },
)

# gpt-5.6-sol since 2026-08-21: input 4.00, cached 0.40, cache write 5.00, output 20.00 (prompt of at most 272,000)
#   uncached 5000 - 2048 - 1000 = 1952 x 4 = 7808   cached 2048 x 0.40 = 819.20   written 1000 x 5 = 5000
#   output 640 (512 of it reasoning) x 20 = 12800   sum 26427.20 millionths
CHAT_REASONING = Case(
    "gpt-5.6-sol",
    {
        "usage": {
            "prompt_tokens": 5000,
            "completion_tokens": 640,
            "total_tokens": 5640,
            "prompt_tokens_details": {"cached_tokens": 2048, "cache_write_tokens": 1000},
            "completion_tokens_details": {"reasoning_tokens": 512},
        }
    },
    {
        "input_tokens": 5000,
        "output_tokens": 640,
        "cached_tokens": 2048,
        "cache_creation_tokens": 1000,
        "reasoning_tokens": 512,
        "prompt_tokens": 5000,
        "input_cost": usd("0.007808"),
        "cache_read_cost": usd("0.0008192"),
        "cache_creation_cost": usd("0.005"),
        "output_cost": usd("0.0128"),
        "total_cost": usd("0.0264272"),
    },
)

# gpt-4o calling a tool: 88 x 2.50 = 220   17 x 10 = 170   sum 390 millionths
CHAT_TOOL = Case(
    "gpt-4o",
    {
        "tools": [{"name": "get_weather", "input": {"city": "Paris"}}],
        "usage": {"prompt_tokens": 88, "completion_tokens": 17, "total_tokens": 105},
    },
    {
        "input_tokens": 88,
        "output_tokens": 17,
        "input_cost": usd("0.00022"),
        "output_cost": usd("0.00017"),
        "total_cost": usd("0.00039"),
    },
)

# gpt-5: input 1.25, cached 0.125, output 10.00; web search 10.00 per thousand calls
#   uncached 3001 - 2944 = 57 x 1.25 = 71.25   cached 2944 x 0.125 = 368   output 1234 (1088 reasoning) x 10 = 12340
#   2 searches x 0.01 = 20000                   sum 32779.25 millionths
RESPONSES_SEARCH = Case(
    "gpt-5",
    {
        "web_searches": 2,
        "thinking": "Let me look.",
        "usage": {
            "input_tokens": 3001,
            "input_tokens_details": {"cached_tokens": 2944},
            "output_tokens": 1234,
            "output_tokens_details": {"reasoning_tokens": 1088},
            "total_tokens": 4235,
        },
    },
    {
        "input_tokens": 3001,
        "output_tokens": 1234,
        "cached_tokens": 2944,
        "reasoning_tokens": 1088,
        "prompt_tokens": 3001,
        "input_cost": usd("0.00007125"),
        "cache_read_cost": usd("0.000368"),
        "output_cost": usd("0.01234"),
        "tool_cost": usd("0.02"),
        "total_cost": usd("0.03277925"),
    },
)

# text-embedding-3-small: 0.02.   8 x 0.02 = 0.16 millionths
EMBEDDING = Case(
    "text-embedding-3-small",
    {"usage": {"prompt_tokens": 8, "total_tokens": 8}},
    {"input_tokens": 8, "prompt_tokens": 8, "input_cost": usd("0.00000016"), "total_cost": usd("0.00000016")},
)

# gpt-3.5-turbo-instruct: input 1.50, output 2.00.   13 x 1.50 = 19.50   7 x 2 = 14   sum 33.50 millionths
COMPLETION = Case(
    "gpt-3.5-turbo-instruct",
    {"usage": {"prompt_tokens": 13, "completion_tokens": 7, "total_tokens": 20}},
    {
        "input_tokens": 13,
        "output_tokens": 7,
        "input_cost": usd("0.0000195"),
        "output_cost": usd("0.000014"),
        "total_cost": usd("0.0000335"),
    },
)

# gpt-image-1: text in 5.00, picture in 10.00, picture out 40.00
#   20 x 5 = 100   40 x 10 = 400   1056 x 40 = 42240   sum 42740 millionths
IMAGE = Case(
    "gpt-image-1",
    {
        "usage": {
            "input_tokens": 60,
            "input_tokens_details": {"text_tokens": 20, "image_tokens": 40},
            "output_tokens": 1056,
            "total_tokens": 1116,
        }
    },
    {
        "input_tokens": 60,
        "output_tokens": 1056,
        "input_cost": usd("0.0005"),
        "output_cost": usd("0.04224"),
        "total_cost": usd("0.04274"),
    },
)

# tts-1: 15.00 per million characters.   "Hello, world" has 12: 12 x 15 = 180 millionths
SPEECH_TEXT = "Hello, world"
SPEECH = Case("tts-1", {}, {"input_cost": usd("0.00018"), "total_cost": usd("0.00018")})

# gpt-4o-transcribe: text in 2.50, audio in 6.00, text out 10.00
#   10 x 2.50 = 25   90 x 6 = 540   30 x 10 = 300   sum 865 millionths
TRANSCRIPTION = Case(
    "gpt-4o-transcribe",
    {
        "usage": {
            "type": "tokens",
            "input_tokens": 100,
            "input_token_details": {"text_tokens": 10, "audio_tokens": 90},
            "output_tokens": 30,
            "total_tokens": 130,
        }
    },
    {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_cost": usd("0.000565"),
        "output_cost": usd("0.0003"),
        "total_cost": usd("0.000865"),
    },
)

# whisper-1: 0.36 an hour, 0.0001 a second.   7 seconds = 0.0007
TRANSCRIPTION_BY_TIME = Case(
    "whisper-1",
    {"usage": {"type": "duration", "seconds": 7}},
    {"input_cost": usd("0.0007"), "total_cost": usd("0.0007")},
)

# claude-opus-4-8: input 5.00, cache read 0.50, write 5 min 6.25, write 1 h 10.00, output 25.00, search 10.00 a thousand
#   21 x 5 = 105   18000 x 0.50 = 9000   1000 x 6.25 + 2000 x 10 = 26250   393 x 25 = 9825   2 searches = 20000
#   sum 65180 millionths
MESSAGE_CACHED = Case(
    "claude-opus-4-8",
    {
        "thinking": "Let me think.",
        "web_searches": 2,
        "tools": [{"name": "get_weather", "input": {"city": "Paris"}}],
        "usage": {
            "input_tokens": 21,
            "cache_creation_input_tokens": 3000,
            "cache_read_input_tokens": 18000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
            "output_tokens": 393,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            "service_tier": "standard",
            "inference_geo": "not_available",
        },
    },
    {
        "provider": "anthropic",
        "model": "claude-opus-4-8",
        "input_tokens": 21,
        "output_tokens": 393,
        "cached_tokens": 18000,
        "cache_creation_tokens": 3000,
        "cache_creation_5m_tokens": 1000,
        "cache_creation_1h_tokens": 2000,
        "prompt_tokens": 21021,
        "input_cost": usd("0.000105"),
        "cache_read_cost": usd("0.009"),
        "cache_creation_cost": usd("0.02625"),
        "output_cost": usd("0.009825"),
        "tool_cost": usd("0.02"),
        "total_cost": usd("0.06518"),
    },
)

# claude-opus-4-8 kept in the US: every token rate x 1.1
#   1000 x 5 x 1.1 = 5500   100 x 25 x 1.1 = 2750   sum 8250 millionths
MESSAGE_US = Case(
    "claude-opus-4-8",
    {"usage": {"input_tokens": 1000, "output_tokens": 100, "service_tier": "standard", "inference_geo": "us"}},
    {
        "input_tokens": 1000,
        "output_tokens": 100,
        "input_cost": usd("0.0055"),
        "output_cost": usd("0.00275"),
        "total_cost": usd("0.00825"),
    },
)

# claude-haiku-4-5: input 1.00, output 5.00.   999 x 1 = 999   111 x 5 = 555   sum 1554 millionths
MESSAGE_PLAIN = Case(
    "claude-haiku-4-5-20251001",
    {"usage": {"input_tokens": 999, "output_tokens": 111, "service_tier": "standard"}},
    {
        "input_tokens": 999,
        "output_tokens": 111,
        "input_cost": usd("0.000999"),
        "output_cost": usd("0.000555"),
        "total_cost": usd("0.001554"),
    },
)

# gemini-2.5-pro, prompt of at most 200,000: input 1.25, cached 0.125, output 10.00; thoughts are output, tool use input
#   5000 - 4000 + 50 = 1050 x 1.25 = 1312.50   4000 x 0.125 = 500   300 + 700 = 1000 x 10 = 10000
#   sum 11812.50 millionths
GEMINI_THINKING = Case(
    "gemini-2.5-pro",
    {
        "usage": {
            "promptTokenCount": 5000,
            "cachedContentTokenCount": 4000,
            "candidatesTokenCount": 300,
            "thoughtsTokenCount": 700,
            "toolUsePromptTokenCount": 50,
            "totalTokenCount": 6050,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5000}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4000}],
        }
    },
    {
        "provider": "gemini",
        "model": "gemini-2.5-pro",
        "input_tokens": 5000,  # promptTokenCount, the provider's own number
        "prompt_tokens": 5050,  # and what the tools put in
        "output_tokens": 1000,
        "cached_tokens": 4000,
        "reasoning_tokens": 700,
        "input_cost": usd("0.0013125"),
        "cache_read_cost": usd("0.0005"),
        "output_cost": usd("0.01"),
        "total_cost": usd("0.0118125"),
    },
)

# gemini-2.5-pro, prompt over 200,000: input 2.50, output 15.00, for all of it
#   200001 x 2.50 = 500002.50   10 x 15 = 150   sum 500152.50 millionths
GEMINI_LONG = Case(
    "gemini-2.5-pro",
    {"usage": {"promptTokenCount": 200001, "candidatesTokenCount": 10, "totalTokenCount": 200011}},
    {
        "input_tokens": 200001,
        "output_tokens": 10,
        "input_cost": usd("0.5000025"),
        "output_cost": usd("0.00015"),
        "total_cost": usd("0.5001525"),
    },
)

# Llama 3.3 70B Turbo at Together: input and output 0.88.   100 x 0.88 = 88   50 x 0.88 = 44   sum 132 millionths
TOGETHER = Case(
    "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    {"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}},
    {
        "provider": "together",
        "input_tokens": 100,
        "output_tokens": 50,
        "input_cost": usd("0.000088"),
        "output_cost": usd("0.000044"),
        "total_cost": usd("0.000132"),
    },
)
