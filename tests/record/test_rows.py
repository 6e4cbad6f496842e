"""A request as a line of COPY."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.price.bill import usd
from majordomo.record.rows import COLUMNS, line, lost, normalised, stamp, usd_text
from majordomo.record.safe_text import array_cell, cell, safe, text_array


@given(st.integers(-(10**40), 10**40))
def test_money_is_written_exactly(femto):
    """The text of an amount is the decimal that ``usd`` gives, without trailing zeros."""
    text = usd_text(femto)
    assert Decimal(text) == usd(femto) if abs(femto) < 10**27 else True
    assert int(Decimal(text) * 1).__class__ is int
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("femto", "text"),
    [(0, "0"), (1, "0.000000000000001"), (37_500_000, "0.0000000375"), (10**15, "1"), (1_500_000_000_000_000, "1.5")],
)
def test_money_by_example(femto, text):
    """One cached token at 0.0375 USD a million keeps all its decimals."""
    assert usd_text(femto) == text


def test_a_line_has_as_many_fields_as_there_are_columns(made):
    """A completed and a lost request both fill every column."""
    opening = made.opening()
    for finished in (normalised(opening, made.close(opening)), normalised(*lost(made.opening()))):
        assert line(finished, frozenset()).count("\t") == len(COLUMNS) - 1


@given(st.text(max_size=300), st.integers(1, 200))
def test_any_text_becomes_one_safe_field(text, limit):
    """Whatever a caller sends stays within its column, its line, and what PostgreSQL can store."""
    kept = safe(text, limit)
    assert len(kept) <= limit
    assert "\x00" not in kept
    kept.encode()
    field = cell(text, limit)
    assert not set("\t\n\r") & set(field)
    assert field.replace("\\\\", "").count("\\") == sum(kept.count(character) for character in "\t\n\r")


def test_lone_surrogates_are_replaced():
    """Half a surrogate pair cannot be stored, so it is not kept."""
    assert safe("a\ud800b\x00", 10).encode().decode().startswith("a")
    assert "\ud800" not in safe("a\ud800b", 10)


def test_arrays_quote_what_they_hold():
    """Quotes, backslashes, commas and empty elements stay inside their element."""
    assert text_array(()) == "{}"
    assert text_array(("",)) == '{""}'
    assert text_array(('a"b', "c\\d", "e,f", "")) == '{"a\\"b","c\\\\d","e,f",""}'
    assert array_cell(("a\\b",), 10) == '{"a\\\\\\\\b"}'


@pytest.mark.parametrize("wall_us", [0, 1, 1_763_726_400_123_456, 2**62, -5])
def test_any_clock_gives_a_time_that_postgresql_reads(wall_us):
    """A clock that is off by millennia gives a far date, not an error."""
    assert stamp(wall_us).endswith("+00")
