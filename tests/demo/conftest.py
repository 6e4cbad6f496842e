"""A scripted provider for the tests of this folder."""

from collections.abc import Iterator

import pytest

from majordomo.demo.provider_process import ProviderProcess


@pytest.fixture(scope="session")
def one_provider() -> Iterator[ProviderProcess]:
    """One process for all tests here."""
    with ProviderProcess() as process:
        yield process


@pytest.fixture
def provider(one_provider: ProviderProcess) -> ProviderProcess:
    """A scripted provider that remembers nothing of earlier tests."""
    one_provider.clear()
    return one_provider
