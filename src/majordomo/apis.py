"""The API families that callers speak.

``Api`` says how a request and its reply are to be read; ``Family`` says whose error shape a caller understands.
A provider is something else: many providers speak ``openai``'s APIs.
"""

from enum import StrEnum


class Family(StrEnum):
    """Whose manners an API follows: error shape, headers, SDKs."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class Api(StrEnum):
    """One kind of endpoint. The value is what a journal frame and a metric label carry."""

    OPENAI_CHAT = "openai.chat"
    OPENAI_COMPLETIONS = "openai.completions"
    OPENAI_RESPONSES = "openai.responses"
    OPENAI_RESPONSE = "openai.response"  # one that was made before: fetched, or cancelled
    OPENAI_EMBEDDINGS = "openai.embeddings"
    OPENAI_IMAGES = "openai.images"
    OPENAI_SPEECH = "openai.speech"
    OPENAI_TRANSCRIPTION = "openai.transcription"
    OPENAI_MODERATIONS = "openai.moderations"
    OPENAI_MODELS = "openai.models"
    OPENAI_OTHER = "openai.other"
    ANTHROPIC_MESSAGES = "anthropic.messages"
    ANTHROPIC_COUNT_TOKENS = "anthropic.count_tokens"
    ANTHROPIC_BATCHES = "anthropic.batches"
    ANTHROPIC_BATCH_RESULTS = "anthropic.batch_results"
    ANTHROPIC_MODELS = "anthropic.models"
    ANTHROPIC_OTHER = "anthropic.other"
    GEMINI_GENERATE = "gemini.generate"
    GEMINI_STREAM = "gemini.stream"
    GEMINI_EMBED = "gemini.embed"
    GEMINI_COUNT_TOKENS = "gemini.count_tokens"
    GEMINI_MODELS = "gemini.models"
    GEMINI_OTHER = "gemini.other"

    family: Family
    """Whose error shape and conventions this endpoint follows."""

    def __init__(self, value: str) -> None:
        self.family = Family(value.partition(".")[0])
