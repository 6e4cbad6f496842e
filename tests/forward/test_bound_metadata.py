"""Metadata that its owner set on a gateway key stands above what callers say."""

import asyncio
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import UUID

from gateway_fixture import TAG_HEADER, Gateway

from majordomo.record import api_keys
from majordomo.record.database import connect


def test_a_caller_cannot_talk_its_key_out_of_the_owners_metadata(gateway: Gateway) -> None:
    """A change works within moments; the caller's own word is kept beside it."""
    made = gateway.create_key("bound")

    async def bind() -> None:
        connection = await connect(gateway.dsn, purpose="tests")
        try:
            key = await api_keys.find(connection, made["id"])
            await api_keys.update(connection, key, metadata={"team": "legal", "Cost-Center": "7"})
        finally:
            await connection.close()

    def ask(tag: str) -> None:
        headers = {"X-Majordomo-Key": made["key"], TAG_HEADER: tag, "X-Majordomo-TEAM": "other", "X-Majordomo-App": "x"}
        request = Request(f"{gateway.base_url}/v1/models", headers=headers)
        deadline = time.monotonic() + 20
        while True:
            try:
                urlopen(request, timeout=20).read()
                return
            except HTTPError as refused:  # a front desk that has just started may not have its keys yet
                assert refused.code == 503
                assert time.monotonic() < deadline

    first = gateway.tag()
    ask(first)
    told = {"Test-Case": first, "Team": "other", "App": "x"}
    assert _json(gateway, first) == (told, {})

    asyncio.run(bind())
    deadline = time.monotonic() + 20
    while True:  # the front desk hears of it in a moment
        tag = gateway.tag()
        ask(tag)
        metadata, overridden = _json(gateway, tag)
        if overridden or time.monotonic() > deadline:
            break
    assert metadata == {"Test-Case": tag, "Team": "legal", "Cost-Center": "7", "App": "x"}
    assert overridden == {"Team": "other"}
    assert gateway.row(tag)["majordomo_api_key_id"] == UUID(made["id"])


def _json(gateway: Gateway, tag: str) -> tuple[dict[str, str], dict[str, str]]:
    import json

    row = gateway.row(tag)
    return json.loads(row["raw_metadata"]), json.loads(row["overridden_metadata"])
