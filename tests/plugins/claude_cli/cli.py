"""Claude Code itself: a clean home, a dummy key, and three ways to run it.

- ``ask``: one prompt, one JSON result (``-p --output-format json``);
- ``conversation``: many turns in one process, with the model and the permission mode changed between them;
- ``terminal.py`` has the third, a terminal with a person in front of it.
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from companion_process import command as companion
from gateway_fixture import Gateway

#: Seconds for one run or one turn. They take one; a busy machine gets more, and retries need their pauses.
RUN_SECONDS = 120.0

#: Not a key of anybody; long enough to look like one.
DUMMY_KEY = "sk-ant-api03-dummy-" + "x" * 40


class CliError(AssertionError):
    """The tool did not do what a run needs. The message has its last words."""


class Result:
    """What the tool says of a finished turn: its JSON result."""

    def __init__(self, told: dict[str, Any], exit_code: int | None = None) -> None:
        self.told = told
        self.exit_code = exit_code

    @property
    def cost(self) -> float:
        """What ``/usage`` shows for the process so far, unrounded (USD)."""
        return float(self.told["total_cost_usd"])

    @property
    def text(self) -> str:
        return str(self.told.get("result", ""))

    @property
    def session(self) -> str:
        return str(self.told["session_id"])

    @property
    def model_usage(self) -> dict[str, dict[str, Any]]:
        """Tokens and cost for each model, as the tool names it."""
        return dict(self.told["modelUsage"])

    def __repr__(self) -> str:
        return f"<Result {self.exit_code} {self.cost} {self.text[:200]!r}>"


class ClaudeCode:
    """The tool with a home of its own."""

    def __init__(self, binary: Path, folder: Path, base_url: str | None, **variables: str) -> None:
        self.binary = binary
        self.home = folder / "home"
        self.work = folder / "work"
        for place in (self.home, self.work):
            place.mkdir(exist_ok=True)
        self.launcher: list[str] = []  # in front of it on the command line
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "ANTHROPIC_API_KEY": DUMMY_KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            **({"IS_SANDBOX": "1"} if os.getuid() == 0 else {}),
            **({"ANTHROPIC_BASE_URL": base_url} if base_url is not None else {}),
            **variables,
        }

    def go_through(self, gateway: Gateway, tag: str) -> None:
        """The simple way: the gateway's address, and its headers with every request."""
        self.environment["ANTHROPIC_BASE_URL"] = gateway.base_url
        self.send_headers(gateway.headers(tag, Client="claude-code"))

    def go_behind_companion(self, gateway: Gateway | None, tag: str = "", *options: str) -> None:
        """Behind ``majordomo-companion exec``, which goes through the gateway, or straight to where it would go."""
        if gateway is None:
            told = ["--standalone"]
        else:
            told = ["--gateway", gateway.base_url, "--metadata", f"Test-Case={tag}"]
            self.environment["MAJORDOMO_API_KEY"] = gateway.key
        self.launcher = companion("exec", *told, *options, "--")
        self.environment["MAJORDOMO_COMPANION_DIR"] = str(self.home.parent / "companion")

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return [*self.launcher, str(self.binary), *arguments]

    def send_headers(self, headers: dict[str, str]) -> None:
        """Send these with every request: ``ANTHROPIC_CUSTOM_HEADERS``."""
        self.environment["ANTHROPIC_CUSTOM_HEADERS"] = "\n".join(f"{name}: {value}" for name, value in headers.items())

    def ask(self, prompt: str, *arguments: str, seconds: float = RUN_SECONDS) -> Result:
        """One prompt, to its end."""
        done = subprocess.run(
            self.command("-p", "--output-format", "json", *arguments, "--", prompt),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.work,
            timeout=seconds,
            check=False,
        )
        # The launcher may add its own line; the tool's result is the one line that is JSON.
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if len(lines) != 1:
            raise CliError(f"no result, exit code {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return Result(json.loads(lines[0]), done.returncode)

    def conversation(self, *arguments: str) -> "Conversation":
        """A process that takes one prompt after another."""
        return Conversation(self, *arguments)


class Conversation:
    """Turns of one process, over its stream of JSON lines. Use it as a context manager."""

    def __init__(self, claude: ClaudeCode, *arguments: str) -> None:
        streams = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        self.process = subprocess.Popen(
            claude.command(*streams, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=claude.environment,
            cwd=claude.work,
            start_new_session=True,
        )
        self.messages: list[dict[str, Any]] = []  # all that it said
        self.last_words: deque[str] = deque(maxlen=50)
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()
        self._controls = 0

    def say(self, prompt: str, *, seconds: float = RUN_SECONDS) -> Result:
        """One turn, to its end; the result counts everything of the process so far."""
        self._send({"type": "user", "message": {"role": "user", "content": prompt}})
        return Result(self._until("result", seconds))

    def set_model(self, model: str) -> None:
        """Ask this model from the next turn on."""
        self._control(subtype="set_model", model=model)

    def set_mode(self, mode: str) -> None:
        """A permission mode from the next turn on: default, plan, auto, acceptEdits, ..."""
        self._control(subtype="set_permission_mode", mode=mode)

    def interrupt(self) -> None:
        """What Esc does."""
        self._control(subtype="interrupt")

    def begin(self, prompt: str) -> None:
        """Start a turn without waiting for its end."""
        self._send({"type": "user", "message": {"role": "user", "content": prompt}})

    def finish(self, *, seconds: float = RUN_SECONDS) -> Result:
        """The result of a turn that was begun."""
        return Result(self._until("result", seconds))

    def end(self) -> int:
        """No more prompts: the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(RUN_SECONDS)
        for reader in self._readers:
            reader.join(RUN_SECONDS)
        return code

    def _control(self, **request: str) -> None:
        self._controls += 1
        number = f"control-{self._controls}"
        self._send({"type": "control_request", "request_id": number, "request": request})
        answer = self._until("control_response", RUN_SECONDS)["response"]
        assert answer["request_id"] == number
        assert answer["subtype"] == "success", answer

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _until(self, kind: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            try:
                message = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise CliError(f"no {kind} within {seconds:.0f} s: {self._said()}") from None
            if message is None:
                raise CliError(f"it ended with {self.process.wait(10)} before its {kind}: {self._said()}")
            if message["type"] == kind:
                return message

    def _said(self) -> str:
        last = "\n".join(json.dumps(message)[:400] for message in self.messages[-8:])
        return f"\n{last}\n{''.join(self.last_words)}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                message = json.loads(line)
                self.messages.append(message)
                self._arrived.put(message)
            else:
                self.last_words.append(line)
        self._arrived.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.last_words.extend(self.process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(RUN_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
