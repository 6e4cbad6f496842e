"""A network with nothing but loopback, for the thread that enters it and for what it starts meanwhile.

A network namespace belongs to a thread and is inherited by its threads and processes. Sockets keep the one they were
made in; unix sockets (PostgreSQL's) know none. Where the kernel does not permit it (no root), everything stays where it
is, and the environment of the tool alone keeps it at home.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_OWN = "/proc/thread-self/ns/net"


class Loopback:
    """The namespace; ``inside`` is a way into it."""

    def __init__(self) -> None:
        self._inside: int | None = None
        if not sys.platform.startswith("linux"):
            return
        outside = os.open(_OWN, os.O_RDONLY)
        try:
            _call("unshare", _CLONE_NEWNET)
        except PermissionError:
            os.close(outside)
            return
        self._outside = outside
        try:
            _lift_up("lo")
            self._inside = os.open(_OWN, os.O_RDONLY)
        finally:
            _call("setns", outside, _CLONE_NEWNET)

    @property
    def closed_off(self) -> bool:
        """Whether the kernel permitted it."""
        return self._inside is not None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and what it starts, has loopback only. May be entered again from inside."""
        if self._inside is None:
            yield
            return
        before = os.open(_OWN, os.O_RDONLY)
        _call("setns", self._inside, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", before, _CLONE_NEWNET)
            os.close(before)

    def close(self) -> None:
        """Let the namespace go with the last of its processes."""
        if self._inside is not None:
            os.close(self._inside)
            os.close(self._outside)
            self._inside = None


def _call(name: str, *arguments: int) -> None:
    """A system call through the C library. Python has these two from 3.12 on."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _lift_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14x", interface.encode(), 0)
        flags = struct.unpack_from("16xH", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), flags | _IFF_UP))
