"""What Claude Code prints into a pipe goes through the companion whole, at the reader's pace; its result is seen."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from companion_process import PATIENCE, Home, command

from majordomo.companion.claude_state import MAX_RESULT_BYTES
from majordomo.companion.result_pipe import ResultPipe

PRINTS = ("claude", "-p", "--output-format", "json")
RESULT = {"type": "result", "session_id": "s", "total_cost_usd": 1.5, "modelUsage": {}}
LINE = json.dumps(RESULT).encode() + b"\n"

#: A program by the name of Claude Code that prints what it is told to.
FAKE = f"""#!{sys.executable}
import os, signal, sys
out = sys.stdout.buffer
{{}}
"""


def passed(pieces: list[bytes], *, leave_open: bool = False) -> tuple[bytes, ResultPipe]:
    """What comes out for these pieces."""
    reading, target = os.pipe()
    pipe = ResultPipe.of_child(PRINTS, target)
    assert pipe is not None
    child = os.dup(pipe.writing)
    pipe.start()
    out: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 4096):
            out.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    for piece in pieces:
        left = piece
        while left:
            left = left[os.write(child, left) :]
    if not leave_open:
        os.close(child)
    pipe.finish()
    if leave_open:
        with pytest.raises(BrokenPipeError):  # nobody reads it any more
            os.write(child, b"x")
        os.close(child)
    os.close(target)
    reader.join()
    os.close(reading)
    return b"".join(out), pipe


def test_everything_comes_out_and_the_result_is_seen() -> None:
    before = b'{"type":"assistant","text":"\xff"}\n' * 20_000
    out, pipe = passed([before, LINE[:10], LINE[10:]])
    assert out == before + LINE
    result = pipe.read()
    assert result is not None
    assert (result.session_id, result.cost) == ("s", 1.5)


def test_of_endless_output_the_end_is_kept() -> None:
    before = b"x" * MAX_RESULT_BYTES
    out, pipe = passed([before, b"\n", LINE])
    assert len(out) == len(before) + 1 + len(LINE)
    result = pipe.read()
    assert result is not None


def test_what_the_child_leaves_behind_with_the_pipe_holds_up_nothing() -> None:
    out, pipe = passed([LINE], leave_open=True)
    assert out == LINE
    assert pipe.read() is not None


def test_only_output_that_is_a_result_in_a_pipe_goes_through(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with (tmp_path / "out").open("w") as file:
        assert ResultPipe.of_child(PRINTS, file.fileno()) is None
    for words in (("claude", "-p"), ("claude", "-p", "--output-format", "text"), ("claude", "--", *PRINTS[2:])):
        assert ResultPipe.of_child(words, writing) is None
    os.close(reading)
    os.close(writing)


def fake(home: Home, program: str) -> list[str]:
    """The command line of a companion before a program that passes for Claude Code."""
    path = home.path / "claude"
    path.write_text(FAKE.format(program))
    path.chmod(0o755)
    return command("exec", "--standalone", "--", str(path), *PRINTS[1:])


def test_a_reader_that_goes_away_ends_the_child_as_without_a_companion(home: Home) -> None:
    program = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: out.write(b'x' * 100_000)"
    running = subprocess.Popen(
        fake(home, program), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environment(), cwd=home.work
    )
    assert running.stdout is not None
    running.stdout.read(1_000_000)
    running.stdout.close()
    assert running.wait(PATIENCE) == 128 + signal.SIGPIPE
    assert running.stderr is not None
    assert running.stderr.read().startswith(b"majordomo-companion: 0 requests, ")
    running.stderr.close()


def test_a_slow_reader_gets_everything_after_the_child_has_ended(home: Home) -> None:
    ran = subprocess.run(
        ["sh", "-c", '"$@" | { sleep 0.5; cat; }', "sh", *fake(home, "out.write(b'y' * 150_000)")],
        capture_output=True,
        env=home.environment(),
        cwd=home.work,
        timeout=PATIENCE,
        check=True,
    )
    assert ran.stdout == b"y" * 150_000
