"""What is refused with a message that says what to write instead. `tests/test_other_kind.py` does so with clients."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_proto._other_kind import CoroutinesOnly, NotAsynchronous, NotSynchronous, NotSynchronousClient

REFUSED = {
    NotAsynchronous: ("await", "aiter", "anext", "aenter", "aexit"),
    NotSynchronous: ("await", "iter", "next", "enter", "exit"),
    NotSynchronousClient: ("enter", "exit"),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in REFUSED.items() for name in names])
def test_a_method_of_the_other_kind(kind: Any, name: str) -> None:
    method = getattr(kind(), f"__{name}__")
    with pytest.raises(TypeError, match=f"^{kind.__name__} is "):
        method()
    assert method.__doc__.startswith("Raise `TypeError`: it is ")


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (NotAsynchronous(), "aclose", ": use `close()`"),
        (NotAsynchronous(), "other", ""),
        (NotSynchronous(), "close", ": use `await stream.aclose()`"),
        (NotSynchronous(), "other", ""),
        (CoroutinesOnly(), "other", ""),
        (type("Own", (CoroutinesOnly,), {"run_async": None})(), "run", ": use `await …run_async(…)`, or Client"),
    ],
)
def test_a_name_of_the_other_kind(owner: Any, name: str, message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    assert str(caught.value) == f"'{type(owner).__name__}' object has no attribute '{name}'{message}"
    assert (caught.value.name, caught.value.obj) == (name, owner)


def test_a_client_of_the_other_kind_is_not_closed() -> None:
    client: Any = NotSynchronousClient()
    with pytest.raises(TypeError, match=r"`await client\.aclose"):
        client.close()
