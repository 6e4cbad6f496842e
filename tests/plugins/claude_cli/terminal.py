"""A person in front of Claude Code: its terminal, its keys, and what can be read on the screen."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import psutil

from claude_cli.cli import ClaudeCode, CliError
from claude_cli.screen import Screen

#: Seconds for anything to appear.
PATIENCE = 30.0

ESCAPE = "\x1b"
ENTER = "\r"
CTRL_C = "\x03"
SHIFT_TAB = "\x1b[Z"


class Terminal:
    """A terminal with Claude Code in it, ready for a prompt. Use it as a context manager."""

    def __init__(self, claude: ClaudeCode, *arguments: str, rows: int = 45, columns: int = 110) -> None:
        _settle_in(claude)
        self.screen = Screen(rows, columns)
        self._master, slave = pty.openpty()
        self._set_size(rows, columns)
        take_terminal = fcntl.ioctl
        self.process = subprocess.Popen(
            claude.command(*arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=claude.environment,
            cwd=claude.work,
            start_new_session=True,
            preexec_fn=lambda: take_terminal(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        try:
            self.expect("? for shortcuts")
        except BaseException:
            self.close()
            raise

    # -- what a person does -------------------------------------------------------------------------------------------

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def enter(self, text: str) -> None:
        """Type a line, and Enter once it stands in the box: sooner it would belong to what was pasted."""
        self.press(text)
        self.expect(f"❯ {text}")
        self.press(ENTER)

    def resize(self, rows: int, columns: int) -> None:
        """Pull at the window's corner."""
        self.screen.resize(rows, columns)
        self._set_size(rows, columns)

    def expect(self, text: str) -> None:
        """Look until this can be read."""
        self.watch(lambda: text in str(self.screen), f"{text!r} does not appear")

    def watch(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Look on until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline or (not self._read(0.05) and self.process.poll() is not None):
                raise CliError(f"{otherwise} (exit code {self.process.poll()}):\n{self.screen}")

    def wait(self) -> int:
        """Look on until the program has ended; its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise CliError(f"it does not end:\n{self.screen}")
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    # -- behind the scenes --------------------------------------------------------------------------------------------

    def tool(self) -> psutil.Process:
        """The process of Claude Code itself, behind whatever launched it."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        (found,) = [one for one in family if one.name() == "claude"]
        return found

    def close(self) -> None:
        """End it the hard way if it still runs."""
        if self.process.poll() is None:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                one.send_signal(signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # everybody who had it open has gone
            time.sleep(seconds)
            return False
        self.screen.feed(data)
        return bool(data)

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _settle_in(claude: ClaudeCode) -> None:
    """What a user has answered who ran it before: the theme, the key, the trust in the directory.

    What the tool itself noted there stays: the next session in the same home goes on from it.
    """
    key = claude.environment["ANTHROPIC_API_KEY"]
    state = claude.home / ".claude.json"
    known: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {}
    known["hasCompletedOnboarding"] = True
    known.setdefault("theme", "dark")
    approved = known.setdefault("customApiKeyResponses", {"approved": [], "rejected": []})["approved"]
    if key[-20:] not in approved:
        approved.append(key[-20:])
    known.setdefault("projects", {}).setdefault(str(claude.work), {})["hasTrustDialogAccepted"] = True
    state.write_text(json.dumps(known))
