"""Fixtures: the tool's binary, the network it lives in, its provider, and a gateway between the two."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_fixture import Gateway, running_gateway
from node_packages import installed

from claude_cli.cli import ClaudeCode
from claude_cli.loopback import Loopback
from claude_cli.provider import ScriptedProvider
from majordomo.record.postgres_server import PostgresServer

#: The package that carries the tool, pinned.
PACKAGE = Path(__file__).parents[2] / "claude_code"


@pytest.fixture(scope="session")
def claude_binary() -> Path:
    """The tool's binary for this machine, from its npm package; installed before anyone leaves the network."""
    (found,) = (installed(PACKAGE) / "@anthropic-ai").glob("claude-code-*-*/claude*")
    return found


@pytest.fixture(scope="session")
def loopback(claude_binary: Path) -> Iterator[Loopback]:
    """A network of loopback alone, where the kernel permits one."""
    network = Loopback()
    yield network
    network.close()


@pytest.fixture
def offline(loopback: Loopback) -> Iterator[None]:
    """The test itself, and what it starts, is in that network."""
    with loopback.inside():
        yield


@pytest.fixture(scope="session")
def session_provider(loopback: Loopback) -> Iterator[ScriptedProvider]:
    """One provider for a whole run."""
    with loopback.inside():
        provider = ScriptedProvider()
    yield provider
    provider.close()


@pytest.fixture
def claude_provider(session_provider: ScriptedProvider, offline: None) -> Iterator[ScriptedProvider]:
    """The provider behind Claude Code, with an empty ledger; its play must not have failed."""
    session_provider.forget()
    yield session_provider
    errors, session_provider.errors = session_provider.errors, []
    session_provider.forget()
    assert errors == []


@pytest.fixture(scope="session")
def session_gateway(
    postgres_server: PostgresServer, loopback: Loopback, session_provider: ScriptedProvider
) -> Iterator[Gateway]:
    """One gateway for a whole run, in front of that provider."""
    with loopback.inside(), running_gateway(postgres_server, "claude_code", session_provider) as running:
        yield running


@pytest.fixture
def claude_gateway(session_gateway: Gateway, claude_provider: ScriptedProvider) -> Gateway:
    """A gateway in front of the provider behind Claude Code, inside the network."""
    return session_gateway


@pytest.fixture
def claude_at(claude_binary: Path, tmp_path: Path, offline: None) -> Callable[..., ClaudeCode]:
    """Makes the tool with a clean home: ``claude_at(base_url, VARIABLE="...")``; see ``ClaudeCode``."""
    made = 0

    def make(base_url: str | None = None, **variables: str) -> ClaudeCode:
        nonlocal made
        made += 1
        folder = tmp_path / str(made)
        folder.mkdir()
        return ClaudeCode(claude_binary, folder, base_url, **variables)

    return make
