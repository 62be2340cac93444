"""What the package hands out by itself: every public name, those that are loaded late too."""

from __future__ import annotations

import pytest

import hestiaos_proto


@pytest.mark.parametrize("name", hestiaos_proto.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hestiaos_proto, name) is not None


@pytest.mark.parametrize("name", ["answe", "ANSWER", "call_", "ChunkJoiner"])
def test_any_other_name_is_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'hestiaos_proto' has no attribute '{name}'$"):
        getattr(hestiaos_proto, name)


def test_dir_shows_what_is_public_before_it_is_loaded() -> None:
    assert dir(hestiaos_proto) == sorted(hestiaos_proto.__all__)
