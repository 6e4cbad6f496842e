"""Both ends of a wire in the hands of one test: it speaks as the caller and as the provider, with a real desk between.

A test reads as a dialogue::

    caller.send(b"GET /v1/models HTTP/1.1\\r\\n...")
    provider = providers.accept()
    assert provider.head().startswith(b"GET /v1/models HTTP/1.1\\r\\n")
    provider.send(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    assert caller.reply().status == 204
"""

import socket
import struct
import time
from typing import NamedTuple

#: A machine with nothing else to do answers in a millisecond; this is for when it has much to do (s).
PATIENCE = 5.0


class Message(NamedTuple):
    """A request or a reply as it was read off the wire."""

    head: bytes  # as it came, with the empty line at its end
    body: bytes
    trailers: bytes = b""
    cut: bool = False  # the connection ended before the message did

    @property
    def start(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    @property
    def lines(self) -> list[bytes]:
        """The header lines in their order."""
        return self.head[:-4].split(b"\r\n")[1:]

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        low = name.lower().encode() + b":"
        return [line[len(low) :].strip().decode("latin-1") for line in self.lines if line.lower().startswith(low)]

    def value(self, name: str) -> str | None:
        """The one value of a header, or None; two of them fail the test."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class Peer:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._read = b""

    def __repr__(self) -> str:
        return f"<Peer, read ahead: {self._read[:80]!r}>"

    # -- speaking -----------------------------------------------------------------------------------------------------

    def send(self, *pieces: bytes) -> None:
        """Send pieces one by one, each its own segment as far as the kernel lets us say so."""
        for piece in pieces:
            self._socket.sendall(piece)

    def send_what_fits(self, data: bytes) -> int:
        """Send until the other side takes no more; how many bytes went."""
        self._socket.settimeout(0.3)
        sent = 0
        try:
            while sent < len(data):
                sent += self._socket.send(data[sent : sent + 65536])
        except TimeoutError:
            pass
        self._socket.settimeout(PATIENCE)
        return sent

    def half_close(self) -> None:
        """Say no more, and go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Break the connection so that the other side gets an error instead of an end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    # -- listening ----------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        piece = self._socket.recv(65536)
        self._read += piece
        return bool(piece)

    def head(self) -> bytes:
        """Everything up to an empty line, with it."""
        while b"\r\n\r\n" not in self._read:
            assert self._more(), f"the connection ended in a head: {self._read!r}"
        return self.read(self._read.index(b"\r\n\r\n") + 4)

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._read) < size:
            assert self._more(), f"the connection ended after {len(self._read)} of {size} bytes: {self._read[:200]!r}"
        data, self._read = self._read[:size], self._read[size:]
        return data

    def expect(self, data: bytes) -> None:
        """The next bytes are these."""
        assert self.read(len(data)) == data

    def rest(self) -> bytes:
        """Everything until the connection ends, whichever way."""
        try:
            while self._more():
                pass
        except ConnectionError:
            pass
        data, self._read = self._read, b""
        return data

    def assert_ended(self) -> None:
        """The other side has closed, and had nothing more to say."""
        assert self.rest() == b""

    def request(self) -> Message:
        """A whole request."""
        head = self.head()
        return self._message(head, until_end=False)

    def reply(self, *, to_head: bool = False) -> Message:
        """A whole reply, interim ones not counted; or what came of it before the connection ended."""
        head = self.head()
        while head.startswith(b"HTTP/1.1 1"):
            head = self.head()
        status = head[9:12]
        if to_head or status in (b"204", b"304"):
            return Message(head, b"")
        return self._message(head, until_end=True)

    def _message(self, head: bytes, *, until_end: bool) -> Message:
        bare = Message(head, b"")
        try:
            if bare.value("Transfer-Encoding") == "chunked":
                return self._chunked(head)
            length = bare.value("Content-Length")
            if length is None:
                return Message(head, self.rest() if until_end else b"")
            while len(self._read) < int(length):
                if not self._more():
                    return Message(head, self.rest(), cut=True)
        except ConnectionError:
            data, self._read = self._read, b""
            return Message(head, data, cut=True)
        return Message(head, self.read(int(length)))

    def _chunked(self, head: bytes) -> Message:
        body = b""
        while True:
            size_line = self._line()
            if size_line is None:
                return Message(head, body, cut=True)
            size = int(size_line, 16)
            if size == 0:
                break
            while len(self._read) < size + 2:
                if not self._more():
                    return Message(head, body + self._read[:size], cut=True)
            body += self.read(size)
            assert self.read(2) == b"\r\n"
        trailers = b""
        while line := self._line():
            trailers += line + b"\r\n"
        return Message(head, body, trailers, cut=line is None)

    def _line(self) -> bytes | None:
        while b"\r\n" not in self._read:
            try:
                if not self._more():
                    return None
            except ConnectionError:
                return None
        line = self.read(self._read.index(b"\r\n") + 2)
        return line[:-2]


class Providers:
    """Where a desk's providers answer: a listening socket whose connections the test takes one by one."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        self._listening = socket.socket()
        if receive_buffer is not None:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self._accepted: list[Peer] = []
        self.port: int = self._listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authority(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    def accept(self) -> Peer:
        """The next connection that the desk opens."""
        self._listening.settimeout(PATIENCE)
        connection, _ = self._listening.accept()
        peer = Peer(connection)
        self._accepted.append(peer)
        return peer

    def serve(self, reply: bytes) -> Peer:
        """Take the next connection, read a whole request there, and answer it."""
        peer = self.accept()
        peer.request()
        peer.send(reply)
        return peer

    def assert_nobody_called(self) -> None:
        """No connection waits to be accepted."""
        self._listening.settimeout(0)
        try:
            self._listening.accept()
        except BlockingIOError:
            return
        raise AssertionError("the desk opened a connection to the provider")

    def close(self) -> None:
        for peer in self._accepted:
            peer.hang_up()
        self._listening.close()


def eventually(holds: object, what: str = "") -> None:
    """Wait for something that is certain to come, within patience."""
    assert callable(holds)
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"did not come to pass: {what or holds}"
        time.sleep(0.005)
