"""How much is tried. Short by default; ``make claude-campaign`` makes it long through these variables."""

import os
import secrets

#: Random sessions through the gateway, and as many through the companion.
SESSIONS = int(os.environ.get("CLAUDE_SESSIONS", "4"))

#: How often each model and kind of usage is asked with other numbers.
PRICE_ROUNDS = int(os.environ.get("CLAUDE_PRICE_ROUNDS", "1"))

#: What is asked, answered and broken off, in which order. Printed by each test that draws, and shown when one fails.
SEED = int(os.environ.get("CLAUDE_SEED", "0")) or secrets.randbelow(10**9)

#: How long the agent works on without its gateway (s), two turns at least.
AWAY_SECONDS = float(os.environ.get("CLAUDE_AWAY_SECONDS", "0"))
