"""A metadata key becomes active while a real gateway serves: new requests at once, older ones behind, whatever dies."""

import json
import os
import signal
import time
import urllib.request
from typing import Any

from gateway_fixture import Gateway, running_gateway

from majordomo.places import Places
from majordomo.record.postgres_server import PostgresServer
from majordomo.supervisor import read_status

PATIENCE = 30.0


def ask(gateway: Gateway, secret: str, method: str, path: str) -> Any:
    """An answer of the control API."""
    request = urllib.request.Request(
        f"{gateway.base_url}/api/v1{path}", method=method, headers={"Authorization": f"Bearer {secret}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)


def send(gateway: Gateway, tag: str, value: str) -> None:
    """One request with the metadata key Ripe."""
    body = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = {**gateway.headers(tag, Ripe=value), "Authorization": "Bearer x", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{gateway.base_url}/v1/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        reply.read()


def wait_until_filled_in(gateway: Gateway, secret: str) -> Any:
    """The key once its older requests are filled in."""
    deadline = time.monotonic() + 2 * PATIENCE
    while (told := ask(gateway, secret, "GET", "/metadata-keys/ripe"))["backfill"]["state"] != "done":
        assert time.monotonic() < deadline, told["backfill"]
        time.sleep(0.2)
    return told


def test_a_second_after_activation_new_requests_are_indexed_and_later_the_old_ones(gateway: Gateway) -> None:
    secret, before, after = gateway.token(), gateway.tag(), gateway.tag()
    send(gateway, before, "early")
    gateway.row(before)
    ask(gateway, secret, "POST", "/metadata-keys/ripe/activate")
    time.sleep(1)
    send(gateway, after, "late")
    assert json.loads(gateway.row(after)["indexed_metadata"]) == {"Ripe": "late"}
    told = wait_until_filled_in(gateway, secret)
    assert (told["backfill"]["rows_filled"], told["sample_values"]) == (1, ["late", "early"])
    assert json.loads(gateway.row(before)["indexed_metadata"]) == {"Ripe": "early"}
    rows = ask(gateway, secret, "GET", "/usage/breakdown?group_by=Ripe&period=today")["rows"]
    assert {row["value"]: row["usage"]["requests"] for row in rows if row["value"]} == {"early": 1, "late": 1}
    ask(gateway, secret, "POST", "/metadata-keys/ripe/deactivate")


def test_a_back_office_killed_in_the_middle_of_filling_in_goes_on(postgres_server: PostgresServer) -> None:
    """kill -9; the supervisor starts another one, which does the rest, and every row is in the sums once."""
    with running_gateway(postgres_server, "activation_crash") as gateway:
        secret, tag = gateway.token(), gateway.tag()
        send(gateway, tag, "0")
        gateway.row(tag)
        gateway.sql(
            "INSERT INTO llm_requests (id, majordomo_api_key_id, provider, api, request_path, request_method,"
            " requested_at, outcome, usage_state, raw_metadata) SELECT gen_random_uuid(), majordomo_api_key_id,"
            " provider, api, '/', 'POST', now() - n * interval '1 s', 'completed', 'final',"
            " jsonb_build_object('Ripe', (n % 7)::text)"
            " FROM llm_requests, generate_series(1, 20000) AS n"
        )
        ask(gateway, secret, "POST", "/metadata-keys/ripe/activate")
        seen = 0
        deadline = time.monotonic() + PATIENCE
        while not seen:
            assert time.monotonic() < deadline
            seen = ask(gateway, secret, "GET", "/metadata-keys/ripe")["backfill"]["rows_seen"]
        status = read_status(Places(gateway.process.data_dir))
        assert status is not None
        (office,) = [process for process in status.processes if process.name == "back office"]
        assert office.pid is not None
        os.kill(office.pid, signal.SIGKILL)
        (left,) = gateway.sql("SELECT count(*) FROM llm_requests WHERE NOT indexed_metadata ? 'Ripe'")
        assert left[0] > 0
        deadline = time.monotonic() + 2 * PATIENCE
        while gateway.sql("SELECT count(*) FROM metadata_backfills WHERE finished_at IS NULL")[0][0]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        counts = (
            "SELECT count(*) FILTER (WHERE indexed_metadata ? 'Ripe') AS indexed,"
            " (SELECT sum(requests) FROM usage_by_metadata_daily) AS summed FROM llm_requests"
        )
        assert tuple(gateway.sql(counts)[0]) == (20001, 20001)
