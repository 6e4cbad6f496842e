"""What the doctor hears when it asks for the gateway: the right answer, the wrong one, none."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from gateway_fixture import Gateway
from tls import Authority

from majordomo.checkup.finding import Finding, State
from majordomo.companion.checkup.gateway import gateway as look

KEY = "mdm_sk_" + "k" * 43
HEALTHY: dict[str, Any] = {"/health": {"status": "ok"}}


@contextmanager
def answering(
    answers: dict[str, Any], status: int = 200, context: ssl.SSLContext | None = None, **headers: str
) -> Iterator[str]:
    """A server on loopback that gives these JSON answers by path, and 404 for others."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found).encode()
            self.send_response(status if found is not None else 404)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def worst(findings: Iterator[Finding]) -> Finding:
    found = list(findings)
    assert all(finding.advice or finding.state is State.OK for finding in found)
    return max(found, key=lambda finding: list(State).index(finding.state))


def test_a_real_gateway_takes_its_key_and_refuses_another(gateway: Gateway):
    good = list(look(gateway.base_url, gateway.key))
    assert [finding.check for finding in good if finding.state is State.OK] == ["gateway", "key"]
    bad = worst(look(gateway.base_url, KEY))
    assert (bad.check, bad.state) == ("key", State.FAIL)
    assert "keys list" in bad.advice
    assert KEY not in repr(bad)
    assert gateway.key not in repr(good)


def test_nothing_that_listens_is_told_as_such():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    found = worst(look(url, None))
    assert found.state is State.FAIL
    assert "nothing listens" in found.message
    assert "majordomo serve" in found.advice


@pytest.mark.parametrize("answers", [{}, {"/health": {"status": "UP"}}, {"/health": ["ok"]}])
def test_somebody_else_at_the_address_is_no_gateway(answers: dict[str, Any]):
    with answering(answers) as url:
        assert "no Majordomo gateway" in worst(look(url, None)).message


def test_a_redirect_is_not_followed_and_says_where_to(tmp_path: Path):
    with answering(HEALTHY, 308, Location="https://gw.example/health?secret=1") as url:
        found = worst(look(url, KEY))
    assert "redirects to https://gw.example" in found.message
    assert "secret" not in found.message


def test_http_and_https_are_told_apart(tmp_path: Path):
    context = Authority(tmp_path).context("127.0.0.1")
    with answering(HEALTHY, context=context) as url:
        found = worst(look(url.replace("https", "http"), None))
        assert "speaks TLS" in found.message
        assert url in found.advice
        assert "certificate is not trusted" in worst(look(url, None)).message
    with answering(HEALTHY) as url:
        assert "does not speak TLS" in worst(look(url.replace("http", "https"), None)).message


def test_a_gateway_whose_database_is_away_still_serves():
    parts = {"parts": {"database": {"state": "down", "note": "cannot connect"}, "prices": {"state": "ok"}}}
    with answering({**HEALTHY, "/readyz": parts, "/api/v1/claude-sessions": {"sessions": []}}) as url:
        found = list(look(url, KEY))
    assert [(finding.check, finding.state) for finding in found] == [
        ("gateway", State.OK),
        ("gateway", State.WARN),
        ("key", State.OK),
    ]
    assert "cannot connect" in found[1].message


def test_without_a_key_only_the_way_is_checked():
    with answering(HEALTHY) as url:
        assert worst(look(url, None)).state is State.WARN
        assert worst(look(url, "sk-ant-api03-x")).state is State.FAIL
