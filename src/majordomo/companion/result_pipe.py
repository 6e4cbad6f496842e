"""What Claude Code prints into a pipe, passed on byte for byte, and its end remembered: there its JSON result stands.

Only where it is asked for one (``--output-format``) and standard output is a pipe: then the child writes into a pipe as
it would without us, and a thread here passes it on at the reader's own pace. A reader that goes away is noticed as
before, by the child's next write.
"""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Sequence

from majordomo.companion.claude_state import MAX_RESULT_BYTES, Recorded, last_result, prints_result

_READ_BYTES = 64 * 1024


class ResultPipe:
    """Give ``writing`` to the child as its standard output, then ``start``."""

    def __init__(self, target: int) -> None:
        self._reading, self.writing = os.pipe()
        self._over, self._end = os.pipe()
        self._target = target
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._thread = threading.Thread(target=self._pass_on, name="result", daemon=True)

    @classmethod
    def of_child(cls, command: Sequence[str], descriptor: int = 1) -> "ResultPipe | None":
        """For a child about to be started with ``command``; None if it prints no result, or not into a pipe."""
        if not prints_result(command):
            return None
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            return None
        return cls(descriptor) if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None

    def start(self) -> None:
        """The child has its end."""
        os.close(self.writing)
        self._thread.start()

    def finish(self) -> None:
        """The child has ended: pass on what it has written. Blocks while the reader does not read."""
        os.close(self._end)
        self._thread.join()

    def read(self) -> Recorded | None:
        """The last result that went through; after ``finish``."""
        return last_result(b"".join(self._kept))

    def _pass_on(self) -> None:
        over = False
        try:
            while True:
                ready, _, _ = select.select(
                    [self._reading] if over else [self._reading, self._over], [], [], 0 if over else None
                )
                if self._reading in ready:
                    data = os.read(self._reading, _READ_BYTES)
                    if not data:
                        return
                    self._write(data)
                    self._keep(data)
                elif over:
                    return  # somebody whom the child has left behind still has the pipe
                else:
                    over = True
        except OSError:
            return  # the reader has gone
        finally:
            os.close(self._reading)  # the child hears of it
            os.close(self._over)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._target, left) :]
            except BlockingIOError:  # somebody else set the pipe so
                select.select([], [self._target], [])

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        while self._size - len(self._kept[0]) >= MAX_RESULT_BYTES:
            self._size -= len(self._kept.popleft())
