"""Fixtures of ingest's tests."""

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal

from tests.analytics.reporters import Ingest, Reporter, new_reporter
from tests.cast import Tenant


@pytest.fixture
def shop(alice: Tenant) -> Reporter:
    """Alice's app, which reports."""
    return new_reporter(alice)


@pytest.fixture
def new_ingest(stores: object, _portal: BlockingPortal) -> Iterator[Callable[..., Ingest]]:
    """Makes an ingest with bounds of its own."""
    made: list[Ingest] = []

    def make(**given: object) -> Ingest:
        made.append(Ingest(_portal, **given))
        return made[-1]

    yield make
    for ingest in made:
        ingest.close()


@pytest.fixture
def ingest(new_ingest: Callable[..., Ingest]) -> Ingest:
    return new_ingest()
