"""What Claude Code itself notes of its sessions: its state file, and the JSON result that it prints.

The state file holds, for each project, what the last session that ended there cost. An interactive session writes it as
it ends, by Ctrl-C and SIGTERM, too; a session with ``-p`` does not, and prints a result instead where it is asked to.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from majordomo.companion.claude_files import MAX_STATE_BYTES, ClaudeFileError, read_text
from majordomo.meter.claude_release import Price

#: Of what the child printed, this much of the end is looked at: a result is some KB.
MAX_RESULT_BYTES = 16 * 1024 * 1024

_PATH_BYTES = 1024  # MAXPATHLEN of macOS

_LISTS = ("json", "stream-json")


class Recorded(NamedTuple):
    """One process's own account. USD as IEEE doubles, models as the CLI names them."""

    session_id: str  # the last one, if the process had several
    cost: float
    by_model: dict[str, float]
    version: str | None = None  # of the CLI, where it says so


class _ModelUsage(msgspec.Struct, frozen=True):
    cost: float = msgspec.field(name="costUSD", default=0.0)


class _Project(msgspec.Struct, frozen=True):
    session_id: str = msgspec.field(name="lastSessionId")
    cost: float = msgspec.field(name="lastCost")
    models: dict[str, _ModelUsage] = msgspec.field(name="lastModelUsage", default_factory=dict)
    version: str | None = msgspec.field(name="lastVersionBase", default=None)


class _State(msgspec.Struct, frozen=True):
    projects: dict[str, msgspec.Raw] = {}
    prices: dict[str, msgspec.Raw] = msgspec.field(name="additionalModelCostsCache", default_factory=dict)


class _Result(msgspec.Struct, frozen=True):
    type: str
    session_id: str
    total_cost_usd: float
    models: dict[str, _ModelUsage] = msgspec.field(name="modelUsage", default_factory=dict)


class _ServerPrice(msgspec.Struct, frozen=True, rename="camel"):
    """As the CLI keeps it: USD per million tokens, and per search."""

    input_tokens: float
    output_tokens: float
    prompt_cache_write_tokens: float
    prompt_cache_read_tokens: float
    web_search_requests: float
    prompt_cache_write1h_tokens: float | None = msgspec.field(name="promptCacheWrite1hTokens", default=None)


def last_sessions(state: Path) -> dict[str, Recorded]:
    """Project to what its last session came to. What cannot be read is left out: it is somebody else's file."""
    found = {}
    for project, raw in _read(state).projects.items():
        try:
            told = msgspec.json.decode(raw, type=_Project)
        except msgspec.MsgspecError:
            continue
        by_model = {model: usage.cost for model, usage in told.models.items()}
        found[project] = Recorded(told.session_id, told.cost, by_model, told.version)
    return found


class ServerPrices(Mapping[str, Price]):
    """What models cost that the CLI's own table may lack, as the server told the CLI. Follows the file."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._seen: tuple[int, int] | None = None
        self._prices: dict[str, Price] = {}

    def __getitem__(self, model: str) -> Price:
        self._refresh()
        return self._prices[model]

    def __iter__(self) -> Iterator[str]:
        self._refresh()
        return iter(self._prices)

    def __len__(self) -> int:
        self._refresh()
        return len(self._prices)

    def _refresh(self) -> None:
        try:
            found = self._state.stat()
        except OSError:
            return
        if self._seen != (found.st_mtime_ns, found.st_size):
            self._seen = found.st_mtime_ns, found.st_size
            self._prices = _server_prices(self._state)


def _server_prices(state: Path) -> dict[str, Price]:
    found = {}
    for model, raw in _read(state).prices.items():
        try:
            told = msgspec.json.decode(raw, type=_ServerPrice)
        except msgspec.MsgspecError:
            continue
        write_5m, write_1h = told.prompt_cache_write_tokens, told.prompt_cache_write1h_tokens
        found[model] = Price(
            told.input_tokens,
            told.output_tokens,
            told.prompt_cache_read_tokens,
            write_5m,
            write_5m if write_1h is None else write_1h,
            told.web_search_requests,
        )
    return found


def _read(state: Path) -> _State:
    try:
        return msgspec.json.decode(read_text(state, MAX_STATE_BYTES) or "{}", type=_State)
    except (ClaudeFileError, msgspec.MsgspecError):
        return _State()


class ResultFile:
    """The file that the child's standard output goes to, where it is one: it can be read without being in the way.

    What goes into a pipe is seen on its way (``ResultPipe``); a terminal tells nothing.
    """

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor = descriptor
        self._start = start  # where the child's output begins

    @classmethod
    def of_child(cls, command: Sequence[str], descriptor: int = 1) -> "ResultFile | None":
        """For a child about to be started with ``command``; None if it will leave no result in a file."""
        if not prints_result(command):
            return None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return None
            appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
            start = found.st_size if appends else os.lseek(descriptor, 0, os.SEEK_CUR)
        except OSError:
            return None
        return cls(descriptor, start)

    def read(self) -> Recorded | None:
        """The last result in it."""
        try:
            reader = os.open(self._path(), os.O_RDONLY | os.O_CLOEXEC)
            with open(reader, "rb") as file:  # noqa: PTH123 - a descriptor
                if not os.path.sameopenfile(reader, self._descriptor):
                    return None
                file.seek(max(self._start, os.fstat(reader).st_size - MAX_RESULT_BYTES))
                text = file.read(MAX_RESULT_BYTES)
        except OSError:
            return None
        return last_result(text)

    def _path(self) -> str:
        if sys.platform == "darwin":
            return os.fsdecode(fcntl.fcntl(self._descriptor, fcntl.F_GETPATH, bytes(_PATH_BYTES)).rstrip(b"\0"))
        return f"/proc/self/fd/{self._descriptor}"


def last_result(text: bytes) -> Recorded | None:
    """The last result in what the CLI printed with ``--output-format`` json (an object or array) or stream-json."""
    for line in reversed(text.splitlines()):
        if not line.startswith((b"{", b"[")):
            continue
        try:
            told: Any = msgspec.json.decode(line)
            result = msgspec.convert(told[-1] if isinstance(told, list) and told else told, _Result)
        except msgspec.MsgspecError:
            continue
        if result.type == "result":
            by_model = {model: usage.cost for model, usage in result.models.items()}
            return Recorded(result.session_id, result.total_cost_usd, by_model)
    return None


def prints_result(command: Sequence[str]) -> bool:
    """Whether Claude Code, started so, prints a JSON result."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == "--":
            return False
        if word in [f"--output-format={form}" for form in _LISTS] or (
            word == "--output-format" and following in _LISTS
        ):
            return True
    return False
