"""A PostgreSQL database of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from hestiaos_local.storage import Store
from tests.support.postgres import PostgresServer, server_or_skip
from tests.support.storages import postgres_url


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database."""
    with postgres_url() as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(Store(url)) as store:
        yield store


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that the test may stop and kill."""
    server_or_skip()
    server = PostgresServer("fsync=off")
    try:
        server.start()
        yield server
    finally:
        server.remove()
