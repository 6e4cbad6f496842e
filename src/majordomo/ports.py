"""The TCP port that all front desks share: taken once, held while the service runs.

Front desks listen with ``SO_REUSEPORT``, so the kernel would let a second gateway listen beside them unnoticed. So the
supervisor looks first, without that option, whether anybody listens, and then keeps a bound socket that never listens:
it reserves the port (and learns its number, where 0 was asked for) while front desks come and go. On macOS the kernel
gives all connections to one of the listeners, so more than one worker brings nothing there.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from majordomo.launch import SupervisorError

#: Below it, binding needs a privilege.
_FIRST_FREE_PORT = 1024


class PortError(SupervisorError):
    """The address cannot be listened on. The message says why and what to do."""


class Claim:
    """A port that is ours. ``host`` is numeric, ``port`` never 0."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held
        self.host, self.port = held.getsockname()[:2]

    def close(self) -> None:
        """Let the port go."""
        self._held.close()


def claim(host: str, port: int) -> Claim:
    """Take the port.

    Raises:
        PortError: when somebody listens there, or we may not, or the address is not this machine's.
    """
    family, address = _resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as looking:
        # Connections of a former gateway that linger in TIME_WAIT are no reason to refuse; a listener is.
        looking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            looking.bind(address)
            if port:
                looking.listen(1)
        except OSError as wrong:
            raise PortError(_explain(wrong, host, port)) from None
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as wrong:
        held.close()
        raise PortError(_explain(wrong, host, port)) from None
    return Claim(held)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as wrong:
        raise PortError(
            f"host {host!r} is no address of this machine ({wrong.strerror}); "
            f"use 127.0.0.1, or 0.0.0.0 for all addresses"
        ) from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)  # `localhost` is both; callers mostly try 127.0.0.1
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _explain(wrong: OSError, host: str, port: int) -> str:
    if wrong.errno == errno.EADDRINUSE:
        who = listener(port)
        return (
            f"{host}:{port} is already in use{f' by {who}' if who else ''}. "
            f"If that is another majordomo, use it or stop it; "
            f"otherwise choose another port, as in: majordomo serve --port {port + 1 if port < 65_535 else 0}"
        )
    if wrong.errno == errno.EACCES and port < _FIRST_FREE_PORT:
        return f"port {port} is reserved for root; choose one from {_FIRST_FREE_PORT} on, such as 7680"
    return f"cannot listen on {host}:{port}: {wrong.strerror}; use an address of this machine, such as 127.0.0.1"


def listener(port: int) -> str | None:
    """Who listens on the TCP port, as ``name (process 123)``; None if nobody does or it cannot be told."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(handle.readlink()) in inodes:
                        return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    wanted, listening = f":{port:04X}", "0A"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == listening:
                    yield f"socket:[{fields[9]}]"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or host == "::1" or host.startswith("127.")
