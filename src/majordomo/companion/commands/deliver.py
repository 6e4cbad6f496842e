"""``majordomo-companion deliver``: what was recorded on this machine becomes rows of a gateway."""

import argparse
import sys
from collections import Counter

from majordomo.companion import gateway_url
from majordomo.companion.errors import tell
from majordomo.companion.gateway import Gateway, GatewayAway
from majordomo.companion.handover import Handed, HandoverError, hand_over
from majordomo.companion.journal import REFUSED_SUFFIX, journal_dir
from majordomo.companion.order import read_key
from majordomo.companion.process_list import hide_from_process_list
from majordomo.companion.waiting import WaitingJournal, waiting


def parser() -> argparse.ArgumentParser:
    """The command line of ``deliver``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion deliver",
        description="Hand over the requests that were recorded on this machine while the gateway was away: each "
        "becomes one row, of the key that is given, however often this is interrupted and repeated.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--gateway", metavar="URL", default=gateway_url.DEFAULT, help="gateway URL (default: %(default)s)")
    add("--api-key", metavar="KEY", help="Majordomo key, or - for standard input; better in MAJORDOMO_API_KEY")
    add("--api-key-stdin", action="store_true", help="read the key from the first line of standard input")
    add(
        "--all",
        action="store_true",
        help="also what was recorded with --standalone, or for a gateway at another address",
    )
    return made


def run(arguments: list[str]) -> int:
    """Deliver; 0 if nothing that was meant is left.

    Raises:
        GatewayUrlError, GatewayKeyError, CompanionError: nothing was, or no more is, delivered.
    """
    told = parser().parse_args(arguments)
    url = gateway_url.checked(told.gateway)
    key = read_key(told.api_key, from_stdin=told.api_key_stdin)
    hide_from_process_list(key)
    gateway = Gateway(url, key)
    others: Counter[str | None] = Counter()
    good, sessions, requests = True, 0, 0
    for journal in waiting(journal_dir()):
        if not told.all and journal.about.gateway != url:
            others[journal.about.gateway] += 1
            continue
        handed = _deliver(journal, gateway)
        if handed is None:
            good = False
        elif handed.delivered:
            sessions, requests = sessions + 1, requests + handed.delivered
    _say(f"{_counted(requests, 'request')} of {_counted(sessions, 'session')} delivered to {url}")
    for other, count in others.items():
        _say(_left(other, count))
    return 0 if good else 1


def _deliver(journal: WaitingJournal, gateway: Gateway) -> Handed | None:
    """None if it is still here."""
    if not journal.take():
        if journal.folder.exists():
            _say(f"{_name(journal)} is still running, or being delivered by somebody else")
        return Handed(0, 0, True)
    try:
        handed = hand_over(journal, gateway)
    except (GatewayAway, OSError) as wrong:
        raise HandoverError(f"{wrong}; nothing is lost, say it again later") from None
    except HandoverError as wrong:
        tell(f"{_name(journal)}: {wrong}")
        return None
    finally:
        journal.release()
    if handed.refused:
        path = journal.folder.with_name(journal.folder.name + REFUSED_SUFFIX)
        tell(f"{_name(journal)}: {_counted(handed.refused, 'request')} refused by the gateway, kept in {path}")
    return handed


def _left(gateway: str | None, count: int) -> str:
    what = _counted(count, "session")
    if gateway is None:
        return f"{what} recorded with --standalone left here; --all delivers such, too"
    return f"{what} recorded for {gateway} left here; deliver them there with --gateway, or here with --all"


def _name(journal: WaitingJournal) -> str:
    about = journal.about
    shown = about.session_name or about.session_id or str(journal.journal_id)
    return "session " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
