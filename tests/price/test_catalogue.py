"""The packaged catalogue is the installed package's data, small to hold, exact, and named by its content."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import msgspec
import pytest

from majordomo.price import catalogue, packaged
from majordomo.price.catalogue import CatalogueError, known_key

DATED = datetime(2026, 11, 20, tzinfo=UTC)


def one_model(**changed: object) -> bytes:
    """A feed with one model of interest, and enough others not to look cut off."""
    others = [{"id": f"m{n}", "match": {"equals": f"m{n}"}, "prices": {"input_mtok": 1}} for n in range(100)]
    model = {"id": "x", "match": {"equals": "x"}, "prices": {"input_mtok": 1}} | changed
    return msgspec.json.encode([{"id": "p", "models": [model, *others]}])


def test_the_packaged_file_holds_what_the_package_holds() -> None:
    """Made by ``make prices`` from this very version: the same rates, so the same hash."""
    shipped = catalogue.packaged()
    assert shipped.source == f"genai-prices {version('genai-prices')}"
    anew = catalogue.parse_feed(packaged.feed_of_package(), shipped.source, shipped.dated)
    assert anew.version == shipped.version


def test_nothing_at_run_time_imports_the_package_that_the_data_comes_from() -> None:
    """It would cost a second and 99 MB in every process."""
    code = "import sys, majordomo.price.pricer as p; p.Pricer.load(None, None); print('genai_prices' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_rates_are_read_digit_by_digit() -> None:
    feed = one_model(prices={"input_mtok": 0.1}).replace(b"0.1", b"0.10000000000000000001")
    kept = catalogue.load(catalogue.encode(catalogue.parse_feed(feed, "test", DATED)))
    assert kept.models("p")[0].prices == {"input_mtok": Decimal("0.10000000000000000001")}


def test_the_version_follows_the_rates_and_not_the_comments() -> None:
    base = catalogue.parse_feed(one_model(), "test", DATED).version
    assert catalogue.parse_feed(one_model(price_comments="see there"), "test", DATED).version == base
    assert catalogue.parse_feed(one_model(prices={"input_mtok": 2}), "test", DATED).version != base
    assert base.startswith("2026-11-20.")


def test_the_file_is_the_same_byte_for_byte_whenever_it_is_made() -> None:
    envelope = catalogue.parse_feed(one_model(), "test", DATED)
    assert catalogue.encode(envelope) == catalogue.encode(envelope)


def test_every_price_key_of_the_providers_we_name_is_understood_or_known_not_to_be() -> None:
    """A new kind of charge in the data shows here first."""
    shipped = catalogue.packaged()
    left = {
        key
        for provider in ("openai", "anthropic", "google", "fireworks", "together", "deepseek", "moonshotai", "baseten")
        for model in shipped.models(provider)
        for holder in (*model.conditionals(), *(model.price_variants or ()))
        for key in holder.prices
        if not known_key(key)
    }
    assert left == set()


@pytest.mark.parametrize(
    "feed",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"<html>rate limited</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        one_model()[:-500],
        one_model(prices={"input_mtok": -1}),
        one_model(prices={"input_mtok": "NaN"}),
        one_model(prices={"input_mtok": "Infinity"}),
        one_model(prices={"input_mtok": 1_000_000}),
        one_model(prices={"input_mtok": "much"}),
        one_model(prices={}, match={"regex": "(a+)+"}),
        one_model(prices=[]),
        one_model(prices={"input_mtok": {"base": 1, "tiers": [{"start": 5, "price": 1}, {"start": 5, "price": 2}]}}),
        one_model(price_variants=[{"when": {}, "prices": {}}]),
        one_model(match={"like": "x"}),
        msgspec.json.encode([msgspec.json.decode(one_model())[0]] * 2),
    ],
)  # fmt: skip
def test_what_is_no_price_list_is_refused_with_a_reason(feed: bytes) -> None:
    with pytest.raises(CatalogueError, match=r"\w"):
        catalogue.parse_feed(feed, "test", DATED)


@pytest.mark.parametrize("damage", [lambda d: d[:-30], lambda d: b"", lambda d: b"\x00" + d, lambda d: b"x" * 100])
def test_a_damaged_file_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(CatalogueError):
        catalogue.load(damage(catalogue.packaged_bytes()))
