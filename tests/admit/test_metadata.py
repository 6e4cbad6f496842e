"""Metadata from headers: one spelling per key, within limits, and never a reason to refuse or to stop counting."""

import string

from hypothesis import given
from hypothesis import strategies as st

from majordomo.admit.metadata import MetadataLimits, canonical, collect, text

LIMITS = MetadataLimits(keys=64, key_bytes=255, value_bytes=8192)

names = st.text(string.ascii_letters + string.digits + "-_.", max_size=20).map(lambda s: s.lower().encode())
pairs = st.lists(st.tuples(names, st.binary(max_size=30)), max_size=30)


def test_canonical_names_are_title_case() -> None:
    for spelled in (b"user-id", b"USER-ID", b"User-Id", b"uSeR-iD"):
        assert canonical(spelled) == "User-Id"
    assert canonical(b"feature") == "Feature"
    assert canonical(b"a--b-") == "A--B-"
    assert canonical(b"3d_x.y") == "3d_x.y"


@given(names)
def test_a_canonical_name_is_its_own_and_differs_in_case_alone(name: bytes) -> None:
    once = canonical(name)
    assert canonical(once.encode()) == once
    assert once.lower().encode() == name.lower()


@given(st.binary(max_size=60))
def test_any_value_becomes_text_that_postgresql_holds(value: bytes) -> None:
    made = text(value)
    assert "\0" not in made
    made.encode("utf-8")  # no lone surrogate
    if made == value.decode("utf-8", "ignore"):
        assert made.encode() == value


@given(pairs, st.integers(0, 5), st.integers(1, 15), st.integers(1, 20))
def test_what_is_over_a_limit_is_counted_and_named_and_the_rest_is_kept(
    headers: list[tuple[bytes, bytes]], keys: int, key_bytes: int, value_bytes: int
) -> None:
    found = collect(headers, MetadataLimits(keys, key_bytes, value_bytes))
    kept: dict[str, str] = {}
    dropped = 0
    for name, value in headers:
        fits = 0 < len(name) <= key_bytes and len(value) <= value_bytes
        key = canonical(name)
        if fits and (key in kept or len(kept) < keys):
            kept[key] = text(value)
        else:
            dropped += 1
    assert (found.values, found.dropped) == (kept, dropped)
    assert (found.warning is None) == (dropped == 0)
    if found.warning is not None:
        assert found.warning.isascii()
        assert "\r" not in found.warning
        assert "\n" not in found.warning
        assert len(found.warning) < 700


def test_a_warning_names_a_few_and_counts_the_others() -> None:
    found = collect([(b"k%d" % i, b"x" * 9000) for i in range(12)], LIMITS)
    assert found.warning == "metadata dropped, empty or too long: K0, K1, K2, K3, K4 and 7 more"


def test_a_flood_of_names_does_not_fill_memory() -> None:
    from majordomo.admit import metadata

    for i in range(10_000):
        canonical(b"name-%d" % i)
    assert len(metadata._canonical_names) <= 4096
