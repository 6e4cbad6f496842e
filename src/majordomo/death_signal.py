"""Have the kernel end a process with the one that started it, so that no ``kill -9`` leaves children behind.

Imported by commands that must start fast: nothing but the standard library in here.
"""

import ctypes
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def stop_with_parent(sign: int, parent: int | None = None) -> None:
    """Have the kernel send ``sign`` to this process when the thread that started it ends.

    The link is per thread, so children must be started from a thread that lives as long as the process: the main one.
    ``parent``: the id of the process that should be the parent. If it is already gone, the signal comes at once.
    Linux only. Elsewhere nothing happens: there the supervisor stops its children whenever it can run a signal handler,
    and what a ``kill -9`` leaves is found by its lock and stopped at the next start.
    """
    set_death_signal()(sign)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), sign)


def set_death_signal() -> Callable[[int], None]:
    """The system call as a function that is safe between fork and exec: all look-ups are done beforehand."""
    if not sys.platform.startswith("linux"):
        return lambda sign: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_it(sign: int) -> None:
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(sign), 0, 0, 0)

    return set_it
