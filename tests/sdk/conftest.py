"""What the SDK tests share: how a call carries its script and tag, and how its row is checked."""

import json
from typing import Any

import pytest
from gateway_fixture import Gateway
from hand_computed import Case


class Call:
    """One call through an SDK: its headers, and the check of what it became."""

    def __init__(self, gateway: Gateway, case: Case | None = None, **own_headers: str) -> None:
        self.gateway = gateway
        self.tag = gateway.tag()
        self._case = case
        self.headers = gateway.headers(self.tag, **own_headers)
        if case is not None:
            self.headers["x-script"] = json.dumps(case.script)

    def check(self, **also: Any) -> None:
        """The row has every column as worked out by hand, to the last decimal, and those named here."""
        row = self.gateway.row(self.tag)
        expected = {"status_code": 200, "outcome": "completed", "usage_state": "final"}
        expected |= {**(self._case.row if self._case else {}), **also}
        assert {name: row[name] for name in expected} == expected


@pytest.fixture
def call(gateway: Gateway) -> Any:
    """Makes ``Call``s on the gateway: ``call(case)``."""
    return lambda case=None, **own_headers: Call(gateway, case, **own_headers)
