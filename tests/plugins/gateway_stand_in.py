"""A scripted gateway, for what no real one can be made to do at the right moment: be away, be slow, come back."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

REQUEST_ID = "01a20cb0-ee58-7000-af86-38b03cb97c5e"

#: A reply of a provider, as it comes through a gateway.
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 100, "output_tokens": 10},
}  # fmt: skip


class Heard(NamedTuple):
    """One request that reached it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class GatewayStandIn:
    """Listens until ``stop``; ``start`` takes the same port again."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.refuses_key = False
        self.slow = threading.Event()  # registration waits while this is not set
        self.slow.set()
        self.next_status = 200
        self.sessions_status = 201
        self.healthy = True
        self.told: dict[str, Any] = {"status": "ok", "version": "0"}  # whatever is asked for
        self.request_id: str | None = REQUEST_ID
        self.breaks_off = False
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Take connections."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be away."""
        self.slow.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def messages(self) -> list[Heard]:
        """What was to go to a provider."""
        return [heard for heard in self.heard if heard.path.startswith("/v1/")]

    def sessions(self) -> list[tuple[str, Any]]:
        """Path and body of calls about sessions."""
        return [(heard.path, heard.body) for heard in self.heard if heard.path.startswith("/api/")]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            # Without keep-alive: a gateway that was stopped must not go on answering.
            def do_GET(self) -> None:
                stand_in.heard.append(Heard("GET", self.path, dict(self.headers), None))
                self._answer(200 if stand_in.healthy else 503, stand_in.told)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/api/v1/claude-sessions":
                    stand_in.slow.wait(30)
                stand_in.heard.append(Heard("POST", self.path, dict(self.headers), body))
                if self.path.startswith("/api/"):
                    if stand_in.refuses_key:
                        self._answer(401, {"error": {"code": "gateway_key_unknown", "message": "No such key here."}})
                    else:
                        self._answer(stand_in.sessions_status, body)
                elif stand_in.breaks_off:
                    self.close_connection = True
                else:
                    self._answer(stand_in.next_status, MESSAGE, stand_in.request_id)

            def _answer(self, status: int, told: Any, request_id: str | None = None) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if request_id is not None:
                    self.send_header("X-Majordomo-Request-Id", request_id)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
                pass

        return Handler

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
