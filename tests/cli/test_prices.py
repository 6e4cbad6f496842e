"""``majordomo prices``: tables for people, JSON for programs, errors that say what to do."""

import gzip
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from majordomo.cli.prices import app
from majordomo.price import catalogue
from majordomo.price.catalogue import Envelope


@pytest.fixture
def feed_body() -> bytearray:
    """What the feed on loopback answers; starts as the packaged catalogue."""
    envelope = msgspec.json.decode(gzip.decompress(catalogue.packaged_bytes()), type=Envelope)
    return bytearray(msgspec.json.encode(envelope.providers))


@pytest.fixture
def prices(tmp_path: Path, feed_body: bytearray, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs ``majordomo prices ...`` with a data directory and a feed of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(feed_body)))
            self.end_headers()
            self.wfile.write(bytes(feed_body))

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAJORDOMO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MAJORDOMO_PRICE_FEED_URL", f"http://127.0.0.1:{server.server_address[1]}/data.json")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


def replace(body: bytearray, old: bytes, new: bytes) -> None:
    assert old in body
    body[:] = body.replace(old, new, 1)


GPT_4O = b'"prices":{"input_mtok":"2.5","cache_read_mtok":"1.25","output_mtok":"10","web_searches_kcount":"10"'


def test_show_prints_every_processing_and_length(prices: Any) -> None:
    shown = prices("show", "gpt-6-sol")
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.output.splitlines()]
    assert ["standard", "short", "2", "0.2", "2.5", "10"] in rows
    assert ["standard", ">", "272,000", "4", "0.4", "5", "15"] in rows
    assert ["flex", "short", "1", "0.1", "1.25", "5"] in rows
    assert ["batch", ">", "272,000", "2", "0.2", "2.5", "7.5"] in rows
    assert "web search 10 $/1k" in shown.output
    assert f"Version {catalogue.packaged().version}" in shown.output


def test_show_takes_options_before_and_after_and_prints_json(prices: Any) -> None:
    for arguments in (("--json", "show"), ("show", "--json")):
        if arguments[0] == "--json":
            arguments = ("show", "--json", "--provider", "anthropic", "claude-opus-5-5")
        else:
            arguments = ("show", "claude-opus-5-5", "--json", "--provider", "anthropic")
        shown = json.loads(prices(*arguments).output)
        (listed,) = shown["prices"]
        lines = {(line["processing"], line["above"]): line["rates"] for line in listed["lines"]}
        assert lines["standard", None]["cache_read"] == {"usd": "0.2", "per": "$/M"}
        assert lines["fast", None]["output"]["usd"] == "40"
        assert lines["batch", None]["cache_write_1h"]["usd"] == "4"
        assert lines["standard", None]["web_search"] == {"usd": "10", "per": "$/1k"}


def test_show_knows_the_price_of_another_day(prices: Any) -> None:
    for day, rate in (("2026-07-29", "1"), ("2026-07-30", "0.2")):
        shown = json.loads(prices("show", "gpt-5.6-luna", "--provider", "openai", "--at", day, "--json").output)
        assert shown["prices"][0]["lines"][0]["rates"]["input"]["usd"] == rate
    assert "is no date" in str(prices("show", "gpt-4o", "--at", "soon").exception)


def test_show_marks_what_cannot_be_charged_exactly(prices: Any) -> None:
    assert "1.02?" in prices("show", "gpt-live-transcribe").output


def test_show_offers_near_names_for_an_unknown_model(prices: Any) -> None:
    failed = prices("show", "gpt-6-sool")
    assert failed.exit_code == 1
    assert "no price is known for gpt-6-sool" in str(failed.exception)
    assert "openai/gpt-6-sol" in str(failed.exception)
    assert "docs/prices.md" in str(prices("show", "zzzzzzzz").exception)


def test_show_reads_the_overlay(prices: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = tmp_path / "overlay.toml"
    overlay.write_text('[[rates]]\nprovider = "acme"\nmodels = ["own"]\nnew_model = true\nrates = { input = 3 }')
    monkeypatch.setenv("MAJORDOMO_PRICE_OVERLAY", str(overlay))
    shown = json.loads(prices("show", "own", "--json").output)
    assert (shown["prices"][0]["provider"], shown["prices"][0]["entry"]) == ("acme", None)
    overlay.write_text("[[rates]")
    assert prices("show", "own").exit_code == 1


def test_refresh_takes_a_good_feed_and_tells_what_changed(prices: Any, feed_body: bytearray) -> None:
    assert "No change" in prices("refresh").output
    replace(feed_body, GPT_4O, GPT_4O.replace(b"2.5", b"2.4", 1))
    taken = prices("refresh")
    assert taken.exit_code == 0
    assert "~ openai gpt-4o input_mtok: 2.5 -> 2.4" in taken.output
    assert "New prices" in taken.output
    shown = json.loads(prices("show", "gpt-4o", "--provider", "openai", "--json").output)
    assert Decimal(shown["prices"][0]["lines"][0]["rates"]["input"]["usd"]) == Decimal("2.4")


def test_refresh_refuses_a_bad_feed_with_exit_code_1_until_it_is_accepted(prices: Any, feed_body: bytearray) -> None:
    replace(feed_body, GPT_4O, GPT_4O.replace(b"2.5", b"250", 1))
    refused = prices("refresh", "--json")
    assert refused.exit_code == 1
    told = json.loads(refused.output)
    assert (told["outcome"], told["implausible"]) == ("refused", True)
    assert told["changes"]["doubts"] == ["openai gpt-4o input_mtok from 2.5 to 250"]
    assert "prices refresh --accept" in prices("refresh").output
    assert prices("refresh", "--accept").exit_code == 0
    feed_body[:] = b"[]"
    broken = prices("refresh", "--accept")
    assert broken.exit_code == 1
    assert "The prices stay as they are" in broken.output


def test_diff_compares_packaged_current_feed_and_history(prices: Any, feed_body: bytearray) -> None:
    assert "No difference" in prices("diff").output
    replace(feed_body, GPT_4O, GPT_4O.replace(b"2.5", b"2.4", 1))
    line = "~ openai gpt-4o input_mtok: 2.5 -> 2.4"
    assert line in prices("diff", "current", "feed").output
    assert "No difference" in prices("diff").output
    version = json.loads(prices("refresh", "--json").output)["version"]
    assert line in prices("diff").output
    assert "No difference" in prices("diff", version, "current").output
    (rate,) = json.loads(prices("diff", "--json").output)["rates"]
    assert (rate["old"], rate["new"], rate["implausible"]) == ("2.5", "2.4", False)
    assert version in str(prices("diff", "nonsense").exception)


def test_reprice_says_what_it_changed(
    prices: Any, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from recorded_rows import exchange, record

    at_us = 1_795_176_000_000_000  # 2026-11-20 12:00 UTC
    rows = [exchange(at_us + n, model=model, costs=None) for n, model in enumerate(["gpt-6-sol"] * 3 + ["nope"])]
    record(postgres_dsn, tmp_path, rows)
    monkeypatch.setenv("MAJORDOMO_DATABASE_URL", postgres_dsn)
    told = json.loads(prices("reprice", "--json").output)
    assert told["looked_at"] == 4
    # three times 100 input and 10 output tokens
    assert told["priced"] == [{"provider": "openai", "model": "gpt-6-sol", "rows": 3, "usd": "0.0009"}]
    assert told["unpriced"] == [{"provider": "openai", "model": "nope", "rows": 1, "reason": "unknown_model"}]
    assert "0 of 1 rows priced" in prices("reprice").output
