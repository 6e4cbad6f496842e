"""A key that was given on the command line, made unreadable in the process list."""

import ctypes
import sys
from pathlib import Path

# Fields of /proc/self/stat behind the process's name, which may hold spaces: proc(5) numbers them from 1.
_ARG_START, _ARG_END = 48 - 3, 49 - 3


def hide_from_process_list(secret: str) -> None:
    """Overwrite ``secret`` where the kernel reads this process's arguments. Linux only; elsewhere nothing happens.

    A moment remains in which it could be read: the environment and standard input have none.
    """
    if not secret or not sys.platform.startswith("linux"):
        return
    try:
        arguments = Path("/proc/self/cmdline").read_bytes()
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, ValueError, IndexError):
        return
    hidden = secret.encode()
    if end - start != len(arguments) or hidden not in arguments or ctypes.string_at(start, end - start) != arguments:
        return
    at = arguments.find(hidden)
    while at >= 0:
        ctypes.memset(start + at, ord("*"), len(hidden))
        at = arguments.find(hidden, at + len(hidden))
