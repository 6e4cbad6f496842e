"""Companions as a user calls them, with a home of their own, and small programs to run behind them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Seconds that a companion may take for anything before a test fails.
PATIENCE = 30.0

#: A child that sends the requests in its argument, or else those that come line by line on its standard input, and
#: prints what it saw as JSON lines.
ASKING = r"""
import json, os, sys, time, urllib.request, urllib.error
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
base = os.environ.get("ANTHROPIC_BASE_URL", "")
print(json.dumps({"env": dict(os.environ), "argv": sys.argv[2:]}), flush=True)
for line in json.loads(sys.argv[1]) or map(json.loads, iter(sys.stdin.readline, "")):
    body = {"model": "claude-opus-4-8", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"content-type": "application/json", "x-api-key": "sk-ant-dummy", "anthropic-version": "2023-06-01"}
    body = line.get("whole", body)
    body.update(line.get("body", {}))
    headers.update(line.get("headers", {}))
    time.sleep(line.get("wait", 0))
    path = line.get("path", "/v1/messages?beta=true")
    asked = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
    try:
        reply = urllib.request.urlopen(asked)
    except urllib.error.HTTPError as refused:
        reply = refused
    seen = {"status": reply.status, "headers": dict(reply.headers), "body": reply.read().decode()}
    print(json.dumps(seen), flush=True)
sys.exit(int(os.environ.get("EXIT_WITH", "0")))
"""


class Home:
    """A clean home directory, in which everything of a companion and of Claude Code lies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.work = folder / "work"
        self.companion_dir = folder / "companion"
        self._started: list[subprocess.Popen[str]] = []
        self.path.mkdir()
        self.work.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a user who set nothing but ``more``."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAJORDOMO_", "ANTHROPIC_", "CLAUDE_")) and not name.lower().endswith("_proxy")
        }
        kept |= {"HOME": str(self.path), "MAJORDOMO_COMPANION_DIR": str(self.companion_dir), "COLUMNS": "200"}
        return kept | more

    def popen(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start ``majordomo-companion WORDS``."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(
            command(*words), env=self.environment(**(env or {})), cwd=self.work, text=True, **options
        )

    def run(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> "Ran":
        """Run ``majordomo-companion WORDS`` to its end."""
        done = subprocess.run(
            command(*words),
            env=self.environment(**(env or {})),
            cwd=self.work,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            **options,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def leave(self) -> None:
        """End what a test has left running."""
        for started in self._started:
            if started.poll() is None:
                started.kill()
            started.communicate(timeout=PATIENCE)

    def journals(self) -> list[Path]:
        """The folders of local journals."""
        folder = self.companion_dir / "journal"
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


class Conversation:
    """A companion whose child sends a request whenever it is told to."""

    def __init__(self, home: Home, *words: str, env: dict[str, str] | None = None) -> None:
        self.process = home.popen(*words, "--", *asking(), env=env, stdin=subprocess.PIPE)
        self.seen: dict[str, str] = self._read()["env"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Have one request sent; its reply."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it has ended with {self.process.wait(PATIENCE)}: {self.process.communicate()[1]}"
        told: dict[str, Any] = json.loads(line)
        return told

    def end(self) -> "Ran":
        """Let the child end; what the companion said."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ran(self.process.returncode, out, err)


class Ran:
    """A companion that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"<Ran {self.code}\n{self.out}\n{self.err}>"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What the asking child printed: first its environment, then its replies."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def replies(self) -> list[dict[str, Any]]:
        """The replies that the asking child got."""
        return self.lines[1:]

    @property
    def seen(self) -> dict[str, str]:
        """The child's environment."""
        env: dict[str, str] = self.lines[0]["env"]
        return env


def command(*words: str) -> list[str]:
    """The command line of ``majordomo-companion WORDS``."""
    return [sys.executable, "-P", "-m", "majordomo.companion", *words]


def asking(*requests: dict[str, Any], python: str = sys.executable) -> list[str]:
    """The command line of a child that sends these requests, one after the other."""
    return [python, "-c", ASKING, json.dumps(requests)]
