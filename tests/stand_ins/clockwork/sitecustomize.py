"""On ``PYTHONPATH``, this gives every process of a gateway a clock that a test can turn, and short leases.

``CLOCKWORK`` names a file that holds the microseconds to add to the wall clock (8 bytes, native order);
``CLOCKWORK_LEASE_SECONDS`` is how long leases last, six renewals.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path


def _turn(file: str) -> None:
    from majordomo import clock

    with Path(file).open("rb") as opened:
        hands = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)
    clock.wall_us = lambda: time.time_ns() // 1000 + struct.unpack("q", hands)[0]


def _shorten(seconds: float) -> None:
    from majordomo.budget import keeper

    keeper.LEASE_SECONDS = seconds
    keeper.RENEW_SECONDS = seconds / 6
    keeper._MARGIN = seconds / 15


if "CLOCKWORK" in os.environ:
    _turn(os.environ["CLOCKWORK"])
if "CLOCKWORK_LEASE_SECONDS" in os.environ and "majordomo.front_desk" in sys.orig_argv:
    _shorten(float(os.environ["CLOCKWORK_LEASE_SECONDS"]))
