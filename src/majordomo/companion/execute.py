"""``exec``: one command behind a proxy of its own.

The order of things is the point. The port is opened first and the child started at once, within 300 ms of being called;
what the proxy needs is imported and the prices read while the child boots. Its first requests wait in the socket.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from majordomo.companion.child import Child, Signals, not_found
from majordomo.companion.claude_child import ClaudeChild
from majordomo.companion.errors import CompanionError, tell
from majordomo.companion.listening import listen, url_of
from majordomo.companion.order import Order
from majordomo.companion.process_list import hide_from_process_list
from majordomo.companion.upstreams import Upstreams
from majordomo.companion.watcher import Watcher

if TYPE_CHECKING:
    from majordomo.companion.drift import DriftCheck
    from majordomo.companion.result_pipe import ResultPipe


def execute(order: Order, command: Sequence[str]) -> int:
    """Run the command behind the proxy; its exit code.

    Raises:
        CompanionError: it was not started. Nothing is left behind.
    """
    if shutil.which(command[0]) is None:
        raise not_found(command[0])
    hide_from_process_list(order.api_key)
    claude = ClaudeChild(command, os.environ, Path.home(), Path.cwd())
    cloud = claude.cloud
    if cloud is not None and not cloud.speaks_messages:
        if order.caps.limits:
            raise CompanionError(
                f"{cloud.switch} is set: requests to {cloud.name} cannot be metered on their way, nor held to a limit; "
                "leave the limits out, or unset it"
            )
        _stand_aside(command, cloud.name, claude)
    listening = listen(order.port)
    upstreams = Upstreams.find(order, claude, child_waits=True)
    with Watcher(upstreams.gateway, order.session_id, (listening.fileno(),)):
        variables = claude.variables(url_of(listening), None if upstreams.through_gateway else upstreams.direct_url)
        pipe = _result_pipe(claude, command)
        child = Child(claude.command(variables), claude.environment(variables), pipe.writing if pipe else None)
        signals = Signals(child)
        if pipe is not None:
            pipe.start()
        drift = _drift_check(claude, command, pipe)
        from majordomo.companion.beside import run_beside

        return run_beside(order, listening, upstreams, child, signals, pipe, drift)


def _result_pipe(claude: ClaudeChild, command: Sequence[str]) -> "ResultPipe | None":
    """Where Claude Code prints its result into a pipe: a place to see it go by."""
    if not claude.is_claude_code or not any("--output-format" in word for word in command):
        return None
    from majordomo.companion.result_pipe import ResultPipe

    return ResultPipe.of_child(command)


def _drift_check(claude: ClaudeChild, command: Sequence[str], pipe: "ResultPipe | None") -> "DriftCheck | None":
    """Remember what Claude Code has recorded so far, so that what this session adds can be compared at its end."""
    if not claude.is_claude_code:
        return None
    from majordomo.companion.claude_files import state_file
    from majordomo.companion.claude_state import ResultFile
    from majordomo.companion.drift import DriftCheck

    return DriftCheck(state_file(os.environ, Path.home()), pipe or ResultFile.of_child(command))


def _stand_aside(command: Sequence[str], cloud: str, claude: ClaudeChild) -> None:
    """Become the command: its requests are signed for somebody else, and a proxy would spoil them."""
    tell(
        f"Claude Code is set to use {cloud}, whose requests cannot be metered on their way; "
        "the companion stands aside, nothing is recorded"
    )
    os.execvpe(command[0], list(command), claude.environment({}))  # noqa: S606 - the user's own command, no shell
