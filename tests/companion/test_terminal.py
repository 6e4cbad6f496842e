"""The terminal is the child's: its size, its keys, its stops, and the signals that come to the companion alone."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import psutil
import pytest
from companion_process import PATIENCE, Home, command

#: A shell's. A key that is pressed before it may be lost while the shell takes the terminal's line editing over.
PROMPT = r"\$ $"
#: Says what it is told by signals, and its terminal's size; `q` ends it.
TALKATIVE = r"""
import os, signal, sys
def say(*words): os.write(1, (" ".join(map(str, words)) + "\r\n").encode())
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGCONT", "SIGWINCH"):
    def heard(number, frame, name=name):
        say("heard", name, *(os.get_terminal_size() if name == "SIGWINCH" and os.isatty(0) else ()))
    signal.signal(getattr(signal, name), heard)
say("ready", os.isatty(0) and os.isatty(1) and os.isatty(2), os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp())
while True:
    word = os.read(0, 1)
    if word in (b"q", b""):
        sys.exit(7)
    if word == b"z":
        os.kill(os.getpid(), signal.SIGSTOP)
"""


class Terminal:
    """A terminal with one program in it."""

    def __init__(self, home: Home, *program: str) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(home.work)
            os.execve(program[0], program, home.environment(PS1="$ ", PYTHON=sys.executable, TALKATIVE=TALKATIVE))
        self.seen = ""

    def expect(self, pattern: str) -> "re.Match[str]":
        """Read on until this is seen; what stood before is forgotten."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 65_536).decode()
                except OSError:  # everybody who had the terminal open has gone
                    assert re.search(pattern, self.seen), f"no {pattern!r} in {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def resize(self, rows: int, columns: int) -> None:
        """Pull at the window's corner."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, options: int = 0) -> int:
        """The program's wait status."""
        deadline = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, options | os.WNOHANG)
            if pid:
                return status
            assert time.monotonic() < deadline, f"it goes on; seen: {self.seen!r}"
            time.sleep(0.02)

    def close(self) -> None:
        os.close(self._master)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def terminal(home: Home) -> Iterator[Terminal]:
    """A talkative child behind a companion, in a terminal."""
    made = Terminal(home, *command("exec", "--standalone", "--", sys.executable, "-c", TALKATIVE))
    made.expect("ready True True")
    yield made
    made.close()


def test_ctrl_c_reaches_the_child_once_and_leaves_the_companion_alone(terminal: Terminal) -> None:
    terminal.press(b"\x03")
    terminal.expect("heard SIGINT")
    terminal.press(b"\x03")
    terminal.expect("heard SIGINT")
    terminal.press(b"q\n")
    ended = terminal.expect(r"(?s)(.*)majordomo-companion: 0 requests.*?\n")
    assert "SIGINT" not in ended[1]
    assert os.waitstatus_to_exitcode(terminal.wait()) == 7


def test_the_child_hears_of_a_new_size(terminal: Terminal) -> None:
    terminal.resize(33, 111)
    terminal.expect("heard SIGWINCH 111 33")


def test_a_child_that_stops_itself_stops_the_companion_for_the_shell_and_both_go_on(terminal: Terminal) -> None:
    terminal.press(b"z\n")
    assert os.WIFSTOPPED(terminal.wait(os.WUNTRACED))
    os.kill(terminal.pid, signal.SIGCONT)  # as `fg` does
    terminal.expect("heard SIGCONT")
    terminal.press(b"q\n")
    assert os.waitstatus_to_exitcode(terminal.wait()) == 7


def test_a_shell_stops_and_continues_it_as_any_job(home: Home) -> None:
    shell = Terminal(home, "/bin/bash", "--norc", "-i")
    shell.expect(PROMPT)
    shell.press(b'$PYTHON -P -m majordomo.companion exec --standalone -- $PYTHON -c "$TALKATIVE"\n')
    shell.expect("ready True True")
    shell.press(b"\x1a")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    shell.press(b"fg\n")
    shell.expect("heard SIGCONT")
    shell.press(b"q\n")
    shell.expect("majordomo-companion: 0 requests")
    shell.expect(PROMPT)
    shell.press(b"echo code $?\n")
    shell.expect("code 7")
    shell.close()


def test_a_hang_up_of_the_terminal_ends_everything(home: Home) -> None:
    closing = Terminal(home, *command("exec", "--standalone", "--", "sleep", "600"))
    companion = psutil.Process(closing.pid)
    deadline = time.monotonic() + PATIENCE
    while len(family := companion.children(recursive=True)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)
    os.close(closing._master)
    assert os.waitstatus_to_exitcode(closing.wait()) == 128 + signal.SIGHUP
    assert psutil.wait_procs(family, PATIENCE)[1] == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGINT"])
def test_a_signal_to_the_companion_alone_is_passed_on(home: Home, name: str) -> None:
    running = home.popen("exec", "--standalone", "--", sys.executable, "-c", TALKATIVE, stdin=subprocess.PIPE)
    assert running.stdout is not None and running.stdin is not None
    assert running.stdout.readline().startswith("ready")
    running.send_signal(getattr(signal, name))
    assert running.stdout.readline().strip() == f"heard {name}"
    running.stdin.write("q")
    running.stdin.flush()
    assert running.wait(PATIENCE) == 7


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -INT $$", 130)],
)
def test_the_childs_exit_code_is_returned(home: Home, script: str, code: int) -> None:
    assert home.run("exec", "--standalone", "--", "sh", "-c", script).code == code


def test_a_command_that_does_not_exist_is_told_on_one_line(home: Home) -> None:
    ran = home.run("exec", "--standalone", "--", "no-such-command")
    assert ran.code == 127
    assert ran.err == "majordomo-companion: no-such-command: no such command; is it installed and on the PATH?\n"


def test_a_signal_that_was_ignored_stays_ignored(home: Home) -> None:
    script = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    ignoring = home.run("exec", "--standalone", "--", sys.executable, "-c", script, preexec_fn=_ignore_hang_up)
    assert ignoring.out == "True\n"


def _ignore_hang_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
