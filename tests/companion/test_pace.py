"""The burn rate in the terminal's title: of the last minutes."""

from majordomo.companion.pace import OVER_SECONDS, Pace


def test_a_run_that_has_just_begun_is_measured_from_its_beginning() -> None:
    assert Pace(100.0).per_hour(10, 160.0) == 600.0
    assert Pace(100.0).per_hour(10, 100.0) == 36_000.0  # never over less than a second


def test_what_was_used_long_ago_is_forgotten() -> None:
    pace = Pace(0.0)
    for second in range(3, 3600, 3):
        steady = pace.per_hour(second, float(second))
        assert abs(steady - 3600) < 1, second
    used = 3600
    late = [pace.per_hour(used, 3600.0 + second) for second in range(0, int(2 * OVER_SECONDS), 3)]
    assert late == sorted(late, reverse=True)
    assert late[-1] == 0
