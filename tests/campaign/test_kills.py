"""kill -9 of everything, under load, at random moments: requests that reached the provider = rows, totals equal."""

import random

import pytest
from campaign.fortress import BLOWS, stopped_database
from campaign.siege import siege
from campaign.sizes import ROUNDS, SEED, tell


@pytest.mark.slow
def test_every_request_that_reached_the_provider_has_one_exact_row_whatever_is_killed(own_data_dir):
    """Each round has one blow and an audit; every blow comes once, in an order by chance, before one comes again."""
    tell(f"CAMPAIGN_SEED={SEED} CAMPAIGN_ROUNDS={ROUNDS}")
    with siege(own_data_dir, SEED) as running:
        blows: list[str] = []
        for number in range(ROUNDS):
            blows = blows or random.Random(SEED + number).sample(sorted(BLOWS), len(BLOWS))
            name = blows.pop()
            tell(f"round {number + 1}, {name}: {running.round(name)}")
        running.check_health()
        running.fortress.stop()
        assert running.fortress.leftovers() == []
        with stopped_database(own_data_dir) as dsn:
            running.check_end(dsn)
        tell(f"together: {running.tally}")
