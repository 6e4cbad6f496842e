"""The demo's traffic: the same calls for the same seed, sent by a few callers at a time."""

import collections
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

from majordomo.demo.call import Call, Sent
from majordomo.demo.cast import HABITS, TROUBLES, any_call, trouble
from majordomo.demo.coding_session import coding_session

#: Single calls and Claude Code sessions in the first batch: enough for every report to show something.
FIRST_CALLS = 90
FIRST_SESSIONS = 6

#: Callers at one time.
CALLERS = 8

#: Of the trickle, one in so many steps is a Claude Code session.
SESSION_EVERY = 12

#: Seconds between two steps of the trickle.
TRICKLE_SECONDS = 1.5

#: A chain of calls that must follow one another: one call, or a session.
Chain = list[Call]


class Traffic:
    """What is sent, in an order that the seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a play, not a secret

    def first_batch(self) -> list[Chain]:
        """A little of everything: each habit and each trouble at least once, and somebody who hangs up."""
        chains = [[any_call(self._random)] for _ in range(FIRST_CALLS)]
        chains += [[habit(self._random)] for habit, _ in HABITS]
        chains += [[trouble(self._random, kind)] for kind in TROUBLES]
        chains += [list(coding_session(self._random)) for _ in range(FIRST_SESSIONS)]
        chains.append([self._a_hang_up()])
        self._random.shuffle(chains)
        return chains

    def trickle(self) -> Iterator[Chain]:
        """Calls without end."""
        while True:
            if self._random.randrange(SESSION_EVERY) == 0:
                yield list(coding_session(self._random))
            else:
                yield [any_call(self._random)]

    def _a_hang_up(self) -> Call:
        while not (call := any_call(self._random)).hang_up:
            continue
        return call


def send_all(chains: list[Chain], url: str, key: str, done: Callable[[Sent], None]) -> collections.Counter[int]:
    """Send every chain, a few at a time, and count the statuses. ``done`` hears of each call, from any thread."""
    counts: collections.Counter[int] = collections.Counter()
    lock = threading.Lock()
    stop = threading.Event()

    def run(chain: Chain) -> None:
        for call in chain:
            if stop.is_set():
                return
            sent = call.send(url, key)
            with lock:
                counts[sent.status] += 1
            done(sent)

    with ThreadPoolExecutor(CALLERS, thread_name_prefix="demo-caller") as callers:
        try:
            for finished in [callers.submit(run, chain) for chain in chains]:
                finished.result()
        except BaseException:
            stop.set()  # Ctrl-C: let the calls under way end, start no more
            callers.shutdown(cancel_futures=True)
            raise
    return counts
