"""How long a campaign is. Short by default; ``make campaign`` makes it long through these variables."""

import os
import secrets
import sys

#: One process or more is killed in each round.
ROUNDS = int(os.environ.get("CAMPAIGN_ROUNDS", "8"))

#: How long PostgreSQL is away (s).
OUTAGE_SECONDS = float(os.environ.get("CAMPAIGN_OUTAGE_SECONDS", "2"))

#: How long memory is watched (s).
SOAK_SECONDS = float(os.environ.get("CAMPAIGN_SOAK_SECONDS", "12"))

#: Random rounds against a budget with room for a part of what is asked.
BUDGET_SEEDS = int(os.environ.get("BUDGET_SEEDS", "3"))

#: Requests of every kind under budgets of every kind.
BUDGET_REQUESTS = int(os.environ.get("BUDGET_REQUESTS", "1500"))

#: What is done, in which order, and when. Printed by each campaign, and shown when one fails.
SEED = int(os.environ.get("CAMPAIGN_SEED", "0")) or secrets.randbelow(10**9)


def tell(line: object) -> None:
    """Say how it goes: seen at once with ``pytest -s``, and with a failure."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
