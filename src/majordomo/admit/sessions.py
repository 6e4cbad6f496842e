"""Whose Claude Code sessions are, in memory, so that a caller can be told at once that the one it names is ignored.

This decides nothing: the writer does, when the row is stored. What is not known here is asked for in the background
while the provider works, and costs at most the warning.
"""

from collections.abc import Callable

from majordomo.clock import SteadyClock, steady

#: Sessions remembered, those met longest ago let go first: some 4 MB. Their owners never change, so none grows stale.
MOST_SESSIONS = 20_000

#: Sessions asked about at one time. A flood of invented ones is not worth more queries; their warnings stay out.
MOST_WANTED = 1000

#: How long a session that does not exist is not asked about again (s): its first request makes it, and that is told.
_MISS_SECONDS = 2.0
_MISSES_KEPT = 4096

BAD_SESSION = "session ignored, {header} is not a UUID"
FOREIGN_SESSION = "session ignored, it belongs to another gateway key"


class SessionOwners:
    """The keys of sessions by their ids, 16 bytes each."""

    __slots__ = ("_clock", "_missed", "_owners", "_wake", "_wanted")

    def __init__(self, clock: SteadyClock = steady) -> None:
        self._clock = clock
        self._owners: dict[bytes, bytes] = {}
        self._missed: dict[bytes, float] = {}
        self._wanted: set[bytes] = set()
        self._wake: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._owners)

    def answered_by(self, wake: Callable[[], None]) -> None:
        """From now on somebody looks up what is wanted; ``wake`` tells that there is something."""
        self._wake = wake

    def is_foreign(self, session: bytes, key_id: bytes) -> bool:
        """Whether the session is known to belong to another key."""
        owner = self._owners.get(session)
        return owner is not None and owner != key_id

    def meet(self, session: bytes) -> None:
        """A request names this session: have its owner looked up, unless it is known. Never waits."""
        owner = self._owners.pop(session, None)
        if owner is not None:
            self._owners[session] = owner  # the one met last
            return
        if self._wake is None or session in self._wanted or len(self._wanted) >= MOST_WANTED:
            return
        missed = self._missed.get(session)
        if missed is not None and self._clock() - missed < _MISS_SECONDS:
            return
        self._wanted.add(session)
        if len(self._wanted) == 1:
            self._wake()

    def put(self, session: bytes, key_id: bytes) -> None:
        """A session exists, and this key owns it."""
        self._missed.pop(session, None)
        if session not in self._owners and len(self._owners) >= MOST_SESSIONS:
            del self._owners[next(iter(self._owners))]
        self._owners[session] = key_id

    def take_wanted(self) -> list[bytes]:
        """What is to be looked up, once."""
        wanted, self._wanted = list(self._wanted), set()
        return wanted

    def missed(self, sessions: list[bytes]) -> None:
        """These were looked up and do not exist yet."""
        if len(self._missed) + len(sessions) > _MISSES_KEPT:
            self._missed.clear()
        now = self._clock()
        self._missed.update(dict.fromkeys(sessions, now))
