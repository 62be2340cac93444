"""Ctrl-C, or another exception of a signal handler, at every line of a call and of a stream of `Client`.

It is raised at once, the next call on the same client works within its timeout, and places, connections, descriptors
and threads are as before.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support import stepping
from tests.support.broad import broadly
from tests.support.stepping import Route, step_through
from tests.support.works import WORKS, Work

STRIDE = 397  # every so many lines by default; all of them are `thorough`


class Alarm(Exception):
    """What a signal handler raises that is not Ctrl-C's."""


@pytest.fixture(autouse=True)
def _no_collection_in_between() -> Iterator[None]:
    """The lines of finalizers come where the last reference goes, and so at the same turn each time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


some_and_every = pytest.mark.parametrize(
    "stride",
    [
        pytest.param(STRIDE, id="some lines"),
        pytest.param(1, id="every line", marks=[pytest.mark.thorough, pytest.mark.timeout(3600)]),
    ],
)
# What an interrupt leaves to the collector is closed by it, with a warning that is not shown outside of tests.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@some_and_every
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("work", broadly(WORKS, few=2), ids=lambda work: work.name)
def test_ctrl_c(work: Work, warm: bool, stride: int) -> None:
    step_through(work, KeyboardInterrupt, stride, warm=warm)


@some_and_every
@pytest.mark.parametrize("work", broadly(WORKS[:3]), ids=lambda work: work.name)
def test_another_exception(work: Work, stride: int) -> None:
    step_through(work, Alarm, stride)


@some_and_every
@pytest.mark.parametrize("work", broadly([WORKS[0], WORKS[5]]), ids=lambda work: work.name)
def test_ctrl_c_with_two_connections(work: Work, stride: int) -> None:
    step_through(work, KeyboardInterrupt, stride, places=2, warm=True)


ROUTES: dict[str, Route] = {
    "name": stepping.by_name,
    "TLS": stepping.over_tls,
    "proxy": stepping.through_a_proxy,
    "tunnel": stepping.through_a_tunnel,
    "SOCKS": stepping.through_socks,
}


@some_and_every
@pytest.mark.parametrize("route", broadly(ROUTES.values()), ids=ROUTES)
def test_ctrl_c_while_the_request_is_sent(route: Route, stride: int) -> None:
    step_through(WORKS[0], KeyboardInterrupt, stride, route=route)
