"""The providers, reached the way the front desk reaches them: same addresses, proxies and certificates."""

import asyncio
import contextlib
import email.utils
import time
from collections.abc import AsyncIterator

from majordomo.checkup.finding import Finding, State, fail, ok, warn
from majordomo.checkup.storage import clock_finding
from majordomo.forward.connect import ConnectFailedError, connect, tls_context
from majordomo.forward.providers import Provider, build_providers
from majordomo.settings import Settings

#: Looked at even if nothing is set for them; of the others, those that the settings name.
USUAL = ("openai", "anthropic", "gemini")

#: Seconds for one provider: connection, and the first bytes of whatever it answers.
PATIENCE = 5.0

#: Clocks of providers are read from a header of whole seconds.
_DATE_RESOLUTION = 1.0

_ENOUGH = 16 * 1024


class _Reply(asyncio.Protocol):
    """Collects the head of a reply."""

    def __init__(self) -> None:
        self.head = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        if b"\r\n\r\n" in self.head or len(self.head) > _ENOUGH:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def providers(settings: Settings) -> AsyncIterator[Finding]:
    """Whether each answers, and whether their clocks agree with ours."""
    configured = {name: given.model_dump() for name, given in settings.providers.items()}
    try:
        known = build_providers(configured)
    except ValueError as wrong:
        yield fail("providers", str(wrong), "correct it in majordomo.toml or MAJORDOMO_PROVIDERS__…")
        return
    try:
        context = tls_context(settings.upstream_ca_file)
    except OSError as wrong:
        yield fail("providers", f"upstream_ca_file cannot be used: {wrong}", "name a file with PEM certificates")
        return
    wanted = [known[name] for name in known if name in USUAL or name in configured]
    looks = await asyncio.gather(*(_look(provider, context, provider.name in configured) for provider in wanted))
    reached = [finding for finding, _ in looks if finding.state is State.OK]
    for finding, _ in looks:
        # One unreachable provider may be one that nobody here uses; all of them are a broken way out.
        yield (
            finding
            if reached or finding.state is State.OK
            else Finding(finding.check, State.FAIL, finding.message, finding.advice)
        )
    clocks = [clock for _, clock in looks if clock is not None]
    if clocks:
        yield min(clocks, key=lambda clock: list(State).index(clock.state))  # agreeing with one is enough


async def _look(provider: Provider, context: object, configured: bool) -> tuple[Finding, Finding | None]:
    origin = provider.origin
    where = f"{'https' if origin.tls else 'http'}://{provider.authority.decode()}"
    check = f"provider {provider.name}"
    before = time.time()
    head, why = b"", ""
    try:
        async with asyncio.timeout(PATIENCE):
            reply = await connect(origin, _Reply, context, PATIENCE)  # type: ignore[arg-type]
            assert isinstance(reply, _Reply)
            assert isinstance(reply.transport, asyncio.Transport)
            reply.transport.write(b"HEAD / HTTP/1.1\r\nHost: " + provider.authority + b"\r\nConnection: close\r\n\r\n")
            await reply.done
            head = reply.head
            reply.transport.abort()
    except ConnectFailedError as failed:
        why = str(failed)
    except TimeoutError:
        why = f"no answer within {PATIENCE:g} s"
    if not head.startswith(b"HTTP/"):
        make = fail if configured else warn
        return make(
            check,
            f"{where} cannot be reached: {why or 'it does not speak HTTP'}",
            "check the address, the network, HTTPS_PROXY and upstream_ca_file; ignore this if you do not use it",
        ), None
    return ok(check, f"{where} answers"), _clock(provider.name, head, before)


def _clock(name: str, head: bytes, before: float) -> Finding | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"date":
            with contextlib.suppress(ValueError, TypeError):
                theirs = email.utils.parsedate_to_datetime(value.decode("latin-1").strip()).timestamp()
                return clock_finding(f"{name}'s", theirs, before, time.time(), _DATE_RESOLUTION)
    return None
