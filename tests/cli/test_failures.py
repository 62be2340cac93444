"""Each fault that a user can meet at the prompt: its line, what to do, and its exit status."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from hestiaos_local import Platform
from tests.support.command_line import Ended, invoke
from tests.support.scripted_answers import serve_once

pytestmark = pytest.mark.usefixtures("home")

Serve = Callable[..., str]


def failed(*arguments: str) -> Ended:
    """What a command came to that fails, with distinct exit statuses."""
    done = invoke("--exit-codes", *arguments)
    assert done.error
    return done


@pytest.mark.parametrize("command", ["health", "run x", "run x --stream", "chat hi", "api GET /api/v1/health"])
def test_nothing_listens(command: str) -> None:
    done = failed(*command.split(), "-u", ":1")
    assert done.status == 5
    assert "http://localhost:1" in done.error
    assert "hestiaos serve" in done.error


def test_an_unknown_host() -> None:
    done = failed("health", "-u", "http://nothing.invalid")
    assert done.status == 5
    assert "check the URL of --base-url" in done.error
    assert "hestiaos serve" not in done.error


def test_a_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2@127.0.0.1:1")
    done = failed("health", "-u", "http://192.0.2.1")
    assert done.status == 5
    assert "HTTP_PROXY" in done.error
    assert "192.0.2.1 to NO_PROXY" in done.error
    assert "hunter2" not in done.error


def test_plain_http_where_tls_is_expected(server_url: str) -> None:
    done = failed("health", "-u", server_url.replace("http:", "https:"))
    assert done.status == 5
    assert "http://" in done.error.partition("; ")[2]


@contextmanager
def tls_server() -> Iterator[str]:
    """A server whose certificate no trusted authority has signed. It ends each connection after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            try:
                while True:
                    peer = listener.accept()[0]
                    try:
                        context.wrap_socket(peer, server_side=True).close()
                    except OSError:
                        peer.close()
            except OSError:  # it is closed
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_an_unknown_authority() -> None:
    with tls_server() as url:
        done = failed("health", "-u", url)
        assert done.status == 5
        assert "--cacert" in done.error
        assert failed("health", "-u", url, "--insecure").status == 1  # past the certificate


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = failed("health", "-u", f":{listener.getsockname()[1]}", "--timeout", "0.1")
    assert done.status == 6
    assert "--timeout" in done.error


def test_a_page_instead_of_the_api() -> None:
    for status in (b"200 OK", b"404 Not Found"):
        done = failed("health", "-u", serve_once(status, b"text/html", b"<html>nginx</html>"))
        assert done.status == 1
        assert "text/html" in done.error
        assert "nginx" in done.error
        assert "hestiaos doctor" in done.error


def test_the_key(serve_platform: Serve) -> None:
    url = serve_platform(api_key="wrong-or-right")
    missing = failed("run", "x", "-u", url)
    assert missing.status == 4
    assert "hestiaos login" in missing.error
    for key in ("wrong", "API", "the"):  # which are words of sentences too
        refused = failed("run", "x", "-u", url, "-k", key)
        assert refused.status == 4
        assert "does not accept the API key of --api-key" in refused.error
        assert "***" not in refused.error
    assert invoke("run", "x", "-u", url, "-k", "-", stdin=b"wrong-or-right\n").stdout == "processed: x\n"


def test_too_many_requests() -> None:
    body = b'{"message": "slow down"}'
    url = serve_once(b"429 Too Many Requests", b"application/json", body, headers=b"Retry-After: 7\r\n")
    done = failed("run", "x", "-u", url)
    assert done.status == 1
    assert "7 s" in done.error
    assert "--retries" in done.error


def test_a_block() -> None:
    done = failed("--local", "run", "rm -rf /")
    assert done.status == 3
    for told in ("destructive-shell", "deletes files beyond recovery", "risk 1.0", "hestiaos --local trace "):
        assert told in done.error


def test_a_blocked_agent() -> None:
    done = failed("--local", "agents", "run", "a1", "rm -rf /")
    assert done.status == 3
    assert "a1 blocked: the input deletes" in done.error


def test_a_blocked_run_is_a_failure_like_any_other_without_distinct_statuses() -> None:
    assert invoke("--local", "run", "rm -rf /").status == 1


def test_distinct_statuses_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HESTIAOS_EXIT_CODES", "1")
    assert invoke("--local", "run", "rm -rf /").status == 3


def test_a_stream_that_is_cut() -> None:
    events = b'data: {"type": "start"}\n\ndata: {"type": "token", "data": {"text": "half"}}\n\n'
    done = invoke("run", "x", "--stream", "--exit-codes", "-u", serve_once(b"200 OK", b"text/event-stream", events))
    assert (done.status, done.stdout) == (7, "half")
    assert "run it again" in done.stderr


def test_no_trace(server_url: str) -> None:
    assert "NOT_FOUND" in failed("--local", "trace", "nothing").error
    assert "NOT_FOUND" in failed("--local", "governance", "trace", "nothing").error
    assert failed("governance", "trace", "nothing", "-u", server_url).error == (
        f"[NOT_FOUND] there is no trace 'nothing', at {server_url}"
    )


def test_no_secret() -> None:
    assert "NOT_FOUND" in failed("--local", "secrets", "get", "nothing").error


@pytest.mark.parametrize("option", [["-v"], ["-vv"], ["--json"], []])
def test_neither_key_nor_secret_is_shown(serve_platform: Serve, option: list[str]) -> None:
    url = serve_platform(api_key="hunter2")
    arguments = ["-u", url, "-k", "hunter2"]
    done = invoke("secrets", "set", "k", *arguments, *[each for each in option if each != "--json"], stdin=b"s3cret\n")
    assert done.status == 0
    echoing = serve_once(b"500 Oops", b"application/json", json.dumps({"message": "hunter2 and s3cret"}).encode())
    refused = invoke("secrets", "set", "k", "-u", echoing, "-k", "hunter2", stdin=b"s3cret")
    for shown in (done, refused):
        assert "hunter2" not in shown.stdout + shown.stderr
        assert "s3cret" not in shown.stdout + shown.stderr
    assert invoke("secrets", "get", "k", *arguments).stdout == "s3cret\n"


def test_a_secret_that_is_typed_is_not_repeated() -> None:
    told = invoke("--local", "secrets", "set", "k", "s3cret")
    assert told.status == 2
    assert "or pipe it" in told.error
    assert "s3cret" not in told.error


def test_a_store_that_is_locked_away(home: Path) -> None:
    assert invoke("--local", "health").status == 0
    (store,) = home.rglob("*.sqlite3")
    store.write_text("these are notes\n" * 100)
    assert "move it away" in failed("--local", "health").error


def test_a_server_that_waits_for_its_start(serve_platform: Serve, platform: Platform) -> None:
    assert invoke("health", "--wait", "5", "-u", serve_platform()).status == 0
    assert failed("health", "--wait", "0.3", "-u", ":1").status == 5
