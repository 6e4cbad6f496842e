"""Prices over HTTP: the same as the rate cards bill by, for whoever is signed in."""

from decimal import Decimal
from typing import Any

import pytest


def test_a_models_rates_are_those_of_its_card(member: Any) -> None:
    """Each processing and prompt length, in USD as the provider tells them."""
    told = member("GET", "/prices/claude-sonnet-4-5?provider=anthropic").json
    (listed,) = told["prices"]
    standard = next(line for line in listed["lines"] if line["processing"] == "standard" and line["above"] is None)
    assert standard["rates"]["input"] == {"usd": "3", "per": "$/M"}
    assert standard["rates"]["output"] == {"usd": "15", "per": "$/M"}
    assert standard["rates"]["cache_read"] == {"usd": "0.3", "per": "$/M"}
    batch = next(line for line in listed["lines"] if line["processing"] == "batch" and line["above"] is None)
    assert Decimal(batch["rates"]["input"]["usd"]) == Decimal("1.5")
    assert listed["pages"]


def test_models_are_found_by_words_of_their_names(member: Any) -> None:
    told = member("GET", "/prices?q=anthropic%20sonnet-4&limit=3").json
    assert len(told["models"]) == 3 < told["found"]
    assert all(one["provider"] == "anthropic" and "sonnet-4" in one["model"] for one in told["models"])
    assert told["models"][0]["rates"].keys() >= {"input", "output"}
    assert member("GET", "/prices?q=no-such-model-anywhere").json["models"] == []


def test_an_unknown_model_is_404_with_names_like_it(member: Any) -> None:
    reply = member("GET", "/prices/claude-sonnet-4-55")
    assert (reply.status, reply.json["error"]["code"]) == (404, "price_unknown")
    assert "claude-sonnet-4-5" in reply.json["error"]["message"]


def test_nobody_who_is_not_signed_in_sees_them(api: Any) -> None:
    """Not even the list."""
    for path in ("/prices", "/prices/gpt-5"):
        assert api("GET", path).status == 401


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "q=%00", "q=" + "x" * 200])
def test_what_makes_no_question_is_422(member: Any, query: str) -> None:
    assert member("GET", f"/prices?{query}").status == 422
