"""Real model servers. Where their packages are not installed, what asks for them is skipped: `nox -s peers`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.executions import WAYS, Way
from tests.support.model_servers import FakeServer, LlamaServer
from tests.support.served_process import ServedProcess

CONFIGURATION = """\
version = 1

[[models]]
name = "small"
url = "{llama}"
model = "tiny"
key_env = "LLAMA_KEY"
max_tokens = 24

[[models]]
name = "long"
url = "{llama}"
model = "tiny"
key_env = "LLAMA_KEY"

[[models]]
name = "gpt-4o"
url = "{fake}"

[[agents]]
id = "poet"
system = "Rhyme."
max_tokens = 8
"""


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """llama.cpp's server with a tiny model."""
    pytest.importorskip("xllamacpp")
    with LlamaServer(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """A server that calls tools."""
    pytest.importorskip("fakellm")
    with FakeServer(tmp_path_factory.mktemp("fakellm")) as server:
        yield server


@pytest.fixture(scope="session")
def served(llama: LlamaServer, fake: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """`hestiaos serve` before both, with the key `key`: `small` and `long` are of the one, `gpt-4o` of the other."""
    folder = tmp_path_factory.mktemp("served")
    file = folder / "hestia.toml"
    file.write_text(CONFIGURATION.format(llama=llama.url, fake=fake.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMA_KEY", llama.key or "")
        patch.setenv("HESTIAOS_API_KEY", "key")
        server = ServedProcess("--config", str(file), "--store", str(folder / "store.db"))
    with server:
        yield server


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    """On asyncio, on trio, or without an event loop."""
    assert isinstance(request.param, Way)
    return request.param
