"""Whatever a feed does, it never replaces a good catalogue with a bad one."""

import asyncio
import gzip
import re
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from majordomo.price import catalogue, feed, store
from majordomo.price.catalogue import Envelope, FeedProvider, Model
from majordomo.price.pricer import Pricer

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Feed:
    """A feed on loopback that answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.promised: int | None = None
        self.asked: list[dict[str, str]] = []
        self.url = ""


@pytest.fixture
def served() -> Iterator[Feed]:
    told = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append({name.lower(): value for name, value in self.headers.items()})
            status = 304 if self.headers.get("If-None-Match") == told.headers.get("ETag", "-") else told.status
            self.send_response(status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            body = b"" if status == 304 else told.body
            self.send_header("Content-Length", str(len(body) if told.promised is None else told.promised))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/data.json"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


Change = Callable[[list[FeedProvider]], None]


def changed(change: Change | None = None) -> bytes:
    """The packaged catalogue as a feed, with a change."""
    envelope = msgspec.json.decode(gzip.decompress(catalogue.packaged_bytes()), type=Envelope)
    if change:
        change(envelope.providers)
    return msgspec.json.encode(envelope.providers)


def model_of(providers: list[FeedProvider], provider: str, name: str) -> tuple[list[Model], int]:
    models = next(known.models for known in providers if known.id == provider)
    return models, next(place for place, model in enumerate(models) if model.id == name)


def set_rate(providers: list[FeedProvider], rate: str, provider: str = "openai", name: str = "gpt-4o") -> None:
    models, place = model_of(providers, provider, name)
    assert isinstance(models[place].prices, dict)
    models[place] = msgspec.structs.replace(models[place], prices=models[place].prices | {"input_mtok": Decimal(rate)})


def drop_model(providers: list[FeedProvider]) -> None:
    models, place = model_of(providers, "openai", "gpt-4o")
    del models[place]


def add_model(providers: list[FeedProvider]) -> None:
    providers[0].models.append(Model(id="new", match={"equals": "new"}, prices={"input_mtok": Decimal(1)}))


def test_a_good_feed_becomes_the_current_catalogue_and_history(served: Feed, tmp_path: Path) -> None:
    served.body = changed(lambda providers: set_rate(providers, "2"))
    result = feed.refresh(served.url, tmp_path, now=NOW)
    assert result.outcome == "accepted"
    assert store.newest(tmp_path).version == result.version
    assert store.versions(tmp_path) == [result.version]
    assert result.changes is not None
    assert [(c.model, c.key, c.old, c.new) for c in result.changes.rates] == [
        ("gpt-4o", "input_mtok", Decimal("2.5"), Decimal(2))
    ]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not [path for path in files if path.name.startswith(".")]


def test_every_accepted_version_stays_in_the_history(served: Feed, tmp_path: Path) -> None:
    kept = []
    for rate in ("2", "1.5", "1"):
        served.body = changed(lambda providers, rate=rate: set_rate(providers, rate))
        kept.append(feed.refresh(served.url, tmp_path, now=NOW).version)
    assert len(set(kept)) == 3
    assert set(store.versions(tmp_path)) == set(kept)
    first = store.version(tmp_path, kept[0])
    assert first is not None
    entry = first.find("openai", "gpt-4o")
    assert entry is not None
    assert isinstance(entry.prices, dict)
    assert entry.prices["input_mtok"] == Decimal(2)


def test_an_unchanged_feed_changes_nothing_and_is_asked_for_by_its_etag(served: Feed, tmp_path: Path) -> None:
    served.body = changed()
    served.headers = {"ETag": '"one"'}
    assert feed.refresh(served.url, tmp_path, now=NOW).outcome == "unchanged"
    assert feed.refresh(served.url, tmp_path, now=NOW).outcome == "unchanged"
    assert [asked.get("if-none-match") for asked in served.asked] == [None, '"one"']
    assert store.versions(tmp_path) == []
    status = feed.read_status(tmp_path)
    assert (status.error, status.succeeded) == (None, NOW)


def _status(code: int) -> Callable[[Feed], None]:
    def tell(served: Feed) -> None:
        served.status, served.body = code, b"no"

    return tell


def _body(body: bytes) -> Callable[[Feed], None]:
    def tell(served: Feed) -> None:
        served.body = body

    return tell


def _redirect(target: str) -> Callable[[Feed], None]:
    def tell(served: Feed) -> None:
        served.status, served.headers = 302, {"Location": target}

    return tell


def _cut(served: Feed) -> None:
    served.body = changed()[:-1000]
    served.promised = len(served.body) + 1000


def _gzip_cut(served: Feed) -> None:
    served.body, served.headers = gzip.compress(changed())[:-100], {"Content-Encoding": "gzip"}


def _gzip_bomb(served: Feed) -> None:
    served.body, served.headers = gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}


def _gzip_damaged(served: Feed) -> None:
    served.body, served.headers = b"\x1f\x8b" + b"x" * 100, {"Content-Encoding": "gzip"}


def _huge(served: Feed) -> None:
    served.body = b" " * (catalogue.MAX_CATALOGUE_BYTES + 1)


FAILURES: dict[str, tuple[Callable[[Feed], None], str]] = {
    "error": (_status(500), "answered 500"),
    "gone": (_status(404), "answered 404"),
    "304 to no condition": (_status(304), "answered 304"),
    "empty": (_body(b""), "not a price feed"),
    "empty list": (_body(b"[]"), "fewer than"),
    "malformed": (_body(b"[{"), "not a price feed"),
    "page": (_body(b"<html>"), "not a price feed"),
    "truncated": (_cut, "could not be read|cut off"),
    "truncated JSON": (_body(changed()[:-1000]), "not a price feed"),
    "gzip cut": (_gzip_cut, "cut off"),
    "gzip bomb": (_gzip_bomb, "over"),
    "gzip damaged": (_gzip_damaged, "damaged"),
    "huge": (_huge, "over"),
    "redirect to a file": (_redirect("file:///etc/passwd"), "answered 302"),
    "redirect to ftp": (_redirect("ftp://127.0.0.1/x"), "redirects to ftp"),
    "redirect in circles": (_redirect("/data.json"), "302|redirect"),
    "one model gone": (_body(changed(drop_model)), "implausible: openai gpt-4o is gone"),
    "a provider gone": (_body(changed(lambda p: p.pop(0))), "implausible: provider anthropic is gone"),  # type: ignore[arg-type,return-value]
    "tenfold up": (_body(changed(lambda p: set_rate(p, "25"))), "implausible: openai gpt-4o input_mtok from 2.5 to 25"),
    "tenfold down": (_body(changed(lambda p: set_rate(p, "0.25"))), "implausible"),
    "suddenly free": (_body(changed(lambda p: set_rate(p, "0"))), "implausible"),
    "negative": (_body(changed(lambda p: set_rate(p, "-1"))), "no plausible rate"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_a_feed_that_fails_leaves_the_good_catalogue(failure: str, served: Feed, tmp_path: Path) -> None:
    """The last good one stays, byte for byte, the reason is kept, and the next good feed is taken."""
    served.body = changed(lambda providers: set_rate(providers, "1.9", name="gpt-4.1"))
    good = feed.refresh(served.url, tmp_path, now=NOW)
    before = (tmp_path / store.CURRENT).read_bytes()
    served.body = changed()
    tell, reason = FAILURES[failure]
    tell(served)
    result = feed.refresh(served.url, tmp_path, now=NOW)
    assert (result.outcome, result.version) == ("refused", good.version)
    assert (tmp_path / store.CURRENT).read_bytes() == before
    assert store.versions(tmp_path) == [good.version]
    status = feed.read_status(tmp_path)
    assert status.error is not None
    assert status.error == result.reason
    assert re.search(reason, status.error), status.error


def test_a_feed_that_nobody_serves_leaves_the_packaged_catalogue(tmp_path: Path) -> None:
    result = feed.refresh("http://127.0.0.1:1/data.json", tmp_path, now=NOW)
    assert (result.outcome, result.version) == ("refused", catalogue.packaged().version)
    assert "could not be read" in str(result.reason)


def test_only_http_is_fetched(tmp_path: Path) -> None:
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "nonsense"):
        assert "not an http(s) URL" in str(feed.refresh(url, tmp_path, now=NOW).reason)


def test_an_operator_can_accept_what_is_implausible(served: Feed, tmp_path: Path) -> None:
    served.body = changed(lambda providers: set_rate(providers, "25"))
    refused = feed.refresh(served.url, tmp_path, now=NOW)
    assert refused.implausible
    assert "majordomo prices refresh --accept" in str(refused.reason)
    assert feed.refresh(served.url, tmp_path, accept=True, now=NOW).outcome == "accepted"
    assert feed.refresh(served.url, tmp_path, now=NOW).outcome == "unchanged"


def test_an_operator_cannot_accept_what_is_malformed(served: Feed, tmp_path: Path) -> None:
    served.body = b"[]"
    assert feed.refresh(served.url, tmp_path, accept=True, now=NOW).outcome == "refused"


def test_a_zipped_feed_is_read(served: Feed, tmp_path: Path) -> None:
    served.body, served.headers = gzip.compress(changed(add_model)), {"Content-Encoding": "gzip"}
    assert feed.refresh(served.url, tmp_path, now=NOW).outcome == "accepted"


def test_a_token_in_the_feeds_address_stays_out_of_messages(tmp_path: Path) -> None:
    result = feed.refresh("http://user:s3cret@127.0.0.1:1/d?token=s3cret", tmp_path, now=NOW)
    assert "s3cret" not in str(result.reason)


def test_a_damaged_file_on_disk_falls_back_to_the_packaged_catalogue(tmp_path: Path) -> None:
    for damage in (b"", b"garbage", catalogue.packaged_bytes()[:-40]):
        (tmp_path / store.CURRENT).write_bytes(damage)
        assert store.newest(tmp_path).version == catalogue.packaged().version


def test_after_an_upgrade_the_newer_of_disk_and_package_counts(tmp_path: Path) -> None:
    old = catalogue.parse_feed(changed(add_model), "test", datetime(2020, 1, 1, tzinfo=UTC))
    store.keep(tmp_path, catalogue.encode(old), old.version)
    assert store.newest(tmp_path).version == catalogue.packaged().version
    new = catalogue.parse_feed(changed(add_model), "test", datetime(2099, 1, 1, tzinfo=UTC))
    store.keep(tmp_path, catalogue.encode(new), new.version)
    assert store.newest(tmp_path).version == new.version


def test_a_running_pricer_takes_what_the_back_office_accepted(served: Feed, tmp_path: Path) -> None:
    pricer = Pricer.load(tmp_path, None)
    before = pricer.version
    assert not pricer.reload_if_changed()
    served.body = changed(add_model)
    accepted = feed.refresh(served.url, tmp_path, now=NOW)
    assert pricer.reload_if_changed()
    assert not pricer.reload_if_changed()
    assert pricer.version != before
    assert pricer.version.startswith(accepted.version)


def test_it_refreshes_at_once_and_until_it_is_cancelled(served: Feed, tmp_path: Path) -> None:
    served.body = changed(add_model)

    async def run() -> list[str]:
        outcomes: list[str] = []
        enough = asyncio.Event()

        def on_refresh(result: feed.Refresh) -> None:
            outcomes.append(result.outcome)
            if len(outcomes) == 3:
                enough.set()

        task = asyncio.create_task(feed.keep_fresh(served.url, tmp_path, 0.001, on_refresh))
        await enough.wait()
        task.cancel()
        return outcomes[:3]

    assert asyncio.run(run()) == ["accepted", "unchanged", "unchanged"]
