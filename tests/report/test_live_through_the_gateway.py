"""Live requests as a browser gets them: through a front desk, at once, until the gateway stops."""

import http.client
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from gateway_fixture import Gateway, running_gateway

from majordomo.record.postgres_server import PostgresServer

PATIENCE = 30.0


class Stream:
    """An open stream of events."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.reply = reply

    def event(self) -> dict[str, str]:
        """The next event that is none of the stream's own: its fields by name."""
        while True:
            fields: dict[str, str] = {}
            while line := self.reply.readline().decode():
                if line == "\n":
                    break
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            else:
                raise EOFError
            if "event" in fields:
                return fields


@contextmanager
def watching(gateway: Gateway, secret: str, query: str = "", **headers: str) -> Iterator[Stream]:
    """A stream of the live route, read from its beginning."""
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=PATIENCE)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/api/v1/usage/live{query}", headers={"Authorization": f"Bearer {secret}", **sent})
        reply = connection.getresponse()
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        assert reply.readline() == b"retry: 2000\n"  # it looks on from here
        reply.readline()
        yield Stream(reply)
    finally:
        connection.close()


def send(gateway: Gateway, tag: str) -> Any:
    """One request to the provider; its id."""
    body = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(
        f"{gateway.base_url}/v1/chat/completions",
        body,
        {**gateway.headers(tag), "Authorization": "Bearer x", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        reply.read()
        return reply.headers["X-Majordomo-Request-Id"]


def test_a_request_is_told_while_the_stream_is_open(gateway: Gateway) -> None:
    tag, other = gateway.tag(), gateway.tag()
    send(gateway, other)
    gateway.row(other)  # the metadata key is known from here
    with watching(gateway, gateway.token(), f"?filter=Test-Case:{tag}") as stream:
        send(gateway, gateway.tag())
        request_id = send(gateway, tag)
        event = stream.event()
    row = gateway.row(tag)
    told = json.loads(event["data"])
    assert (event["event"], event["id"], told["id"]) == ("request", request_id, request_id)
    assert (told["metadata"]["Test-Case"], told["model"]) == (tag, row["model"])
    assert told["key_name"] == "tests" and told["output_tokens"] == row["output_tokens"]


def test_a_stream_goes_on_behind_the_last_event_that_came(gateway: Gateway) -> None:
    tag, secret = gateway.tag(), gateway.token()
    query = f"?filter=Test-Case:{tag}"
    first = send(gateway, tag)
    gateway.rows(tag, 1)
    second = send(gateway, tag)
    gateway.rows(tag, 2)
    with watching(gateway, secret, query, Last_Event_ID=first) as stream:
        assert stream.event()["id"] == second
        third = send(gateway, tag)
        assert stream.event()["id"] == third
    with watching(gateway, secret, f"{query}&after={second}") as stream:
        assert stream.event()["id"] == third
    with watching(gateway, secret, query, Last_Event_ID="nonsense") as stream:
        assert stream.event() == {"event": "skipped", "data": '{"requests":null}'}


def test_only_the_head_of_the_stream_ends_by_itself(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    for _ in range(3):  # the connection behind the front desk is good for another request
        connection.request("HEAD", "/api/v1/usage/live", headers=headers)
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, b"")
    connection.request("GET", "/api/v1/session", headers=headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_who_is_not_signed_in_gets_no_stream(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=PATIENCE)
    connection.request("GET", "/api/v1/usage/live")
    reply = connection.getresponse()
    assert (reply.status, json.loads(reply.read())["error"]["code"]) == (401, "not_signed_in")
    connection.close()


def test_a_stopping_gateway_ends_the_stream_in_order_and_does_not_wait_for_it(postgres_server: PostgresServer) -> None:
    """The grace for running requests is far longer than the test would take."""
    with running_gateway(postgres_server, "live_stops", MAJORDOMO_SHUTDOWN_GRACE="600") as gateway:
        secret = gateway.token()
        with watching(gateway, secret) as stream:
            gateway.process.close()
            assert stream.reply.read() == b""  # raises IncompleteRead where the stream is cut off
