"""A clean home for each test, a scripted provider for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from companion_process import Home

from majordomo.demo.provider_process import ProviderProcess


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A user who never ran anything."""
    made = Home(tmp_path)
    yield made
    made.leave()


@pytest.fixture(scope="session")
def _one_provider() -> Iterator[ProviderProcess]:
    with ProviderProcess() as running:
        yield running


@pytest.fixture
def provider(_one_provider: ProviderProcess) -> ProviderProcess:
    """A scripted provider that has heard nothing yet."""
    _one_provider.clear()
    return _one_provider
