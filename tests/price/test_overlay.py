"""The overlay: corrections, discounts and own models win over the catalogue; a wrong one is told, never half used."""

from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path

import pytest

from majordomo.price import adjustments
from majordomo.price.adjustments import OverlayError
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer

Billing = Callable[..., Bill]
Dollars = Callable[[Bill], dict[str, D]]

M = D(1_000_000)

OVERLAY = """
[[provider]]
name = "openai-eu"
catalogue = "openai"
geo = "eu"

[[alias]]
provider = "openai"
model = "our-chat"
means = "gpt-6-sol"

[[rates]]  # an own model, with a long-context price
provider = "nebius"
models = ["acme/Tiny-1"]
new_model = true
rates = { input = 0.05, cache_read = 0.01, output = 0.2 }
above = 32000
long_rates = { input = 0.1, output = 0.4 }

[[rates]]  # a correction, from a day on
provider = "anthropic"
models = ["claude-haiku-4-5*"]
from = 2026-11-10
rates = { input = 0.9 }

[[rates]]  # what prepaid capacity comes to
provider = "openai"
models = ["gpt-6-*"]
tier = "scale"
rates = { input = 1.5, output = 7 }

[[discount]]
provider = "anthropic"
models = ["claude-opus-*"]
percent = 12.5
from = 2026-11-01
until = 2026-12-01

[[discount]]
provider = "gemini"
percent = 100
units = ["grounding"]
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    path = tmp_path / "overlay.toml"
    path.write_text(OVERLAY)
    return path


@pytest.fixture
def adjusted(overlay: Path, tmp_path: Path) -> Pricer:
    return Pricer.load(tmp_path, overlay)


def test_an_own_model_is_priced_short_and_long(adjusted: Pricer, bill_with: Billing, dollars: Dollars) -> None:
    short = bill_with(adjusted, "nebius", "acme/Tiny-1", input=32_000, output=10)
    assert dollars(short) == {"input": 32_000 * D("0.05") / M, "output": 2 / M}
    long = bill_with(adjusted, "nebius", "acme/tiny-1", input=32_000, cache_read=1, output=10)
    assert dollars(long) == {"input": 32_000 * D("0.1") / M, "cache_read": D("0.01") / M, "output": 4 / M}
    assert bill_with(adjusted, "nebius", "acme/Tiny-2", input=1).problems == ("unknown_model",)


def test_a_correction_holds_from_its_day_on(adjusted: Pricer, bill_with: Billing, dollars: Dollars) -> None:
    for day, rate in (("2026-11-09T23:59:59", 1), ("2026-11-10", D("0.9"))):
        bill = bill_with(adjusted, "anthropic", "claude-haiku-4-5-20251001", input=1000, output=10, on=day)
        assert dollars(bill) == {"input": 1000 * rate / M, "output": 50 / M}


def test_a_discount_is_exact_dated_and_leaves_fees_alone(
    adjusted: Pricer, bill_with: Billing, dollars: Dollars
) -> None:
    counts = {"input": 1000, "cache_read": 7, "output": 1, "web_search": 1}
    within = bill_with(adjusted, "anthropic", "claude-opus-5-5", **counts)
    assert dollars(within) == {
        "input": 3500 / M,
        "cache_read": 7 * D("0.2") * D("0.875") / M,
        "output": D("17.5") / M,
        "tool": D("0.01"),
    }
    for day in ("2026-10-31", "2026-12-01"):
        assert dollars(bill_with(adjusted, "anthropic", "claude-opus-5-5", input=1000, on=day)) == {"input": 4000 / M}


def test_a_discount_holds_for_fast_batch_and_us_rates_too(
    adjusted: Pricer, bill_with: Billing, dollars: Dollars
) -> None:
    for told, rate in (({"speed": "fast"}, 8), ({"batch": True}, 2), ({"geo": "us"}, D("4.4"))):
        bill = bill_with(adjusted, "anthropic", "claude-opus-5-5", input=1000, **told)
        assert dollars(bill) == {"input": 1000 * rate * D("0.875") / M}


def test_a_free_quota_can_be_said_of_one_unit(adjusted: Pricer, bill_with: Billing, dollars: Dollars) -> None:
    assert dollars(bill_with(adjusted, "gemini", "gemini-2.5-flash", input=10, grounding=5)) == {"input": 3 / M}


def test_a_discount_that_no_digits_can_hold_leaves_the_model_unpriced(tmp_path: Path, bill_with: Billing) -> None:
    overlay = tmp_path / "overlay.toml"
    for percent, reason in (("33.33333333333", "inexact_rate:input"), (f"3.{'3' * 60}", "inexact_rate:all")):
        overlay.write_text(f'[[discount]]\nprovider = "openai"\npercent = {percent}')
        bill = bill_with(Pricer.load(None, overlay), "openai", "gpt-6-sol", input=1)
        assert (bill.total_cost, bill.problems) == (None, (reason,))


def test_a_tier_can_be_given_rates(adjusted: Pricer, bill_with: Billing, dollars: Dollars) -> None:
    bill = bill_with(adjusted, "openai", "gpt-6-sol", input=10, output=10, service_tier="scale")
    assert dollars(bill) == {"input": 15 / M, "output": 70 / M}


def test_a_provider_of_its_own_name_is_priced_as_the_catalogues_where_it_runs(
    adjusted: Pricer, bill_with: Billing, dollars: Dollars
) -> None:
    """Regional processing at OpenAI costs 1.1x, for the models that it applies to."""
    assert dollars(bill_with(adjusted, "openai-eu", "gpt-6-sol", input=1000)) == {"input": 2200 / M}
    assert dollars(bill_with(adjusted, "openai-eu", "gpt-4o", input=1000)) == {"input": 2500 / M}


def test_an_alias_is_its_model(adjusted: Pricer, bill_with: Billing, dollars: Dollars) -> None:
    assert dollars(bill_with(adjusted, "openai", "our-chat", input=1000)) == {"input": 2000 / M}


def test_the_version_names_the_overlay(adjusted: Pricer, overlay: Path, tmp_path: Path) -> None:
    plain = Pricer.load(None, None).version
    assert adjusted.version.startswith(f"{plain}+")
    overlay.write_text(OVERLAY.replace("12.5", "13"))
    assert Pricer.load(tmp_path, overlay).version not in (plain, adjusted.version)


RATES = '[[rates]]\nprovider = "a"\n'
DISCOUNT = '[[discount]]\nprovider = "a"\n'

WRONG: dict[str, tuple[str, str]] = {
    "not TOML": ("[[rates]", "not valid TOML"),
    "not text": ("\udcff", "not valid TOML"),
    "an unknown section": ("[[price]]\nx = 1", r"price: no such section; allowed: \[\[provider\]\]"),
    "an unknown key": (RATES + "rate = { input = 1 }", r"rates\[0\].*`rate`"),
    "a missing key": ("[[rates]]\nrates = { input = 1 }", r"rates\[0\].*`provider`"),
    "an unknown unit": (RATES + "rates = { inptu = 1 }", r"rates\[0\].rates: 'inptu' is no unit; allowed: .*input"),
    "a negative rate": (RATES + "rates = { input = -1 }", r"rates\[0\].rates.input: -1 is no rate in USD from 0"),
    "no number": (RATES + "rates = { input = nan }", "is no rate in USD"),
    "a text for a rate": (RATES + 'rates = { input = "cheap" }', r"rates\[0\]"),
    "no rates": (RATES + "rates = {}", "no rate is given"),
    "half a long price": (RATES + "rates = { input = 1 }\nabove = 5", "together"),
    "a long price alone": (
        RATES + "rates = { input = 1 }\nabove = 5\nlong_rates = { output = 1 }",
        "output must stand in rates",
    ),
    "two processings": (RATES + 'batch = true\ntier = "flex"\nrates = { input = 1 }', "one of tier, speed"),
    "a pattern for a new model": (RATES + 'models = ["x*"]\nnew_model = true\nrates = { input = 1 }', "named in full"),
    "dates the wrong way": (DISCOUNT + "percent = 5\nfrom = 2026-02-01\nuntil = 2026-01-01", "2026-01-01 is not after"),
    "a discount above the price": (DISCOUNT + "percent = 120", "120 is not above 0 and at most 100"),
    "a date that is none": (DISCOUNT + 'percent = 5\nfrom = "soon"', r"discount\[0\].from"),
    "a tier of two rules": (
        '[[tier]]\nprovider = "a"\ntier = "x"\nfactor = 2\nlike_batch = true',
        "either factor or like_batch",
    ),
    "a factor of nothing": ('[[geo]]\nprovider = "a"\ngeo = ["eu"]\nfactor = 0', "0 is not above 0"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_overlay_stops_the_start_and_is_told_by_file_entry_and_key(mistake: str, tmp_path: Path) -> None:
    text, message = WRONG[mistake]
    path = tmp_path / "prices.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(OverlayError, match=message) as told:
        Pricer.load(tmp_path, path)
    assert str(path) in str(told.value)


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    text = '[[rates]]\nprovider = "a"\nrates = { inptu = 1 }\n[[discount]]\nprovider = "a"\npercent = 0'
    with pytest.raises(OverlayError) as told:
        adjustments.parse(text.encode(), "x.toml")
    assert len(str(told.value).splitlines()) == 2


def test_a_missing_overlay_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match="No such file"):
        Pricer.load(tmp_path, tmp_path / "none.toml")


def test_a_bad_edit_keeps_the_last_good_overlay_running(
    adjusted: Pricer, overlay: Path, bill_with: Billing, dollars: Dollars
) -> None:
    version = adjusted.version
    for bad in ("[[rates]", "x" * (adjustments.MAX_OVERLAY_BYTES + 1)):
        overlay.write_text(bad)
        assert not adjusted.reload_if_changed()
        assert adjusted.version == version
        assert str(overlay) in str(adjusted.overlay_error)
        assert dollars(bill_with(adjusted, "anthropic", "claude-opus-5-5", input=1000)) == {"input": 3500 / M}
    overlay.unlink()
    assert not adjusted.reload_if_changed()
    overlay.write_text(OVERLAY.replace("12.5", "25"))
    assert adjusted.reload_if_changed()
    assert adjusted.overlay_error is None
    assert dollars(bill_with(adjusted, "anthropic", "claude-opus-5-5", input=1000)) == {"input": 3000 / M}


def test_a_process_that_restarts_during_a_bad_edit_takes_the_last_good_copy(
    adjusted: Pricer, overlay: Path, tmp_path: Path
) -> None:
    overlay.write_text("[[rates]")
    restarted = Pricer.load(tmp_path, overlay)
    assert restarted.version == adjusted.version
    assert "not valid TOML" in str(restarted.overlay_error)


def test_the_supplement_is_held_to_the_same_rules() -> None:
    assert adjustments.supplement().rules.rates
