"""Which catalogue entry a model id means. Safe rather than clever: ``docs/decisions/model-matching.md``.

The catalogue matches by prefix and substring too, so that ``gemini-3.6-flash-lite``, not yet listed, would be priced as
``gemini-3.6-flash``. Here a match also has to account for every character of the id: what it leaves over must be a
date, a revision, ``preview`` or ``latest``; anything else is an unknown model.
"""

import re
from typing import Any

#: Longest model id that is looked up; published ones stay under 120 characters.
MAX_MODEL_CHARS = 256

#: Longest and only kind of regular expression taken from a catalogue: no repeated groups, which can take for ever.
_MAX_REGEX = 300
_REPEATED_GROUP = re.compile(r"\)[*+{]")

#: What may follow a known name without making it another model.
_DATE = r"[-@](?:20\d\d[01]\d[0-3]\d|20\d\d-[01]\d-[0-3]\d|[01]\d-[0-3]\d|[01]\d-20\d\d|[01]\d[0-3]\d|2\d[01]\d)"
_HARMLESS_TAIL = re.compile(rf"(?:{_DATE}|-00\d|[-@](?:preview|latest)|-v\d:\d)*$")
_FINE_TUNE_TAIL = re.compile(rf"(?:{_DATE})*(?::.*)?$")
_COMPACT_DATE = re.compile(r"-(20\d\d)([01]\d)([0-3]\d)$")


class BadMatchError(ValueError):
    """A match clause of the catalogue is of no known form."""


def check(clause: Any, depth: int = 0) -> None:
    """Check a clause before it is ever used.

    Raises:
        BadMatchError: unknown form, nested too deep, or a regular expression that could run away.
    """
    if not isinstance(clause, dict) or len(clause) != 1 or depth > 8:
        raise BadMatchError(
            f"match clause {clause!r:.80} is not one of or, and, equals, starts_with, ends_with, contains, regex"
        )
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        if not isinstance(value, list) or not value:
            raise BadMatchError(f"match clause {kind!r} holds no list of clauses")
        for inner in value:
            check(inner, depth + 1)
    elif (
        kind not in ("equals", "starts_with", "ends_with", "contains", "regex")
        or not isinstance(value, str)
        or not value
    ):
        raise BadMatchError(f"match clause {kind!r} is unknown or empty")
    elif kind == "regex":
        if len(value) > _MAX_REGEX or _REPEATED_GROUP.search(value):
            raise BadMatchError(f"regular expression {value!r:.80} is too long or repeats a group")
        try:
            re.compile(value)
        except re.error as wrong:
            raise BadMatchError(f"regular expression {value!r:.80}: {wrong}") from None


def matches(clause: dict[str, Any], model: str) -> bool:
    """Whether ``model`` means the entry with this clause, and nothing of it is left unaccounted for."""
    model = model.lower()
    if len(model) > MAX_MODEL_CHARS:
        return False
    if _accounts(clause, model):
        return True
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", model)
    return dashed != model and _accounts(clause, dashed)


def is_revision(listed: str, model: str) -> bool:
    """Whether ``listed`` is ``model`` with nothing but a date behind it: what an alias may turn out to be."""
    listed, model = listed.lower(), model.lower()
    return bool(model) and listed.startswith(model) and _HARMLESS_TAIL.match(listed[len(model) :]) is not None


def _accounts(clause: dict[str, Any], model: str) -> bool:
    ((kind, value),) = clause.items()
    match kind:
        case "or":
            return any(_accounts(inner, model) for inner in value)
        case "and":
            return all(_meets(inner, model) for inner in value) and any(_accounts(inner, model) for inner in value)
        case "equals":
            return model == str(value).lower()
        case "regex":
            found = re.search(value, model)
            return found is not None and found.end() > found.start() and _rest_is_harmless(model, *found.span())
        case "starts_with":
            text = str(value).lower()
            return model.startswith(text) and _rest_is_harmless(model, 0, len(text))
        case "ends_with":
            text = str(value).lower()
            return model.endswith(text) and _rest_is_harmless(model, len(model) - len(text), len(model))
        case _:
            text = str(value).lower()
            start = model.find(text)
            return start >= 0 and _rest_is_harmless(model, start, start + len(text))


def _meets(clause: dict[str, Any], model: str) -> bool:
    """The clause as the catalogue means it, the rest of the id not looked at: for the members of ``and``."""
    ((kind, value),) = clause.items()
    match kind:
        case "or":
            return any(_meets(inner, model) for inner in value)
        case "and":
            return all(_meets(inner, model) for inner in value)
        case "equals":
            return model == str(value).lower()
        case "regex":
            return re.search(value, model) is not None
        case "starts_with":
            return model.startswith(str(value).lower())
        case "ends_with":
            return model.endswith(str(value).lower())
        case _:
            return str(value).lower() in model


def _rest_is_harmless(model: str, start: int, end: int) -> bool:
    if start and model[start - 1] != "/":  # publishers/google/models/NAME is NAME; text-NAME is not
        return False
    if end == len(model) or ".ft-" in model[start:end]:  # NAME.ft-ID is somebody's fine-tune of NAME
        return True
    while end > start and model[end] not in "-@:." and model[end - 1] not in "-@:.":
        end -= 1  # the clause ended within a word or number: judge that word as a whole
    if model[end] not in "-@:.":
        end -= 1
    tail = model[end:]
    if model.startswith("ft:"):
        return _FINE_TUNE_TAIL.match(tail) is not None
    return _HARMLESS_TAIL.match(tail) is not None
