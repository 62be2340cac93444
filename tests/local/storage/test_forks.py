"""A store on both sides of a fork."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hestiaos_local.storage import Store
from tests.support import forking
from tests.support.broad import BROAD
from tests.support.forking import Load, run_in_child
from tests.support.storages import postgres_url, trace

pytestmark = [BROAD, *forking.pytestmark]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        place: str | Path | None = tmp_path / "store.db" if request.param == "sqlite" else None
        if request.param == "postgresql":
            place = stack.enter_context(postgres_url())
        store = stack.enter_context(closing(Store(place, busy_timeout=15.0)))
        store.add_trace(trace("before"))
        yield store


def test_both_sides_use_it(store: Store) -> None:
    def work() -> None:
        assert store.trace("before") is not None
        store.add_trace(trace("child"))
        assert store.decisions() == {"ALLOW": 2}
        store.close()

    run_in_child(work)
    store.add_trace(trace("parent"))
    assert store.trace("parent") is not None
    assert (store.trace("child") is not None) is (store.kind != "memory")  # memory is each process's own


def test_forks_while_threads_use_it(store: Store) -> None:
    def work(number: int) -> None:
        name = f"{number}.{os.urandom(8).hex()}"
        store.add_trace(trace(name))
        assert store.trace(name) is not None
        store.works()  # which is whether it can be written within a second: it waits for the others

    with Load(work, threads=4) as load:
        load.wait_for_work()
        for _ in range(10):
            run_in_child(lambda: work(-1))
    assert store.works()
    count = store.decisions()["ALLOW"]
    assert count >= 1 + load.done
    assert sum(store.decisions(newest=count).values()) == count


def test_a_closed_store_stays_closed(store: Store) -> None:
    store.close()

    def work() -> None:
        with pytest.raises(ValueError, match="is closed"):
            store.trace("before")

    run_in_child(work)


def test_a_child_that_outlives_its_parents_use(tmp_path: Path) -> None:
    """The file of the child is not that of connections which the parent had open."""
    file = tmp_path / "store.db"
    store = Store(file)
    store.add_trace(trace("before"))

    def work() -> None:
        with closing(Store(file)) as second:
            store.add_trace(trace("child"))
            assert second.trace("child") is not None
        store.add_trace(trace("child, later"))
        store.close()

    run_in_child(work)
    store.close()
    assert os.listdir(tmp_path) == ["store.db"]
    with closing(Store(file)) as store:
        assert store.decisions() == {"ALLOW": 3}
