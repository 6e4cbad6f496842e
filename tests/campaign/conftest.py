"""What the campaigns share."""

from collections.abc import Iterator

import pytest
from campaign.replicas import Replicas, running_replicas

from majordomo.record import embedded
from majordomo.settings import Settings


@pytest.fixture(scope="module")
def external_postgres(data_dir):
    """A PostgreSQL of the user's own, which tests may stop and start."""
    server = embedded.open_server(Settings(data_dir=data_dir, database_url=None))
    embedded.start(server, lambda line: None)
    yield server
    server.release()


@pytest.fixture(scope="module")
def replicas(external_postgres) -> Iterator[Replicas]:
    """Two replicas on one PostgreSQL, up as long as the module's tests, with nobody asking yet."""
    with running_replicas(external_postgres.dsn()) as both:
        yield both
