"""The status page as a person gets it: through a front desk."""

import urllib.request

from gateway_fixture import Gateway


def test_the_page_names_the_address_it_was_asked_under(gateway: Gateway) -> None:
    with urllib.request.urlopen(f"{gateway.base_url}/status", timeout=20) as reply:
        page = reply.read().decode()
    assert f"curl {gateway.base_url}/v1/chat/completions" in page
    assert "back-office" not in page
