"""PostgreSQL away for a while, up to a minute: callers do not notice, and everything is there afterwards."""

import time

import pytest
from campaign.fortress import Plan, freeze
from campaign.siege import siege
from campaign.sizes import OUTAGE_SECONDS, SEED, tell

from majordomo.record import embedded


@pytest.mark.slow
def test_an_outage_of_postgresql_costs_no_caller_anything_and_no_row(external_postgres, short_tmp):
    """Stopped, frozen, and stopped again while the gateway itself is killed and stopped, all under load.

    In the last outage its processes start without a database, and know the keys from the copy on the disk.
    """
    tell(f"CAMPAIGN_SEED={SEED} CAMPAIGN_OUTAGE_SECONDS={OUTAGE_SECONDS}")

    def stop_for_a_while(gateway, dice):
        external_postgres.stop()
        time.sleep(OUTAGE_SECONDS)
        embedded.start(external_postgres, lambda line: None)

    def freeze_for_a_while(gateway, dice):
        freeze(external_postgres.process.pid, OUTAGE_SECONDS)

    def stop_and_strike(gateway, dice):
        external_postgres.process.kill()
        external_postgres.process.wait()
        for blow in (lambda: gateway.kill("front desk 1"), lambda: gateway.kill("back office"), gateway.restart):
            time.sleep(OUTAGE_SECONDS / 8)
            blow()
        time.sleep(OUTAGE_SECONDS / 4)
        embedded.start(external_postgres, lambda line: None)

    data_dir = short_tmp / "gateway"
    data_dir.mkdir()
    with siege(data_dir, SEED, database_url=external_postgres.dsn()) as running:
        tell(running.round(Plan("PostgreSQL stopped", stop_for_a_while)))
        tell(running.round(Plan("PostgreSQL frozen", freeze_for_a_while)))
        tell(running.round(Plan("PostgreSQL killed, and more", stop_and_strike, loses=True, refuses=True)))
        running.check_health()
        running.fortress.stop()
        assert running.fortress.leftovers() == []
        running.check_end(external_postgres.dsn())
