"""Keeps the proxy keys of a front desk as the tables have them, on the key feed's connection."""

from collections.abc import Callable
from typing import Any

import asyncpg

from majordomo.admit.proxy_keys import ProxyKey, ProxyKeys
from majordomo.admit.vault import Vault, VaultError
from majordomo.logs import logger

CHANNEL = "majordomo_proxy_keys"

_ALL = """
SELECT k.id, k.org_id, k.key_hash, p.provider, p.credential
FROM proxy_keys k LEFT JOIN proxy_key_providers p ON p.proxy_key_id = k.id
WHERE k.is_active
"""

_log = logger("proxy keys")


class ProxyKeyFeed:
    """Whoever holds the connection calls it; it makes none of its own."""

    def __init__(self, keys: ProxyKeys, vault: Vault) -> None:
        self._keys = keys
        self._vault = vault

    async def follow(self, connection: "asyncpg.Connection[Any]", changed: Callable[[], None]) -> None:
        """Load all, and call ``changed`` whenever they are to be loaded anew."""
        await connection.add_listener(CHANNEL, lambda *_: changed())
        await self.load(connection)

    @property
    def loaded(self) -> bool:
        """Whether they were ever read."""
        return self._keys.loaded

    async def load(self, connection: "asyncpg.Connection[Any]") -> None:
        """Hold what the tables have now. A credential that cannot be opened is left out, and said once a load."""
        try:
            rows = await connection.fetch(_ALL)
        except (asyncpg.PostgresError, TimeoutError) as failed:
            _log.warning("proxy keys are not known just now", reason=type(failed).__name__)
            return
        owners: dict[str, bytes] = {}
        credentials: dict[str, dict[str, bytes]] = {}
        for row in rows:
            owners[row["key_hash"]] = row["org_id"].bytes
            held = credentials.setdefault(row["key_hash"], {})
            if row["provider"] is None:
                continue
            try:
                held[row["provider"]] = self._vault.open(row["credential"], f"{row['id']}/{row['provider']}")
            except VaultError as wrong:
                _log.error("a provider's credential cannot be used", proxy_key=str(row["id"]), reason=str(wrong))
        self._keys.replace_all({key: ProxyKey(owner, credentials[key]) for key, owner in owners.items()})
