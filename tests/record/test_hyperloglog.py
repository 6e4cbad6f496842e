"""The sketch counts like a reference implementation, and merges."""

import random

import datasketches
import pytest

from majordomo.record.hyperloglog import PRECISION, RELATIVE_ERROR, HyperLogLog, SketchError


@pytest.mark.parametrize("count", [0, 1, 2, 10, 100, 1000, 3000, 10_000, 12_000, 60_000])
def test_estimates_are_within_the_theoretical_error(count):
    """At every size the estimate is within four standard errors of the truth, and of datasketches' estimate."""
    sketch = HyperLogLog()
    reference = datasketches.hll_sketch(PRECISION, datasketches.tgt_hll_type.HLL_8)
    for number in range(count):
        sketch.add(f"user-{number}")
        reference.update(f"user-{number}")
    assert abs(sketch.estimate() - count) <= max(1 if count < 100 else 3, 4 * RELATIVE_ERROR * count)
    assert abs(sketch.estimate() - reference.get_estimate()) <= max(3, 8 * RELATIVE_ERROR * count)


def test_estimates_are_not_biased():
    """Over many sets of one size the mean error is far below the error of one."""
    errors = []
    for trial in range(60):
        sketch = HyperLogLog()
        for number in range(2500):
            sketch.add(f"{trial}-{number}")
        errors.append(sketch.estimate() / 2500 - 1)
    assert abs(sum(errors) / len(errors)) < 4 * RELATIVE_ERROR / 60**0.5


def test_merging_equals_having_seen_both():
    """Sketches of two replicas, merged in either order, are the sketch of all values."""
    dice = random.Random(3)
    left, right, both = HyperLogLog(), HyperLogLog(), HyperLogLog()
    for _ in range(5000):
        value = str(dice.randrange(4000))
        (left if dice.random() < 0.5 else right).add(value)
        both.add(value)
    there, back = HyperLogLog.from_bytes(left.to_bytes()), HyperLogLog.from_bytes(right.to_bytes())
    there.merge(right)
    back.merge(left)
    assert there.to_bytes() == back.to_bytes() == both.to_bytes()


def test_add_says_whether_it_changed_anything():
    """A value seen before never changes the sketch."""
    sketch = HyperLogLog()
    assert sketch.add("a") is True
    assert sketch.add("a") is False


@pytest.mark.parametrize("state", [b"", b"\x01", b"\x02\x0c" + bytes(4096), b"\x01\x0b" + bytes(4096), bytes(4098)])
def test_other_bytes_are_no_sketch(state):
    """Another version, precision or length is refused, not misread."""
    with pytest.raises(SketchError):
        HyperLogLog.from_bytes(state)
