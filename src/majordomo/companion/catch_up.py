"""At the end of a session: what was recorded on this machine goes to the gateway, if that is there again."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from majordomo.clock import steady
from majordomo.companion.errors import CompanionError
from majordomo.companion.gateway import Gateway, GatewayAway
from majordomo.companion.handover import hand_over
from majordomo.companion.journal import journal_dir
from majordomo.companion.order import Order
from majordomo.companion.waiting import WaitingJournal, waiting

#: For all of it (s), as somebody waits for the prompt. What is left is delivered another time. A thousand requests take
#: less than half a second.
SECONDS = 3.0


class CaughtUp(NamedTuple):
    """What was delivered."""

    own: int = 0  # requests of this session
    whole: bool = False  # nothing of this session is left here
    refused: int = 0  # put aside
    earlier: int = 0  # requests of sessions before it
    away: bool = False  # the gateway does not answer


def catch_up(order: Order, gateway: Gateway, own: Path | None, *, gateway_serves: bool) -> CaughtUp:
    """Deliver this session's journal and, where the gateway serves, those of earlier ones with the same key.

    Whatever is in the way is no reason to say anything else at the end than that requests wait here. Blocks.
    """
    journals = _mine(order, own) if own is not None or gateway_serves else ()
    found, deadline = CaughtUp(), 0.0
    for journal in journals:
        try:
            if not deadline:
                gateway.require()
                deadline = steady() + SECONDS
            if (left := deadline - steady()) <= 0 or not journal.take():
                continue
            handed = hand_over(journal, gateway, left)
        except GatewayAway:
            return found._replace(away=True)
        except (CompanionError, OSError):
            continue  # a key that is refused, a journal that is another key's: `deliver` says what is the matter
        finally:
            journal.release()
        if journal.folder == own:
            found = found._replace(own=handed.delivered, whole=handed.whole, refused=handed.refused)
        else:
            found = found._replace(earlier=found.earlier + handed.delivered)
    return found


def _mine(order: Order, own: Path | None) -> Iterator[WaitingJournal]:
    """This session's first, then what this key's sessions with this gateway left here."""
    if own is not None:
        yield WaitingJournal(UUID(own.name), own)
    for journal in waiting(journal_dir()):
        about = journal.about
        if journal.folder != own and (about.gateway, about.key_hash) == (order.gateway, order.key_hash):
            yield journal
