"""``deliver``: what was recorded on this machine becomes rows of a gateway, once each, whatever is in the way."""

import json
import signal
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from companion_process import PATIENCE, Conversation, Home, Ran
from gateway_fixture import Gateway
from gateway_stand_in import GatewayStandIn
from recorded_rows import Exchange, exchange

from majordomo.clock import wall_us
from majordomo.demo.provider_process import ProviderProcess
from majordomo.meter.reading import Bucket, Part
from majordomo.record.frames import Outcome
from majordomo.record.framing import opening_frame
from majordomo.record.journal import Journal

#: A price of 2.5 USD for a million of input tokens and 15 for output, by the packaged catalogue.
MODEL = "gpt-5.4"


def recorded(home: Home, exchanges: Sequence[Exchange], gateway: str | None) -> Path:
    """A journal as a companion leaves it."""
    journal = Journal.create(home.companion_dir / "journal", segment_bytes=200_000, now_us=wall_us())
    about = {"version": 1, "gateway": gateway, "session_id": "", "session_name": "made up"}
    journal.folder.with_name(journal.folder.name + ".about.json").write_text(json.dumps(about))
    for opening, close in exchanges:
        journal.append_openings((opening_frame(opening),))
        if close is not None:
            journal.append_close(close)
    journal.close()
    return journal.folder


def made(tag: str, count: int) -> list[Exchange]:
    """Requests that have ended."""
    found = []
    for number in range(count):
        opening, close = exchange(wall_us() - 60_000_000 + number, metadata={"Test-Case": tag}, model=MODEL)
        assert close is not None
        close.parts = (Part(MODEL, {Bucket.INPUT: 100, Bucket.OUTPUT: 10}),)
        found.append((opening, close))
    return found


def deliver(home: Home, gateway: Gateway, *words: str, key: str | None = None) -> Ran:
    env = {"MAJORDOMO_API_KEY": key or gateway.key}
    return home.run("deliver", "--gateway", gateway.base_url, *words, env=env)


def left(home: Home) -> list[str]:
    """Names of what is in the companion's directory of journals."""
    return sorted(path.name for path in (home.companion_dir / "journal").iterdir())


def test_what_a_run_without_a_gateway_recorded_becomes_rows_when_it_is_told_to(
    home: Home, gateway: Gateway, provider: ProviderProcess
) -> None:
    tag = gateway.tag()
    talk = Conversation(
        home,
        *("exec", "--standalone", "--session-name", "alone", "--metadata", f"Test-Case={tag}"),
        env={"ANTHROPIC_BASE_URL": provider.url},
    )
    assert [talk.ask()["status"] for _ in range(3)] == [200] * 3
    talk.end()
    assert deliver(home, gateway).out.splitlines() == [
        f"0 requests of 0 sessions delivered to {gateway.base_url}",
        "1 session recorded with --standalone left here; --all delivers such, too",
    ]
    ran = deliver(home, gateway, "--all")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"3 requests of 1 session delivered to {gateway.base_url}\n"
    rows = gateway.rows(tag, 3)
    assert all(row["total_cost"] > 0 and row["delivered_from"] is not None for row in rows)
    (session,) = {row["claude_session_id"] for row in rows}
    sums = gateway.sql("SELECT session_name, total_requests, total_cost FROM claude_sessions WHERE id = $1", session)
    assert [tuple(row) for row in sums] == [("alone", 3, sum(row["total_cost"] for row in rows))]
    assert left(home) == []
    assert deliver(home, gateway, "--all").out == f"0 requests of 0 sessions delivered to {gateway.base_url}\n"


def test_killed_and_repeated_it_makes_each_request_a_row_once(home: Home, gateway: Gateway) -> None:
    tag, count = gateway.tag(), 2_500
    exchanges = made(tag, count)
    recorded(home, exchanges, gateway.base_url)
    query = (
        "SELECT count(*), count(DISTINCT id), sum(total_cost) FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1"
    )
    words = ("deliver", "--gateway", gateway.base_url)
    running = home.popen(*words, env={"MAJORDOMO_API_KEY": gateway.key})
    deadline = time.monotonic() + PATIENCE
    while gateway.sql(query, tag)[0][0] < 500:
        assert time.monotonic() < deadline
    running.kill()
    _, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (-signal.SIGKILL, "")
    some = gateway.sql(query, tag)[0][0]
    ran = deliver(home, gateway)
    assert (ran.code, ran.err) == (0, "")
    assert tuple(gateway.sql(query, tag)[0]) == (count, count, count * (100 * 25 + 10 * 150) / Decimal(10**7))
    assert some <= count
    assert left(home) == []


