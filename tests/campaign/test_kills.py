"""kill -9 of everything, under load, at random moments: requests that reached the provider = rows, totals equal."""

import random

import pytest
from campaign.fortress import BLOWS, stopped_database
from campaign.siege import siege
from campaign.sizes import ROUNDS, SEED, tell


@pytest.mark.slow
def test_every_request_that_reached_the_provider_has_one_exact_row_whatever_is_killed(own_data_dir):
    """Blows under load, by chance and at moments by chance; after each round everything is counted.

    Each round has one blow at first, and no blow comes twice before all came once. Later ones have up to three.
    """
    tell(f"CAMPAIGN_SEED={SEED} CAMPAIGN_ROUNDS={ROUNDS}")
    dice = random.Random(SEED)
    first = dice.sample(BLOWS, len(BLOWS))
    with siege(own_data_dir, SEED) as running:
        for number in range(ROUNDS):
            blows = [first.pop()] if first else dice.choices(BLOWS, k=dice.choice((1, 1, 2, 3)))
            tell(f"round {number + 1}, {', '.join(blow.name for blow in blows)}: {running.round(*blows)}")
        running.check_health()
        running.fortress.stop()
        assert running.fortress.leftovers() == []
        with stopped_database(own_data_dir) as dsn:
            running.check_end(dsn)
        tell(f"together: {running.tally}")
