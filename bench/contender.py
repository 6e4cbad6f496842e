"""What a contender is, and the one chat completion that every contender forwards."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
INSTALLS = ROOT / "var" / "bench"  # git-ignored: environments of the peers, built programs
CHAT_PATH = "/v1/chat/completions"
CALLER_CREDENTIAL = "Bearer sk-bench-not-a-real-key"

# What the upstream answers: 250 prompt and 120 completion tokens, so that every request costs the same.
PROMPT_TOKENS, COMPLETION_TOKENS = 250, 120
COMPLETION = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Platform spent 412.07 USD, most of it on code review; Legal spent 96.40 USD on "
                    "document review; Support spent 58.12 USD on replies. Source: llm_requests, last calendar month.",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    },
    separators=(",", ":"),
)


@dataclass
class Contender:
    """One running contender: where to send requests, and which of its processes count."""

    name: str
    port: int
    processes: Callable[[], list[psutil.Process]]
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": CALLER_CREDENTIAL})

    @property
    def url(self) -> str:
        """Where chat completions are sent."""
        return f"http://127.0.0.1:{self.port}{CHAT_PATH}"
