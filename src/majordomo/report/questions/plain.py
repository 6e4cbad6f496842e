"""Answers as plain JSON values. Money becomes text with every digit: a JSON number would be read as a float."""

from decimal import Decimal
from typing import Any

import msgspec


def plain(answer: Any) -> Any:
    """A struct, dict or list of an answer as dicts, lists, text and numbers."""
    return _texts(msgspec.to_builtins(answer, builtin_types=(Decimal,)))


def exact(amount: Decimal) -> str:
    """All digits of an amount, without exponent and without trailing zeros behind the point."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def exact_double(amount: float) -> str:
    """A double as the shortest decimal that means it, without exponent."""
    return exact(Decimal(repr(amount)))


def _texts(value: Any) -> Any:
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, dict):
        return {name: _texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_texts(inner) for inner in value]
    return value
