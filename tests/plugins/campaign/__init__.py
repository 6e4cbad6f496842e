"""A siege of the real gateway: load that never stops, processes that are killed, and books that must balance after it.

``callers`` send, ``ledger`` is what the provider says, ``fortress`` is the gateway and what is done to it, ``audit``
compares. The campaigns themselves are in ``tests/campaign``.
"""
