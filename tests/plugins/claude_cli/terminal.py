"""A terminal with a person in front of it: Claude Code as most people use it."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from types import TracebackType
from typing import Self

from claude_cli.cli import DUMMY_KEY, RUN_SECONDS, ClaudeCode, CliError

#: Where the tool waits for a prompt, among its escape sequences.
_PROMPT = re.compile(rb"for\x1b\[[0-9;]*[a-zA-Z]shortcuts|for shortcuts|for agents")
_ESCAPES = re.compile(rb"\x1b\[[0-9;?>]*[a-zA-Z]")

#: The CLI marks these characters of a key as agreed to.
_KEY_TAIL = 20


def move_in(claude: ClaudeCode) -> None:
    """Answer beforehand what the tool asks somebody who runs it for the first time."""
    path = claude.home / ".claude.json"
    state = json.loads(path.read_text()) if path.exists() else {}
    state |= {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [DUMMY_KEY[-_KEY_TAIL:]], "rejected": []},
    }
    state.setdefault("projects", {}).setdefault(str(claude.work), {})["hasTrustDialogAccepted"] = True
    path.write_text(json.dumps(state))


class Terminal:
    """One run of the tool in a terminal of its own. Use it as a context manager."""

    def __init__(self, claude: ClaudeCode, *arguments: str) -> None:
        move_in(claude)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            claude.command(*arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=claude.environment,
            cwd=claude.work,
            start_new_session=True,
        )
        os.close(slave)
        self._seen = b""
        self._read_to = 0
        self.expect(_PROMPT)

    @property
    def text(self) -> str:
        """All that was shown so far, without escape sequences."""
        return _ESCAPES.sub(b" ", self._seen).decode("utf-8", "replace")

    def expect(self, pattern: "re.Pattern[bytes]") -> None:
        """Wait until this is shown anew."""
        deadline = time.monotonic() + RUN_SECONDS
        while not (found := pattern.search(self._seen, self._read_to)):
            if time.monotonic() > deadline or not self._read():
                raise CliError(f"no {pattern.pattern!r} in:\n{self.text[-3000:]}")
        self._read_to = found.end()

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 1.0)[0]:
            return True
        try:
            self._seen += (piece := os.read(self._master, 65_536))
        except OSError:  # the last process that had it open is gone
            return False
        return bool(piece)

    def say(self, prompt: str, answer: str) -> None:
        """A prompt, until the answer to it is shown."""
        self._type(prompt)
        self.expect(re.compile(re.escape(answer.encode())))

    def clear(self) -> None:
        """Begin a new session in the same process."""
        self._type("/clear")
        self.expect(_PROMPT)

    def leave(self) -> int:
        """End it as a person does; the exit code."""
        self._type("/exit")
        while self._read():
            pass
        return self.process.wait(RUN_SECONDS)

    def _type(self, text: str) -> None:
        os.write(self._master, text.encode())
        self.expect(re.compile(re.escape(text[-3:].encode())))  # the line editor has taken it
        os.write(self._master, b"\r")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
