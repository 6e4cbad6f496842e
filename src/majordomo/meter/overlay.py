"""The usage of a stream as it goes on: what each piece says is laid over what is known."""

from collections.abc import Mapping
from typing import Any, Final

from majordomo.meter.counts import MAX_COUNT, note
from majordomo.meter.text import NAME_LIMIT

#: Most members that a usage object may come to have in a stream: real ones have a dozen, a hostile one any number.
MEMBERS_MAX: Final = 64

#: Counters of the prompt never fall while a reply streams: a zero that follows a count is an omission, not news.
_PROMPT: Final = frozenset(
    {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"}
    | {"promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount"}
)
_OUTPUT: Final = frozenset({"output_tokens", "web_search_requests"} | {"candidatesTokenCount", "thoughtsTokenCount"})
#: What a table within a usage never holds: further tables grow without bound if they are overlaid for ever.
_BULKY: Final = (dict, list, str)
#: How the names of counts end.
_COUNTS: Final = ("_tokens", "_requests", "TokenCount")


def overlay(usage: dict[str, Any], news: Mapping[str, Any], problems: list[str]) -> None:
    """Lay ``news`` over ``usage``, field by field: the last value that is not null wins, nothing is ever added."""
    for key, value in news.items():
        if value is None:
            continue
        old = usage.get(key)
        if key.endswith(_COUNTS) and (value.__class__ is not int or not 0 <= value <= MAX_COUNT):
            note(problems, "bad_count:" + key if key in _PROMPT or key in _OUTPUT else "bad_count")
        elif value == 0 and old and key in _PROMPT:
            note(problems, "count_fell")
        elif value.__class__ is dict and old.__class__ is dict:
            assert isinstance(old, dict)
            overlay(old, {k: v for k, v in value.items() if v.__class__ not in _BULKY}, problems)
        elif (key in usage or len(usage) < MEMBERS_MAX) and (value.__class__ is not str or len(value) <= NAME_LIMIT):
            usage[key] = value
