"""A scripted provider in a process of its own, and the handle to it: for the demo and for tests."""

import base64
import contextlib
import http.client
import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

#: Seconds that the provider has to stop after its standard input ended.
STOP_SECONDS = 10.0


class ProviderError(Exception):
    """The scripted provider did not start or refused a command. The message says why."""


class Received:
    """One request that reached the provider."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.number: int = told["number"]
        self.method: str = told["method"]
        self.target: str = told["target"]
        self.headers: list[tuple[str, str]] = [(name, value) for name, value in told["headers"]]
        self.body: bytes = base64.b64decode(told.get("body", ""))

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Received {self.number} {self.method} {self.target} {len(self.body)} bytes>"


class ProviderProcess:
    """A running scripted provider. Use it as a context manager: it stops at the end, also when the parent is killed."""

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "majordomo.demo.provider", "--port", str(port), "--until-eof"]
        # a session of its own: Ctrl-C in the terminal is for the parent, which then ends this in its own order
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.url: str = self._process.stdout.readline().strip()
        if not self.url:
            raise ProviderError(
                f"the scripted provider did not start (exit code {self._process.wait()}); see its output above"
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def queue(self, *scripts: dict[str, Any]) -> None:
        """Answer the next requests by these scripts, in this order.

        Raises:
            ProviderError: a script has an unknown field or a wrong type.
        """
        self._control("POST", "/__script", json.dumps(scripts).encode())

    def requests(self, since: int = 0, *, bodies: bool = True) -> list[Received]:
        """What arrived, oldest first, as far as it is kept."""
        told = self._control("GET", f"/__requests?since={since}&bodies={int(bodies)}")
        return [Received(one) for one in told["list"]]

    def stats(self) -> dict[str, int]:
        """Counts: requests, finished, cut, abandoned, kept, dropped, queued."""
        return dict(self._control("GET", "/__stats"))

    def clear(self) -> None:
        """Forget all requests and scripts."""
        self._control("DELETE", "/__requests")
        self._control("DELETE", "/__script")

    def close(self) -> None:
        """Stop it; a second time does nothing."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _control(self, method: str, target: str, body: bytes | None = None) -> dict[str, Any]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=STOP_SECONDS)
        try:
            connection.request(method, target, body=body)
            reply = connection.getresponse()
            told: dict[str, Any] = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != http.client.OK:
            raise ProviderError(told["error"])
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
