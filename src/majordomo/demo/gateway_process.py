"""A real gateway, ``majordomo serve`` in a process of its own, whose providers are all the scripted one."""

import functools
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from majordomo.death_signal import set_death_signal
from majordomo.record.api_keys import KEY_PREFIX

#: Every provider of the gateway, pointed at the scripted one under its own name.
PROVIDERS = (
    "openai", "anthropic", "gemini", "gemini-openai", "fireworks", "together",
    "deepseek", "moonshot", "baseten", "nebius", "deepinfra", "novita",
)  # fmt: skip

#: Seconds to a first answer: initialising a database takes two of them, a busy machine the rest.
START_SECONDS = 60.0

#: Seconds to stop: running replies, the journal, the database.
STOP_SECONDS = 60.0

#: Lines of output kept to explain a start that failed.
KEPT_LINES = 200

_BANNER = re.compile(r"^ +Gateway\b.* (http://\S+)")


class GatewayError(Exception):
    """The gateway did not start, or a command failed. The message has its last lines."""


def command(*words: str) -> list[str]:
    """The command line that runs ``majordomo WORDS`` with this interpreter."""
    return [sys.executable, "-P", "-m", "majordomo", *words]


def environment(provider_url: str, data_dir: Path, database_url: str | None, more: Mapping[str, str]) -> dict[str, str]:
    """The process environment of a gateway that reaches the scripted provider and nothing else.

    Settings of the surrounding environment do not leak in: neither ``MAJORDOMO_*`` nor a proxy.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAJORDOMO_") and not name.lower().endswith("_proxy")
    }
    kept["MAJORDOMO_DATA_DIR"] = str(data_dir)
    kept["MAJORDOMO_PRICE_FEED"] = "false"
    if database_url is not None:
        kept["MAJORDOMO_DATABASE_URL"] = database_url
    for name in PROVIDERS:
        kept[f"MAJORDOMO_PROVIDERS__{name.upper()}__BASE_URL"] = f"{provider_url}/{name}"
    return {**kept, **more}


class GatewayProcess:
    """A running gateway. Use it as a context manager: it drains and stops at the end."""

    def __init__(
        self,
        provider_url: str,
        data_dir: Path,
        *,
        port: int = 0,
        database_url: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.environment = environment(provider_url, data_dir, database_url, settings or {})
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        # a session of its own: Ctrl-C in the terminal is for the parent, which then stops this with SIGTERM
        self._process = subprocess.Popen(
            command("serve", "--port", str(port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self.environment,
            cwd=data_dir,
            start_new_session=True,
            preexec_fn=functools.partial(set_death_signal(), signal.SIGTERM),  # should the parent be killed
        )
        self._found_url = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_until_it_serves()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the supervisor has not ended."""
        return self._process.poll() is None

    def run(self, *words: str, variables: Mapping[str, str] | None = None) -> str:
        """Run ``majordomo WORDS`` with this gateway's settings (and ``variables``); its standard output.

        Raises:
            GatewayError: it ended with another exit code than 0.
        """
        environment = {**self.environment, **(variables or {})}
        done = subprocess.run(
            command(*words), env=environment, cwd=self.data_dir, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise GatewayError(f"majordomo {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def create_key(self, name: str) -> dict[str, Any]:
        """A new gateway key: ``id``, ``name``, ``key``."""
        made: dict[str, Any] = json.loads(self.run("keys", "create", "--name", name, "--json"))
        return made

    def sign_in_link(self) -> str:
        """A page address that signs its first admin in, once."""
        admin = next(user for user in json.loads(self.run("users", "list", "--json")) if user["role"] == "admin")
        told = json.loads(self.run("users", "link", admin["id"], "--json"))["link"]
        return f"{self.url}/sign-in#{told.rpartition('#')[2]}"

    def close(self) -> None:
        """Stop it as SIGTERM does, and wait; a second time does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(STOP_SECONDS)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if KEY_PREFIX not in line:  # the banner shows a first key once; it has no place in an error message
                self.lines.append(line)
            match = _BANNER.search(line)
            if match and not self.url:
                self.url = match[1]
                self._found_url.set()

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._reader.join(1.0)
                raise GatewayError(f"the gateway ended with {self._process.returncode}:\n{''.join(self.lines)}")
            if self._found_url.wait(0.05) and self._is_ready():
                return
            time.sleep(0.02)
        raise GatewayError(f"the gateway was not ready within {START_SECONDS:.0f} s:\n{''.join(self.lines)}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
