"""A fork waits for threads that are inside a guarded function, and none enters meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hestiaos_proto import ForkGuard

Hook = Callable[[], object]


class System:
    """What is registered for a fork, and a sleep that does something."""

    def __init__(self) -> None:
        self.hooks: dict[str, list[Hook]] = {"before": [], "after_in_parent": [], "after_in_child": []}
        self.slept: list[float] = []
        self.meanwhile: Hook = list

    def register(self, **hooks: Hook) -> None:
        for when, hook in hooks.items():
            # As `os.register_at_fork` says.
            self.hooks[when].insert(0 if when == "before" else len(self.hooks[when]), hook)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()

    def run(self, when: str) -> None:
        for hook in self.hooks[when]:
            hook()


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def guard(system: System) -> ForkGuard:
    return ForkGuard(system.sleep, system.register)


def test_a_call(system: System, guard: ForkGuard) -> None:
    assert guard.call(lambda *args, **kwargs: (args, kwargs, guard.inside), 1, a=2) == ((1,), {"a": 2}, 1)
    with pytest.raises(ZeroDivisionError) as caught:
        guard.call(lambda: 1 / 0)
    assert caught.value.__traceback__ is not None
    assert guard.inside == 0
    system.run("before")
    assert system.slept == []


def test_a_fork_waits_for_those_inside(system: System, guard: ForkGuard) -> None:
    inside = [guard._enter(), guard._enter()]
    system.meanwhile = inside.pop
    system.run("before")
    assert (len(system.slept), guard.inside) == (2, 0)


def test_a_fork_does_not_wait_for_ever(system: System, guard: ForkGuard) -> None:
    inside = guard._enter()
    system.run("before")
    assert 0.9 < sum(system.slept) < 2
    del inside


@pytest.mark.parametrize("end", ["after_in_parent", "after_in_child"])
def test_none_enters_during_a_fork(system: System, guard: ForkGuard, end: str) -> None:
    system.run("before")
    insides: list[int] = []

    def meanwhile() -> None:
        insides.append(guard.inside)
        if len(insides) == 3:
            system.run(end)

    system.meanwhile = meanwhile
    assert guard.call(lambda: guard.inside) == 1
    assert insides == [0, 0, 0]
    assert guard.call(int) == 0
    assert len(insides) == 3


def test_a_child_has_none_of_the_threads_inside(system: System, guard: ForkGuard) -> None:
    inside = guard._enter()
    system.run("before")
    system.run("after_in_child")
    assert guard.inside == 0
    del inside
    assert guard.inside == 0


def test_two_forks_at_once(system: System, guard: ForkGuard) -> None:
    system.run("before")
    system.run("before")
    system.run("after_in_parent")
    system.meanwhile = lambda: system.run("after_in_parent")
    guard.call(int)
    assert len(system.slept) == 1


def test_a_guard_that_is_made_during_a_fork(system: System, guard: ForkGuard) -> None:
    system.run("after_in_parent")
    guard.call(int)
    assert system.slept == []


def test_a_system_without_forks(system: System) -> None:
    assert ForkGuard(system.sleep, None).call(int) == 0


class Context:
    """Stands for an `ssl.SSLContext`, and its objects."""

    version = "1.3"

    def __init__(self, guard: ForkGuard) -> None:
        self._guard = guard

    def wrap_bio(self, *args: Any, **kwargs: Any) -> Context:
        assert (args, kwargs, self._guard.inside) == ((1, 2), {"server_hostname": "h"}, 1)
        return self

    def read(self, size: int) -> tuple[int, int]:
        return size, self._guard.inside


def test_a_guarded_context(guard: ForkGuard) -> None:
    wrapped = guard.guarded(Context(guard)).wrap_bio(1, 2, server_hostname="h")
    assert wrapped.read(5) == (5, 1)
    assert wrapped.version == "1.3"
    assert guard.inside == 0
    with pytest.raises(AttributeError):
        _ = wrapped.nothing
