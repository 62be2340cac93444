"""A web page's `fetch` at the front door: headless Chromium, from an allowed and from a refused origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hestiaos import Client
from tests.local.test_server_models import COMPLETIONS, Steps, answer, completion
from tests.support.browser import Page, find_chromium
from tests.support.model_servers import LlamaServer
from tests.support.peer import Peer
from tests.support.served_process import ServedProcess

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium: apt-get install chromium"),
    pytest.mark.thorough,  # as for the dashboard: the session `peers` runs it
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with Page(tmp_path / "profile") as page:
        yield page


def served(model_url: str, origin: str, *options: str) -> ServedProcess:
    return ServedProcess("--model-url", model_url, "--api-key", "key", "--allow-origin", origin, *options)


def test_each_token_is_read_before_the_next_is_made(page: Page) -> None:
    steps = Steps()
    with Peer(steps.script(), answer=answer) as model, served(f"{model.url}/v1", page.origin, "--model=tiny") as server:
        page.open(server.url + COMPLETIONS, completion(stream=True), "key")
        steps.events[0].set()
        head = page.report()
        assert head["status"] == 200
        page.answer()
        for number in range(3):
            assert f"t{number} " in page.report()["piece"]
            if number < 2:
                steps.events[number + 1].set()
            page.answer()
        while "piece" in (last := page.report()):
            page.answer()
        page.answer()
        assert last == {"end": True}
        with Client(base_url=server.url, api_key="key") as client:
            assert client.trace(head["trace"]).decision == "ALLOW"


def test_a_page_of_another_origin_gets_nothing_and_nothing_is_executed(page: Page) -> None:
    with Peer(answer=answer) as model, served(f"{model.url}/v1", "http://app.example", "--model=tiny") as server:
        page.open(server.url + COMPLETIONS, completion(stream=True), "key")
        assert page.report() == {"error": "TypeError"}
        page.answer()
        assert model.requests == []


def test_a_page_that_leaves_cancels_a_real_models_generation(
    page: Page, llama: LlamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first piece is read while the model generates the rest."""
    monkeypatch.setenv("LLAMA_KEY", llama.key or "")
    asked = 15_000
    before = llama.generated()
    with served(llama.url, page.origin, "--model-key-env=LLAMA_KEY") as server:
        body = completion(stream=True, max_tokens=asked, ignore_eos=True).replace(b'"tiny"', b'"any"')
        page.open(server.url + COMPLETIONS, body, "key")
        assert page.report()["status"] == 200
        page.answer()
        assert "data: " in page.report()["piece"]
        assert llama.busy()
        page.answer(leave=True)
        assert page.report() == {"error": "AbortError"}
        page.answer()
        llama.wait_until_idle()
    assert llama.generated() - before < asked
