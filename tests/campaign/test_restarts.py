"""Stopping under load: what runs is finished, what is new is refused, and nothing of it is missing afterwards."""

import pytest
from campaign.callers import Mix
from campaign.fortress import RESTART
from campaign.siege import siege
from campaign.sizes import ROUNDS, SEED, tell

#: Long replies, many of them to callers who take megabytes slowly: most have to be waited for.
LONG = Mix(
    leaves=4, breaks=0, errors=0, slow=40, big=10, stream=80, events=(10, 40), event_ms=(10, 60), slow_bytes=1_500_000
)

MOST_ROUNDS = 12


@pytest.mark.slow
def test_running_requests_finish_and_none_is_lost_when_serve_is_stopped_and_started_again(own_data_dir):
    """SIGTERM: every request that has reached the provider comes back whole; the others are told to come again."""
    tell(f"CAMPAIGN_SEED={SEED}")
    with siege(own_data_dir, SEED, mix=LONG) as running:
        rounds = 0
        # Whether a kept connection asks in the moment between is chance: one restart in five or so refuses nobody.
        while rounds < max(1, ROUNDS // 10) or (rounds < MOST_ROUNDS and not running.tally.seen["refused"]):
            tell(running.round(RESTART, before=1.5))
            rounds += 1
        assert running.tally.outcomes["lost"] == 0
        assert running.tally.outcomes["gateway_stopped"] == 0
        assert running.tally.seen["refused"] > 0
        running.fortress.stop()
        assert running.fortress.leftovers() == []
