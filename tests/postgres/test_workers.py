"""Several workers over one database: what one does the others know, and what a killed one leaves runs out."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from hestiaos import Client
from hestiaos_local.storage import Store, verify_log
from tests.support.asgi_servers import ASGIServer
from tests.support.served_process import ServedProcess

psycopg = pytest.importorskip("psycopg")

CAP = 20
POLICY = f"""
version = 2
name = "team"

[[limits]]
name = "all"
per = "all"
requests = {CAP}
window = "1h"
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    return file


@pytest.fixture
def workers(url: str, policy: Path) -> Iterator[list[ServedProcess]]:
    """Two served platforms at ports of their own."""
    options = ("--store", url, "--policy", str(policy), "--token-delay", "0.2")
    with ExitStack() as stack:
        yield [stack.enter_context(ServedProcess(*options)) for _ in range(2)]


def run(url: str, text: str = "create a report", key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx.post(f"{url}/api/v1/run", json={"input": text}, headers=headers, timeout=30)


def test_a_repeat_at_the_other_worker_gets_the_first_result(workers: list[ServedProcess]) -> None:
    first = run(workers[0].url, key="k").json()
    assert run(workers[1].url, key="k").json() == first
    assert run(workers[1].url, "another text", key="k").status_code == 422
    with Client(base_url=workers[1].url) as client:
        assert client.trace(first["trace_id"]).decision == "ALLOW"


def test_of_repeats_at_once_one_is_executed(workers: list[ServedProcess]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: run(workers[number % 2].url, key="k"), range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.json()["trace_id"] for answer in answers if answer.status_code == 200}) == 1
    with Client(base_url=workers[0].url) as client:
        assert client.governance.verify_audit()["records"] == 2


def test_a_cap_holds_over_all_workers(workers: list[ServedProcess]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: run(workers[number % 2].url).status_code, range(CAP + 12)))
    assert Counter(answers) == {200: CAP, 429: 12}


def test_a_killed_worker_loses_nothing_and_its_lease_runs_out(url: str, workers: list[ServedProcess]) -> None:
    acknowledged = [run(workers[0].url, f"report {number}").json()["trace_id"] for number in range(5)]
    headers = {"Idempotency-Key": "k"}
    body = {"input": "word " * 500}
    with httpx.stream("POST", f"{workers[0].url}/api/v1/run/stream", json=body, headers=headers) as stream:
        lines = stream.iter_lines()
        while '"token"' not in next(lines):
            pass
        workers[0].send_signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            list(lines)
    other = workers[1].url
    repeat = httpx.post(f"{other}/api/v1/run/stream", json=body, headers=headers)
    assert (repeat.status_code, int(repeat.headers["retry-after"]) >= 1) == (409, True)
    with Client(base_url=other) as client:
        assert [client.trace(trace_id).trace_id for trace_id in acknowledged] == acknowledged
        report = client.governance.verify_audit()
        assert (report["intact"], report["records"]) == (True, 11)
    with psycopg.connect(url, autocommit=True) as connection:
        changed = connection.execute("UPDATE hestiaos.results SET lease_until = 0 WHERE result IS NULL")
        assert changed.rowcount == 1
    repeat = httpx.post(f"{other}/api/v1/run/stream", json=body, headers=headers, timeout=30)
    assert '"done"' in repeat.text


def test_an_approval_is_used_by_one_worker(url: str) -> None:
    from hestiaos_local.storage import Approval

    with closing(Store(url)) as first, closing(Store(url)) as second:
        first.add_approval(Approval(id="a", call_hash="call", created_at=0.0, expires_at=60.0), now=0.0)
        assert second.decide_approval("a", True, by="alice", now=1.0) is True
        with ThreadPoolExecutor(8) as pool:
            used = list(pool.map(lambda number: (first, second)[number % 2].use_approval("call", now=2.0), range(40)))
        assert sum(each is not None for each in used) == 1


SERVERS = [
    "uvicorn",
    pytest.param("gunicorn", marks=pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is missing")),
]


@pytest.mark.parametrize("name", SERVERS)
def test_the_workers_of_a_server(name: str, url: str, policy: Path, tmp_path: Path) -> None:
    """One of them is killed: its server starts another, and no request that was answered is lost."""
    settings = {"STORE": url, "POLICY": str(policy), "TOKEN_DELAY": "0"}
    with ASGIServer(name, tmp_path / "log", workers=3, **settings) as server:
        answers = []
        with ThreadPoolExecutor(6) as pool:
            for number in range(CAP + 10):
                answers.append(pool.submit(run, server.url, key=f"k{number}"))
        statuses = Counter(answer.result().status_code for answer in answers)
        assert statuses == {200: CAP, 429: 10}
        results = [each.json() for answer in answers if (each := answer.result()).status_code == 200]
        server.kill_worker()
        until = monotonic() + 30
        repeats = []
        while len(repeats) < 5:
            try:
                repeats.append(run(server.url, key="k0").json())
            except httpx.TransportError:  # its connection was the killed worker's
                assert monotonic() < until
                sleep(0.1)
        assert all(repeat == answers[0].result().json() for repeat in repeats)
        with Client(base_url=server.url) as client:
            assert all(client.trace(result["trace_id"]).decision == "ALLOW" for result in results)
            assert client.governance.verify_audit()["intact"] is True
    with closing(Store(url)) as store:
        assert (verify_log(store).ok, store.decisions()) == (True, {"ALLOW": CAP, "THROTTLE": 10})
