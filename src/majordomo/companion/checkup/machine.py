"""What lies on this machine: Claude Code itself, the project's metadata, and what earlier companions left."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from majordomo.checkup.finding import Finding, fail, ok, warn
from majordomo.companion import metadata
from majordomo.companion.checkup.surroundings import Surroundings
from majordomo.companion.errors import CompanionError
from majordomo.companion.journal import REFUSED_SUFFIX, journal_dir
from majordomo.companion.metadata import MetadataError
from majordomo.companion.pid_file import FoundPidFile
from majordomo.meter.claude_release import RELEASE
from majordomo.record.segments import journal_folders, segment_numbers, segment_path

#: Seconds that Claude Code may take to tell its version; it takes a third of one.
_PATIENCE = 10.0

_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.-]*")


def claude_code(around: Surroundings) -> Iterator[Finding]:
    """Which Claude Code would be started, and whether its prices and rules are the ones used here."""
    path = shutil.which("claude", path=around.environment.get("PATH"))
    if path is None:
        yield warn("Claude Code", "no `claude` in PATH", "install it: npm install -g @anthropic-ai/claude-code")
        return
    try:
        ran = subprocess.run(
            [path, "--version"],
            env=dict(around.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as wrong:
        yield warn("Claude Code", f"{path} --version does not work: {wrong}", "see whether `claude` starts at all")
        return
    match = _VERSION.search(ran.stdout)
    if match is None:
        yield warn("Claude Code", f"{path} does not tell its version", "see whether `claude` starts at all")
    elif match.group() != RELEASE:
        yield warn(
            "Claude Code",
            f"{path} is {match.group()}; what /usage will show is worked out as {RELEASE} does",
            "nothing is wrong unless a companion says at a session's end that the two differ",
        )
    else:
        yield ok("Claude Code", f"{path} is {RELEASE}, whose own sums are worked out exactly")


def project_metadata(around: Surroundings) -> Iterator[Finding]:
    """Whether ``.majordomo/metadata.json`` can be sent."""
    path = around.project / metadata.FILE
    try:
        found = metadata.read(around.project, ())
    except MetadataError as wrong:
        yield fail("metadata", str(wrong), "correct it: a companion does not start with it")
        return
    if path.exists():
        yield ok("metadata", f"{path}: {', '.join(found) or 'empty'}")
    else:
        yield ok("metadata", f"no {metadata.FILE} in {around.project}")


def journals() -> Iterator[Finding]:
    """Requests that were recorded on this machine only, and those that a gateway would not take."""
    waiting = size = 0
    place = journal_dir()
    try:
        for _, folder in journal_folders(place):
            here = sum(segment_path(folder, number).stat().st_size for number in segment_numbers(folder))
            waiting += here > 0
            size += here
    except OSError as wrong:
        yield warn("local journal", f"{place} cannot be read: {wrong.strerror}", "check its owner and permissions")
        return
    if waiting:
        yield warn(
            "local journal",
            f"requests of {waiting} sessions ({size / 1024:.0f} KB) are recorded in {place} only",
            "`majordomo-companion deliver` hands them to the gateway",
        )
    elif refused := sorted(path.name for path in place.glob(f"*{REFUSED_SUFFIX}")):
        yield warn(
            "local journal",
            f"requests that a gateway would not take are kept in {place}: {', '.join(refused[:3])}",
            "each line has the reason; remove the files once you have seen to them",
        )
    else:
        yield ok("local journal", "nothing waits")


def pid_file(path: Path) -> Iterator[Finding]:
    """Whether the companion that wrote it still runs."""
    try:
        found = FoundPidFile(path)
    except CompanionError as wrong:
        yield warn("PID file", str(wrong), "start one with `majordomo-companion start`")
        return
    try:
        if found.lives():
            yield ok("PID file", f"the companion of {path} runs as process {found.pid}")
        else:
            yield warn(
                "PID file",
                f"{path} was left by a companion (process {found.pid}) that is gone",
                f"`majordomo-companion stop --pid-file {path}` removes it",
            )
    finally:
        found.close()
