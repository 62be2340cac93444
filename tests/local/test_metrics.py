"""`/metrics`: what a served platform has counted, read by prometheus-client's own parser."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hestiaos_local import Platform
from hestiaos_local.execution import RelayExecutor
from tests.local.test_server_models import answer, completion
from tests.support.peer import Peer
from tests.support.ports import refusing_url
from tests.support.storages import python


def metrics(url: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, these in the order of their names."""
    response = httpx.get(f"{url}/metrics")
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(response.text)
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


def test_requests_decisions_and_outcomes(start: Callable[..., str]) -> None:
    url = start()
    httpx.post(f"{url}/api/v1/run", json={"input": "hi"})
    httpx.post(f"{url}/api/v1/run", json={"input": "rm -rf /"})
    httpx.post(f"{url}/api/v1/run/stream", json={"input": "hi"})
    httpx.get(f"{url}/api/v1/trace/none")
    httpx.get(f"{url}/api/nothing")
    found = metrics(url)
    assert found["hestiaos_requests_total", "run", "200"] == 1
    assert found["hestiaos_requests_total", "run", "403"] == 1
    assert found["hestiaos_requests_total", "run_stream", "200"] == 1
    assert found["hestiaos_requests_total", "trace", "404"] == 1
    assert found["hestiaos_requests_total", "", "404"] == 1
    assert (found["hestiaos_decisions_total", "ALLOW"], found["hestiaos_decisions_total", "BLOCK"]) == (2, 1)
    assert found["hestiaos_executions_total", "completed"] == 2
    assert found["hestiaos_request_duration_seconds_count", "run"] == 2
    assert found["hestiaos_request_duration_seconds_bucket", "+Inf", "run"] == 2
    assert found["hestiaos_open_streams",] == 0


@pytest.fixture
def model_url() -> Iterator[str]:
    with Peer(answer=answer) as model:
        yield f"{model.url}/v1"


def test_tokens_of_a_model(start: Callable[..., str], model_url: str) -> None:
    with Platform(executor=RelayExecutor(model_url, model="tiny")) as platform:
        url = start(platform=platform)
        httpx.post(f"{url}/v1/chat/completions", content=completion())
        found = metrics(url)
    assert (found["hestiaos_tokens_total", "prompt"], found["hestiaos_tokens_total", "completion"]) == (3, 2)
    assert found["hestiaos_requests_total", "chat_completions", "200"] == 1


def test_a_model_server_that_is_not_there(start: Callable[..., str]) -> None:
    with Platform(executor=RelayExecutor(refusing_url(), model="tiny")) as platform:
        url = start(platform=platform)
        assert httpx.post(f"{url}/api/v1/run", json={"input": "hi"}).status_code == 503
        found = metrics(url)
    assert found["hestiaos_model_errors_total", "MODEL_UNREACHABLE"] == 1
    assert found["hestiaos_executions_total", "failed"] == 1


def test_an_open_stream_is_counted(start: Callable[..., str]) -> None:
    url = start(token_delay=30.0, heartbeat=0.05)
    with httpx.stream("POST", f"{url}/api/v1/run/stream", json={"input": "hi"}) as stream:
        lines = stream.iter_lines()  # dropped, it would close the stream
        next(lines)
        assert metrics(url)["hestiaos_open_streams",] == 1
        del lines
    until = time.monotonic() + 20
    while metrics(url)["hestiaos_open_streams",]:
        assert time.monotonic() < until


def test_they_need_the_key(start: Callable[..., str]) -> None:
    url = start(api_key="k")
    assert httpx.get(f"{url}/metrics").status_code == 401
    assert httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer k"}).status_code == 200


def test_without_prometheus_client_it_is_said_what_to_install(
    start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # as if it were not installed
    response = httpx.get(f"{start()}/metrics")
    assert response.status_code == 501
    assert "pip install 'hestiaos[platform]'" in response.json()["message"]


FIRST = """
import sys, threading
import anyio, httpx
from hestiaos_local import Platform, serve

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "prometheus_client":
            print(threading.current_thread() is threading.main_thread())

def ask(url):
    print(httpx.get(f"{url}/metrics").status_code)

async def main():
    async with anyio.create_task_group() as tasks:
        def ask_in_a_thread(url):
            sys.meta_path.insert(0, Finder())
            tasks.start_soon(asked, url)
        async def asked(url):
            await anyio.to_thread.run_sync(ask, url)
            tasks.cancel_scope.cancel()
        with Platform() as platform:
            await serve(platform, port=0, on_listening=ask_in_a_thread)

anyio.run(main)
"""


@pytest.mark.broad
def test_the_first_request_does_not_keep_the_event_loop_from_its_turns() -> None:
    """prometheus-client is imported in a thread. It is looked for first, in the loop, which does not import it."""
    told, _ = python(FIRST).communicate(timeout=100)
    *looks, status = told.split()
    assert (looks[-1], status) == ("False", "200")
