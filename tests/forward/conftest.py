"""A desk, its provider and its callers on real sockets: see ``wire`` and ``running_desk`` in tests/plugins."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from running_desk import RunningDesk
from wire import Peer, Providers

from majordomo.price.pricer import Pricer


@pytest.fixture(scope="session")
def packaged_prices(tmp_path_factory: pytest.TempPathFactory) -> Pricer:
    """The catalogue that comes with the package."""
    return Pricer.load(tmp_path_factory.mktemp("prices"), None)


@pytest.fixture
def providers() -> Iterator[Providers]:
    """Where all providers of the test's desk answer."""
    answering = Providers()
    yield answering
    answering.close()


@pytest.fixture
def unanswering() -> Iterator[str]:
    """The URL of a provider whose connections are never made: its queue of connections is full."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def open_desk(short_tmp: Path, packaged_prices: Pricer, providers: Providers) -> Iterator[Callable[..., RunningDesk]]:
    """Opens a desk with settings of the test's own; closed, and found well, at the end."""
    opened: list[RunningDesk] = []

    def make(**settings: Any) -> RunningDesk:
        folder = short_tmp / f"desk-{len(opened)}"
        folder.mkdir()
        desk = RunningDesk(folder, packaged_prices, providers, **settings)
        opened.append(desk)
        return desk

    yield make
    try:
        for desk in opened:
            desk.assert_well()
    finally:
        for desk in opened:
            desk.stop()


@pytest.fixture
def desk(open_desk: Callable[..., RunningDesk]) -> RunningDesk:
    """A desk with the settings' defaults."""
    return open_desk()


@pytest.fixture
def caller(desk: RunningDesk) -> Peer:
    """A connection to the desk."""
    return desk.dial()
