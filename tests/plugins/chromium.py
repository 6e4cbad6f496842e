"""A Chromium for the browser tests: ``python tests/plugins/chromium.py`` sees to it that there is one.

The machine's own is taken, or the one that ``CHROMIUM`` names. Else Debian's package: installed by root, and unpacked
into the environment by everybody else, with whatever it needs that the machine lacks.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
UNPACKED = Path(sys.prefix) / "chromium"
LAUNCHER = UNPACKED / "launch"

#: Nothing but the pages under test is to be asked for, and no screen or GPU is needed.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_LAUNCH = """#!/bin/sh
root={root}
export LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu:$root/lib/$(uname -m)-linux-gnu"
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$root/etc/fonts"
exec "$root/usr/lib/chromium/chromium" "$@"
"""


class NoChromiumError(Exception):
    """There is none, and it could not be had. The message says what to do."""


def found() -> str | None:
    """The path of a Chromium; None if there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    here = next((path for path in map(shutil.which, NAMES) if path), None)
    return here or (str(LAUNCHER) if LAUNCHER.exists() else None)


def needed() -> str:
    """The path of a Chromium, which is installed if need be.

    Raises:
        NoChromiumError: it could not be had.
    """
    here = found()
    if here is None:
        if shutil.which("apt-get") is None:
            raise NoChromiumError("install Chromium, and name it in CHROMIUM if it is not on the PATH")
        _install() if os.geteuid() == 0 else _unpack()
        here = found()
    if here is None:
        raise NoChromiumError("Debian's package chromium has no such program; name one in CHROMIUM")
    return here


def _install() -> None:
    sys.stderr.write("Installing Debian's package chromium\n")
    _apt("update", "-qq")
    _apt("install", "-qq", "-y", "--no-install-recommends", "chromium")


def _unpack() -> None:
    """The package and what it needs beyond this machine's packages, without touching any of them."""
    sys.stderr.write(f"Unpacking Debian's package chromium into {UNPACKED}\n")
    state = UNPACKED / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::Lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"]
    options += ["-o", "Debug::NoLocking=1"]
    _apt(*options, "update", "-qq")
    _apt(*options, "install", "-qq", "-y", "--no-install-recommends", "--download-only", "chromium")
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(UNPACKED)])
    LAUNCHER.write_text(_LAUNCH.format(root=shlex.quote(str(UNPACKED))))
    LAUNCHER.chmod(0o755)
    shutil.rmtree(state)


def _apt(*words: str) -> str:
    return _run(["apt-get", *words])


def _run(command: list[str]) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise NoChromiumError(
            f"{' '.join(command[:1] + command[-2:])} failed: {done.stderr.strip()[-500:]}\n"
            "Install the package chromium, or name a Chromium in CHROMIUM."
        )
    return done.stdout


if __name__ == "__main__":
    try:
        needed()
    except NoChromiumError as wrong:
        sys.exit(str(wrong))
