"""``start`` and ``stop``: a proxy that stands by itself, for as many Claude Codes as are pointed at it."""

import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from majordomo.companion.claude_child import LOOPBACK, NO_PROXY, TOOL_SEARCH, ClaudeChild
from majordomo.companion.env_file import EnvFile, require_replaceable
from majordomo.companion.errors import CompanionError, tell
from majordomo.companion.listening import listen, url_of
from majordomo.companion.order import Order
from majordomo.companion.pid_file import FoundPidFile, PidFile, require_free
from majordomo.companion.process_list import hide_from_process_list
from majordomo.companion.upstreams import Upstreams
from majordomo.companion.watcher import Watcher

#: A companion lets running replies finish for 2 s, delivers for some 5 s, and gives the gateway 2 s to end the session.
STOP_SECONDS = 15.0

_LOOK_SECONDS = 0.05

_READY = "ready"


def start(order: Order, pid_file: Path, env_file: Path | None, *, detach: bool) -> int:
    """Run the proxy until it is told to stop, or leave it running in the background.

    Raises:
        CompanionError: it was not started. Nothing is left behind.
    """
    hide_from_process_list(order.api_key)
    require_free(pid_file)
    if env_file is not None:
        require_replaceable(env_file)
    claude = ClaudeChild(("claude",), os.environ, Path.home(), Path.cwd())
    cloud = claude.cloud
    if cloud is not None and not cloud.speaks_messages:
        raise CompanionError(
            f"{cloud.switch} is set: Claude Code's requests to {cloud.name} cannot be metered on their way; unset it"
        )
    listening = listen(order.port)
    upstreams = Upstreams.find(order, claude, child_waits=False)
    if detach:
        return _in_the_background(lambda ready: _stand(order, pid_file, env_file, claude, listening, upstreams, ready))
    return _stand(order, pid_file, env_file, claude, listening, upstreams, _say)


def _stand(
    order: Order,
    pid_file: Path,
    env_file: Path | None,
    claude: ClaudeChild,
    listening: socket.socket,
    upstreams: Upstreams,
    ready: Callable[[str], None],
) -> int:
    url = url_of(listening)
    with Watcher(upstreams.gateway, order.session_id, (listening.fileno(),)) as watcher:
        held = PidFile(pid_file)
        written: EnvFile | None = None
        try:
            watcher.mind(held.path)
            if env_file is not None:
                written = EnvFile(env_file, _env_lines(claude, url, upstreams))
                watcher.mind(written.path)
            from majordomo.companion.alone import run_alone

            line = run_alone(order, listening, upstreams, lambda: ready(url))
        finally:
            if written is not None:
                written.remove()
            held.release()
    tell(line)
    return 0


def _env_lines(claude: ClaudeChild, url: str, upstreams: Upstreams) -> list[str]:
    """Where the proxy is, and what goes with it; of what the sourcing shell has set itself, everything counts on."""
    variables = claude.variables(url, None if upstreams.through_gateway else upstreams.direct_url)
    lines = []
    for name, value in variables.items():
        if name in NO_PROXY:
            lines.append(f'export {name}="{",".join(LOOPBACK)}${{{name}:+,${name}}}"')
        elif name == TOOL_SEARCH:
            lines.append(f'export {name}="${{{name}:-{value}}}"')
        else:
            lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def _say(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def _in_the_background(stand: Callable[[Callable[[str], None]], int]) -> int:
    """Fork, and wait until the proxy takes requests or has failed."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os._exit(_as_daemon(stand, writing))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        kind, _, text = pipe.readline().rstrip("\n").partition(" ")
    if kind != _READY:
        raise CompanionError(text or "the companion ended before it took requests")
    _say(text)
    return 0


def _as_daemon(stand: Callable[[Callable[[str], None]], int], writing: int) -> int:
    def tell(kind: str, text: str) -> None:
        os.write(writing, f"{kind} {text}\n".encode())

    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        return stand(lambda url: tell(_READY, url))
    except CompanionError as wrong:
        tell("failed", str(wrong))
        return 1


def stop(pid_file: Path) -> int:
    """End the proxy that wrote this PID file, and wait until it has ended.

    Raises:
        CompanionError: there is none any more, or it does not end.
    """
    found = FoundPidFile(pid_file)
    try:
        if not found.lives():
            pid_file.unlink(missing_ok=True)
            raise CompanionError(
                f"the companion (process {found.pid}) is gone already; the PID file {pid_file} was left by it and is "
                "removed now"
            )
        try:
            os.kill(found.pid, signal.SIGTERM)  # it holds the file's lock, so the number is its own
        except PermissionError:
            raise CompanionError(
                f"the companion (process {found.pid}) belongs to another user; stop it as that user"
            ) from None
        except ProcessLookupError:
            return 0  # it went by itself just now
        deadline = time.monotonic() + STOP_SECONDS
        while found.lives():
            if time.monotonic() > deadline:
                raise CompanionError(
                    f"the companion (process {found.pid}) has not stopped within {STOP_SECONDS:.0f} s; "
                    f"end it with: kill -9 {found.pid}"
                )
            time.sleep(_LOOK_SECONDS)
    finally:
        found.close()
    return 0
