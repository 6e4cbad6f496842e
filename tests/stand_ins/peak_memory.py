"""Runs ``majordomo`` with the arguments given and tells its own peak of resident memory (KiB) on standard error."""

import re
import resource
import sys
from pathlib import Path

from majordomo.cli.app import run


def peak_kib() -> int:
    """Linux keeps the parent's peak over ``exec`` in ``getrusage``; its own status page begins anew."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # bytes on macOS


try:
    run(sys.argv[1:])
finally:
    sys.stderr.write(f"peak {peak_kib()}\n")