def test_a_request_of_which_nobody_knows_the_end_is_delivered_as_lost(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    lost = exchange(wall_us() - 60_000_000, metadata={"Test-Case": tag}, outcome=Outcome.LOST)
    recorded(home, [lost, *made(tag, 2)], gateway.base_url)
    assert deliver(home, gateway).code == 0
    assert [row["outcome"] for row in gateway.rows(tag, 3)] == ["lost", "completed", "completed"]


def test_what_the_gateway_cannot_take_is_kept_and_holds_up_nothing(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    exchanges = made(tag, 5)
    for number in (1, 3):
        opening, close = exchanges[number]
        assert close is not None
        opening.id = close.id = bytes(15) + bytes([number])  # no UUIDv7
    folder = recorded(home, exchanges, gateway.base_url)
    ran = deliver(home, gateway)
    assert ran.code == 0
    gateway.rows(tag, 3)
    kept = folder.with_name(folder.name + ".refused.jsonl")
    assert f"session made up: 2 requests refused by the gateway, kept in {kept}" in ran.err
    assert left(home) == [kept.name]
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line["problem"] for line in lines] == ["its id is no UUID of version 7"] * 2
    assert [line["request"]["metadata"] for line in lines] == [{"Test-Case": tag}] * 2


def test_a_request_too_large_for_any_delivery_is_kept(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    exchanges = made(tag, 3)
    close = exchanges[1][1]
    assert close is not None
    close.usage = msgspec.json.encode({"x": "y" * 8_386_000})
    folder = recorded(home, exchanges, gateway.base_url)
    assert "1 request refused" in deliver(home, gateway).err
    gateway.rows(tag, 2)
    assert left(home) == [folder.name + ".refused.jsonl"]


def test_a_damaged_journal_gives_what_can_be_read(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    folder = recorded(home, made(tag, 4), gateway.base_url)
    segment = folder / "00000000.journal"
    segment.write_bytes(segment.read_bytes()[:-20])  # the last close, torn by a power cut
    assert deliver(home, gateway).code == 0
    assert [row["outcome"] for row in gateway.rows(tag, 4)] == ["completed"] * 3 + ["lost"]


def test_a_companion_that_runs_keeps_its_journal(home: Home, gateway: Gateway, provider: ProviderProcess) -> None:
    talk = Conversation(
        home, "exec", "--standalone", "--session-name", "busy", env={"ANTHROPIC_BASE_URL": provider.url}
    )
    talk.ask()
    ran = deliver(home, gateway, "--all")
    assert ran.out.splitlines()[0] == "session busy is still running, or being delivered by somebody else"
    talk.end()
    assert deliver(home, gateway, "--all").out.startswith("1 request of 1 session ")


# -- what is wrong gets one line and exit code 1, and nothing is lost -------------------------------------------------


def only_line(ran: Ran) -> str:
    assert ran.code == 1, ran
    (line,) = ran.err.splitlines()
    return line


def test_a_gateway_that_is_away(home: Home) -> None:
    with GatewayStandIn() as stand_in:
        url = stand_in.url
    folder = recorded(home, made("", 1), url)
    ran = home.run("deliver", "--gateway", url, env={"MAJORDOMO_API_KEY": "mdm_sk_" + "k" * 43})
    assert only_line(ran).endswith("nothing is lost, say it again later")
    assert folder.name in left(home)


def test_a_key_that_the_gateway_refuses(home: Home, gateway: Gateway) -> None:
    folder = recorded(home, made("", 1), gateway.base_url)
    key = "mdm_sk_" + "k" * 43
    line = only_line(deliver(home, gateway, key=key))
    assert f"the gateway at {gateway.base_url} refuses the key" in line
    assert key not in line
    assert folder.name in left(home)


def test_a_session_that_another_key_began_to_deliver(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    folder = recorded(home, made(tag, 2), gateway.base_url)
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    deliver(home, gateway)
    folder.mkdir()  # as a restored backup has it
    for path, content in kept.items():
        path.write_bytes(content)
    other = gateway.create_key("another")["key"]
    line = only_line(deliver(home, gateway, "--all", key=other))
    assert "another key began to deliver this session" in line
    assert deliver(home, gateway, "--all").code == 0
    gateway.rows(tag, 2)  # still
    assert left(home) == []


@pytest.mark.parametrize("answer", [{"status": "ok"}, {"position": "many"}, {"position": -1}])
def test_somebody_else_in_the_gateways_place(home: Home, answer: dict[str, object]) -> None:
    with GatewayStandIn() as stand_in:
        stand_in.told = answer
        folder = recorded(home, made("", 1), stand_in.url)
        ran = home.run("deliver", "--gateway", stand_in.url, env={"MAJORDOMO_API_KEY": "mdm_sk_" + "k" * 43})
    assert "does not say how much of the session it has" in only_line(ran)
    assert folder.name in left(home)
