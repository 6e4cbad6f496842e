"""The key ring: what it holds after any sequence of changes is what the table would hold."""

from hypothesis import given
from hypothesis import strategies as st

from majordomo.admit.keys import Key, KeyRing

ids = st.integers(0, 4).map(lambda i: bytes([i]) * 16)
hashes = st.integers(0, 6).map(lambda i: f"{i:064x}")
changes = st.lists(st.tuples(st.just("put"), ids, hashes, st.booleans()) | st.tuples(st.just("drop"), ids), max_size=30)


@given(changes)
def test_the_ring_equals_a_table_of_keys_by_id(steps: list[tuple[object, ...]]) -> None:
    ring = KeyRing()
    table: dict[bytes, tuple[str, bool]] = {}
    for step in steps:
        if step[0] == "put":
            _, key_id, key_hash, active = step
            assert isinstance(key_id, bytes)
            assert isinstance(key_hash, str)
            if any(held == key_hash and other != key_id for other, (held, _) in table.items()):
                continue  # the table's unique index does not allow it
            table[key_id] = (key_hash, bool(active))
            ring.put(key_hash, Key(key_id, None, bool(active)))
        else:
            assert isinstance(step[1], bytes)
            table.pop(step[1], None)
            ring.drop(step[1])
        assert dict(ring.items()) == {h: Key(key_id, None, active) for key_id, (h, active) in table.items()}
        assert len(ring) == len(table)


def test_a_rotated_key_loses_its_old_secret_at_once() -> None:
    ring = KeyRing()
    ring.put("old", Key(b"i" * 16, None, True))
    ring.put("new", Key(b"i" * 16, None, True))
    assert ring.get("old") is None
    assert ring.get("new") is not None


def test_replacing_all_keys_forgets_those_that_are_gone() -> None:
    ring = KeyRing()
    ring.put("a", Key(b"a" * 16, None, True))
    ring.replace_all({"b": Key(b"b" * 16, None, True)})
    assert [key_hash for key_hash, _ in ring.items()] == ["b"]
    ring.drop(b"b" * 16)
    assert len(ring) == 0
