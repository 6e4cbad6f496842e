"""A proxy key with a real gateway: stored by the back office, used by the front desk, over a second after its end."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from gateway_fixture import Gateway, running_gateway

from majordomo.record.postgres_server import PostgresServer

PATIENCE = 30.0
REAL = "sk-ant-api03-the-real-one"
REPLY = b'{"type":"message","model":"claude-opus-4-8","usage":{"input_tokens":1,"output_tokens":1}}'


class Provider:
    """Answers every request, and keeps which credentials came."""

    def __init__(self) -> None:
        self.credentials: list[str | None] = []
        credentials = self.credentials

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                credentials.append(self.headers["x-api-key"])
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(REPLY)))
                self.end_headers()
                self.wfile.write(REPLY)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        provider.server.shutdown()
        thread.join()
        provider.server.server_close()


def change(gateway: Gateway, secret: str, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{gateway.base_url}/api/v1/proxy-keys{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)


def send(gateway: Gateway, tag: str, proxy_key: str) -> int:
    """The status of a request with this credential, its reply read to the end: one let go of earlier is cut short."""
    headers = {**gateway.headers(tag), "x-api-key": proxy_key, "anthropic-version": "2023-06-01"}
    body = b'{"model":"claude-opus-4-8","max_tokens":1,"messages":[]}'
    request = urllib.request.Request(f"{gateway.base_url}/v1/messages", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            reply.read()
            return int(reply.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def test_a_proxy_key_is_used_from_a_second_after_it_was_stored_until_a_second_after_its_end(
    postgres_server: PostgresServer,
) -> None:
    """Time passes by the clock: what is promised within a second holds after one."""
    second = threading.Event()
    with serving() as provider, running_gateway(postgres_server, "proxy_keys", provider) as gateway:
        secret, tag = gateway.token(), gateway.tag()
        made = change(gateway, secret, "POST", "", {"name": "team"})
        change(gateway, secret, "PUT", f"/{made['id']}/providers/anthropic", {"credential": REAL})
        second.wait(1)
        assert [send(gateway, tag, made["key"]) for _ in range(3)] == [200] * 3
        assert provider.credentials == [REAL] * 3
        change(gateway, secret, "POST", f"/{made['id']}/revoke")
        second.wait(1)
        assert send(gateway, tag, made["key"]) == 401
        assert provider.credentials == [REAL] * 3
        rows = gateway.rows(tag, 4)
        assert [row["outcome"] for row in rows] == ["completed"] * 3 + ["refused"]
        kept = "".join(path.read_text(errors="replace") for path in gateway.process.data_dir.rglob("*.journal"))
        assert REAL not in kept + str([dict(row) for row in rows]) + "".join(gateway.process.lines)


@pytest.mark.parametrize("words", [("proxy-keys", "list"), ("proxy-keys", "create", "--name", "x")])
def test_its_commands_work_beside_a_running_gateway(gateway: Gateway, words: tuple[str, ...]) -> None:
    assert "proxy key" in gateway.process.run(*words)
