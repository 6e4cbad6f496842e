"""Connections to providers, kept for the next request. The newest is taken first, so that the others may age out."""

import ssl

from majordomo.clock import steady
from majordomo.forward.connect import ResumingContext, connect
from majordomo.forward.providers import Origin
from majordomo.forward.upstream import Upstream


class Pool:
    """Idle connections by origin."""

    def __init__(self, context: ResumingContext, *, keep: int, keep_seconds: float, connect_timeout: float) -> None:
        self._context = context
        self._keep = keep  # idle connections per origin
        self._keep_seconds = keep_seconds
        self._connect_timeout = connect_timeout
        self._idle: dict[Origin, list[Upstream]] = {}
        self.opened = 0
        self.reused = 0

    def take(self, origin: Origin) -> Upstream | None:
        """An idle connection, or None if one has to be opened."""
        idle = self._idle.get(origin)
        while idle:
            upstream = idle.pop()
            if not upstream.transport.is_closing():
                self.reused += 1
                return upstream
        return None

    async def open(self, origin: Origin, timeout: float | None = None) -> Upstream:
        """A new connection, within ``timeout`` seconds or as this pool is set.

        Raises:
            ConnectFailedError: with the reason.
        """
        made = await connect(origin, lambda: Upstream(self, origin), self._context, timeout or self._connect_timeout)
        assert isinstance(made, Upstream)
        self.opened += 1
        return made

    def rest(self, upstream: Upstream) -> None:
        """Take a connection back that has done its work."""
        if upstream.origin.tls and upstream.exchanges == 1:
            tls = upstream.transport.get_extra_info("ssl_object")
            if isinstance(tls, ssl.SSLObject):
                self._context.remember(tls)
        idle = self._idle.setdefault(upstream.origin, [])
        if len(idle) >= self._keep:
            upstream.transport.close()
            return
        upstream.idle_since = steady()
        idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """A resting connection was closed by its peer."""
        idle = self._idle.get(upstream.origin)
        if idle and upstream in idle:
            idle.remove(upstream)

    def close_aged(self, now: float) -> None:
        """Close what has rested longer than allowed; ``now`` is on the steady clock."""
        for idle in self._idle.values():
            while idle and now - idle[0].idle_since > self._keep_seconds:
                idle.pop(0).transport.close()

    def close(self) -> None:
        """Close every resting connection."""
        for idle in self._idle.values():
            for upstream in idle:
                upstream.transport.close()
            idle.clear()

    @property
    def resting(self) -> int:
        """How many connections rest here."""
        return sum(map(len, self._idle.values()))
