"""A provider that takes every connection, judges what comes by a strict parser (h11), and answers at once."""

import re
import socket
import threading
from typing import NamedTuple

import h11
from wire import Providers

REPLY = b'{"model":"m","usage":{}}'


class Seen(NamedTuple):
    """One request, as whoever parsed it understood it."""

    method: bytes
    target: bytes
    body: bytes


class AnsweringProvider(Providers):
    """``seen``: complete requests in the order of their ends; ``faults``: what was no valid HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.faults: list[str] = []
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept_all, daemon=True)
        self._thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        peer = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        try:
            while self._one_request(connection, peer):
                peer.start_next_cycle()
        except h11.RemoteProtocolError as fault:
            if peer.their_state is not h11.MUST_CLOSE and "closed" not in str(fault):
                self.faults.append(str(fault))
        except (OSError, h11.LocalProtocolError):
            pass
        finally:
            connection.close()
            self._open.discard(connection)

    def _one_request(self, connection: socket.socket, peer: h11.Connection) -> bool:
        request: h11.Request | None = None
        body = b""
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                peer.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                self.seen.append(Seen(request.method, request.target, body))
                answer = h11.Response(status_code=200, headers=[("Content-Length", str(len(REPLY)))])
                said = (answer, h11.Data(data=REPLY), h11.EndOfMessage())
                if request.method == b"HEAD":
                    said = (answer, h11.EndOfMessage())
                connection.sendall(b"".join(peer.send(each) or b"" for each in said))
                return peer.our_state is h11.DONE and peer.their_state is h11.DONE
            else:
                return False

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        super().close()
        for connection in list(self._open):
            connection.close()


def strictly_read(data: bytes) -> tuple[list[Seen], bool]:
    """The complete requests that h11 finds in ``data``, and whether it found them all well-formed.

    Two liberties of our parser are granted, neither of which moves the end of a request: line ends before a request,
    and several spaces behind the method.
    """
    seen: list[Seen] = []
    while data := data.lstrip(b"\r\n"):
        try:
            request, data, closes = _one(re.sub(rb"^([A-Z-]+) +", rb"\1 ", data))
        except h11.RemoteProtocolError:
            return seen, False
        if request is None:
            break
        seen.append(request)
        if closes:
            break
    return seen, True


def _one(data: bytes) -> tuple[Seen | None, bytes, bool]:
    """The first request, what is behind it, and whether the connection ends after it."""
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    peer.receive_data(data)
    head, body = None, b""
    while True:
        event = peer.next_event()
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            closes = peer.their_state is h11.MUST_CLOSE
            return Seen(head.method, head.target, body), peer.trailing_data[0], closes
        else:
            return None, b"", False
