"""The proxy's port: on loopback, and open before anything else is, so that the child may start at once."""

import errno
import socket

from majordomo.companion.errors import CompanionError

#: Connections that the kernel may hold before they are accepted; one coding agent opens a handful.
BACKLOG = 128

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket that already takes connections; they are answered once the proxy runs. ``port`` 0: a free one.

    Raises:
        CompanionError: the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(BACKLOG)
    except OSError as wrong:
        listening.close()
        if wrong.errno == errno.EADDRINUSE:
            raise CompanionError(
                f"port {port} on {HOST} is taken; choose another, or leave --port out for a free one"
            ) from None
        raise CompanionError(f"cannot listen on {HOST} port {port}: {wrong.strerror}") from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Where the proxy is reached."""
    return f"http://{HOST}:{listening.getsockname()[1]}"
