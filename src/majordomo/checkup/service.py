"""The running service as it sees itself, and what it left on the disk when it does not run."""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from majordomo.checkup.finding import Finding, State, fail, ok, warn
from majordomo.places import Places
from majordomo.price import feed
from majordomo.price.store import newest
from majordomo.record.dead_letter import dead_letters
from majordomo.record.segments import journal_folders, segment_numbers, segment_path
from majordomo.settings import Settings
from majordomo.supervisor import Status, read_status

#: One answer of a healthy gateway takes milliseconds.
_PATIENCE = 5.0

#: Prices older than this (days) may miss new models and changed rates.
STALE_PRICE_DAYS = 7
STALE_PACKAGED_DAYS = 90

#: A restart now and then is what a supervisor is for; more is a sign.
MANY_RESTARTS = 3

_STATES = {"ok": State.OK, "degraded": State.WARN, "down": State.FAIL}

_ADVICE = {
    "database": "see the findings on the database; requests wait in the journal until it is back",
    "journal": "see the findings on the database, disk space and dead letters, and the back office's log lines",
    "prices": "run `majordomo prices refresh` and see what it says",
    "front_desks": "see the front desks' log lines; `kill` one that hangs, and it is started again",
}


def service(settings: Settings) -> Iterator[Finding]:
    """The processes, and what the gateway says of its parts."""
    status = read_status(Places(settings.data_dir))
    if status is None:
        yield ok("gateway", "not running; `majordomo serve` starts it")
        return
    restless = [process for process in status.processes if process.restarts > MANY_RESTARTS]
    waiting = [process.name for process in status.processes if process.state == "waiting"]
    if waiting:
        yield fail("gateway", f"{', '.join(waiting)} fell and will be started again", "its last log lines say why")
    for process in restless:
        yield warn(
            "gateway", f"{process.name} was restarted {process.restarts} times", "its log lines say why it stopped"
        )
    if not waiting and not restless:
        yield ok("gateway", f"running as process {status.pid}, {len(status.processes)} processes below it")
    yield from _parts(status)


def _parts(status: Status) -> Iterator[Finding]:
    answer = _get(status.host, status.port, "/readyz")
    if answer is None:
        yield fail(
            "gateway",
            f"http://{status.host}:{status.port}/readyz does not answer",
            "see the log lines of the front desks and the back office; restart majordomo if they say nothing",
        )
        return
    for name, part in (answer.get("parts") or {}).items():
        state = _STATES.get(str(part.get("state")), State.WARN)
        advice = "" if state is State.OK else _ADVICE.get(name, "see the log lines")
        yield Finding(name.replace("_", " "), state, str(part.get("note", "")), advice)


def _get(host: str, port: int, path: str) -> dict[str, Any] | None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        answer = msgspec.json.decode(connection.getresponse().read(1024 * 1024))
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None


def journals(settings: Settings) -> Iterator[Finding]:
    """What a stopped gateway has not brought into the database yet."""
    places = Places(settings.data_dir)
    if read_status(places) is not None:
        return  # a running one says more itself
    waiting = 0
    try:
        for _, folder in journal_folders(places.journal_dir):
            waiting += sum(segment_path(folder, number).stat().st_size for number in segment_numbers(folder))
    except OSError as wrong:
        yield fail(
            "journal",
            f"{places.journal_dir} cannot be read: {wrong.strerror}",
            "run this as the user who runs majordomo",
        )
        return
    if waiting:
        yield warn(
            "journal",
            f"up to {waiting / 1024:.0f} KB of recorded requests may not be in the database yet",
            "start `majordomo serve`: it brings them in, each once",
        )
    else:
        yield ok("journal", "nothing waits")


def letters(settings: Settings) -> Iterator[Finding]:
    """Rows that PostgreSQL refused."""
    folder = Places(settings.data_dir).dead_letter_dir
    try:
        found = list(dead_letters(folder)) if folder.is_dir() else []
    except OSError as wrong:
        yield fail(
            "dead letters", f"{folder} cannot be read: {wrong.strerror}", "run this as the user who runs majordomo"
        )
        return
    if found:
        yield warn(
            "dead letters",
            f"the database refused {len(found)} rows, the last at {found[-1].at}: {found[-1].reason}",
            f"each stands in {folder} with its reason; report it if it is not your own change to the schema, "
            f"and move the files away when done",
        )
    else:
        yield ok("dead letters", "none")


def prices(settings: Settings, now: datetime | None = None) -> Iterator[Finding]:
    """How old the prices are."""
    prices_dir = Places(settings.data_dir).prices_dir
    used = newest(prices_dir)
    confirmed = feed.read_status(prices_dir).succeeded  # the feed was read and had nothing new
    age = ((now or datetime.now(UTC)) - max(used.dated, confirmed or used.dated)).days
    told = f"dated {used.dated:%Y-%m-%d}"
    if not settings.price_feed:
        if age > STALE_PACKAGED_DAYS:
            yield warn(
                "prices", f"{told}, {age} days old; the feed is switched off", "upgrade majordomo, or set price_feed"
            )
        else:
            yield ok("prices", f"{told}; the feed is switched off")
    elif age > STALE_PRICE_DAYS:
        yield warn(
            "prices",
            f"{told}, {age} days old: new models and changed rates may be missing",
            "run `majordomo prices refresh`; if that fails, see whether the feed's address can be reached from here",
        )
    else:
        yield ok("prices", told)
