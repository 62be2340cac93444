"""Each test of this folder is one for asyncio and one for trio."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
import trustme

from tests.support.leftovers import left_over, open_things
from tests.support.loops import BINDINGS, Binding


@pytest.fixture(params=BINDINGS)
def binding(request: pytest.FixtureRequest) -> Binding:
    """A client and its event loop."""
    return BINDINGS[request.param]


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    """No descriptor and no thread is left."""
    before = open_things()
    yield
    assert left_over(before) == set()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the servers' certificates."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts `authority`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def serving(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, for localhost and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
