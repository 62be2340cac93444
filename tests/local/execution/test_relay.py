"""The relay, towards a peer that answers over real sockets as model servers do, faults included."""

from __future__ import annotations

import gzip
import json
import logging
import ssl
import threading
from contextlib import aclosing, closing
from typing import Any

import anyio
import pytest
import trustme

from hestiaos_local.execution import (
    Finish,
    ModelRouter,
    RelayExecutor,
    Text,
    ToolCall,
    Usage,
    run_executor,
    run_executor_sync,
)
from hestiaos_proto import MAX_BODY_SIZE, NotFound, StatusError
from tests.support import wire
from tests.support.completions import DONE, call, chunk, done, event, plain, stream, texts
from tests.support.executions import Way, say
from tests.support.expecting import within
from tests.support.peer import Peer
from tests.support.ports import full_backlog, refusing_url
from tests.support.steps import Script, close, flood, reset, send, silence
from tests.support.storages import python

KEY = "sk-hunter2"
ROLE = chunk({"role": "assistant", "content": ""})
HELLO = (ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
ANSWER = [Text("Hel"), Text("lo"), Usage(3, 2), Finish("stop")]


def streamed(data: bytes, *headers: str) -> bytes:
    """A whole response with the events of `data`, a chunk for each."""
    return wire.chunked(
        [each + b"\n\n" for each in data.split(b"\n\n")[:-1]], *headers, content_type="text/event-stream"
    )


HEAD = wire.STREAM_HEAD
GOOD = [send(streamed(done(*HELLO, USAGE)))]


def relay(peer: Peer, **options: Any) -> RelayExecutor:
    return RelayExecutor(f"{peer.url}/v1/", **{"model": "m", "key": KEY} | options)


class TestRequests:
    def test_a_work_is_asked_for_as_a_stream(self, way: Way) -> None:
        with Peer(GOOD) as peer:
            work = say("hi", options={"seed": 1}, max_tokens=7)
            assert way.run(relay(peer), work) == (ANSWER, None)
        (request,) = peer.requests
        assert (request.method, request.target) == ("POST", "/v1/chat/completions")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["accept-encoding"] == "identity"
        assert json.loads(request.body) == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 7,
            "seed": 1,
        }

    def test_the_model_of_the_work_comes_before_that_of_the_relay(self, way: Way) -> None:
        with Peer(GOOD, GOOD) as peer:
            way.run(relay(peer, key=None), say(model="other"))
        assert json.loads(peer.requests[0].body)["model"] == "other"
        assert "authorization" not in peer.requests[0].headers

    def test_without_a_model_the_first_of_the_server_is_asked_once(self, way: Way) -> None:
        models = [send(wire.ok({"data": [{"id": "first"}, {"id": "second"}]}))]
        with Peer(models, GOOD, GOOD) as peer:
            executor = relay(peer, model=None)
            way.run(executor, say())
            way.run(executor, say())
        assert [request.target for request in peer.requests] == ["/v1/models", *["/v1/chat/completions"] * 2]
        assert [json.loads(request.body)["model"] for request in peer.requests[1:]] == ["first", "first"]

    def test_a_server_without_any_model(self, way: Way) -> None:
        with Peer([send(wire.ok({"data": []}))]) as peer:
            _, error = way.run(relay(peer, model=None), say())
        assert error is not None
        assert (error.code, error.message) == ("MODEL_NOT_FOUND", f"the model server at {peer.url}/v1 has no model")

    @pytest.mark.parametrize(("asked", "sent"), [(None, 5), (3, 3), (9, 5)])
    def test_the_lower_limit_of_tokens_is_sent(self, asked: int | None, sent: int) -> None:
        with Peer(GOOD) as peer:
            Way("asyncio").run(relay(peer, max_tokens=5), say(max_tokens=asked))
        assert json.loads(peer.requests[0].body)["max_tokens"] == sent

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:11434",
            "ftp://host/v1",
            "http://",
            "http://host/v1?x=1",
            "http://host/v1#x",
            "http://host:port",
        ],
    )
    def test_a_url_that_cannot_be_one(self, url: str) -> None:
        with pytest.raises(ValueError, match="the URL of the model server"):
            RelayExecutor(url)

    def test_a_url_with_a_password_is_not_quoted(self) -> None:
        with pytest.raises(ValueError, match="must not contain a user or password") as caught:
            RelayExecutor("http://ann:pass-hunter2@host/v1")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("key", ["sk-hunter2\r\nX: y", "sk-hunter2é", "sk-hunter2\0"])
    def test_a_key_that_no_header_can_have_is_not_quoted(self, key: str) -> None:
        with pytest.raises(ValueError, match="must not have characters that are not allowed in a header") as caught:
            RelayExecutor("http://host/v1", key=key)
        assert "hunter2" not in str(caught.value)


class TestAnswers:
    def test_a_tool_call(self, way: Way) -> None:
        deltas = [call(0, None, "look", '{"a":'), call(0, arguments="1}")]
        data = done(*(chunk({"tool_calls": [each]}) for each in deltas), chunk({}, "tool_calls"), USAGE)
        with Peer([send(streamed(data))]) as peer:
            outputs, _ = way.run(relay(peer), say(trace_id="t1"))
        assert outputs == [ToolCall("call_t1_0", "look", '{"a":1}'), Usage(3, 2), Finish("tool_calls")]

    def test_usage_is_counted_where_the_server_tells_none(self, way: Way) -> None:
        with Peer([send(streamed(done(*HELLO)))]) as peer:
            outputs, _ = way.run(relay(peer), say("four"))
        assert outputs[-2] == Usage(1, 2, estimated=True)

    def test_a_text_is_given_before_the_next_is_sent(self, way: Way) -> None:
        """In lock-step, not by time: the server goes on when the caller has the text."""
        taken = threading.Event()
        script: Script = [
            send(HEAD + wire.chunk(stream(*HELLO[:2]))),
            lambda connection: _wait(taken),
            send(wire.chunk(done(*HELLO[2:]))),
        ]
        with Peer(script) as peer:
            if way.name == "sync":
                for output in run_executor_sync(relay(peer), say()):
                    taken.set()
                    last = output
            else:
                last = anyio.run(_last_of, relay(peer), taken, backend=way.name)
        assert last == Finish("stop")

    def test_a_server_that_does_not_end_its_connection_after_done(self, way: Way) -> None:
        with Peer([send(HEAD + wire.chunk(done(*HELLO, USAGE))), silence]) as peer:
            assert way.run(relay(peer), say()) == (ANSWER, None)
            peer.wait_until_left(1)

    @pytest.mark.parametrize("step", [close, reset])
    def test_a_connection_that_is_lost_after_the_finish_reason(self, way: Way, step: Any) -> None:
        with Peer([send(HEAD + wire.chunk(stream(*HELLO[:3]) + stream(HELLO[3]))), step]) as peer:
            outputs, error = way.run(relay(peer), say())
        assert error is None or step is reset  # a reset may overtake what was sent
        assert "Hello".startswith(texts(outputs))

    def test_a_server_that_does_not_stream(self, way: Way) -> None:
        body = plain({"content": "Hello"}, "length", usage=USAGE["usage"])
        with Peer([send(wire.response(200, body, content_type="application/json; charset=utf-8"))]) as peer:
            assert way.run(relay(peer), say()) == ([Text("Hello"), Usage(3, 2), Finish("length")], None)

    def test_keep_alive_comments_and_odd_pieces(self, way: Way) -> None:
        data = b": hi\n\n" + b"data:\n\n".join(map(event, HELLO)) + event(USAGE) + DONE
        pieces = [data[place : place + 7] for place in range(0, len(data), 7)]
        with Peer([send(wire.chunked(pieces, content_type="text/event-stream"))]) as peer:
            assert way.run(relay(peer), say()) == (ANSWER, None)


def _wait(event: threading.Event) -> None:
    assert event.wait(50.0)


async def _last_of(executor: RelayExecutor, taken: threading.Event) -> Any:
    last = None
    async with aclosing(run_executor(executor, say())) as outputs:
        async for output in outputs:
            taken.set()
            last = output
    return last


def failing(status: int, value: Any, *headers: str) -> Script:
    return [send(wire.response(status, json.dumps(value).encode(), *headers))]


FAULTS: dict[str, tuple[Script, str, int, str]] = {
    "wrong key": (
        failing(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}),
        "MODEL_AUTHENTICATION_FAILED",
        502,
        "the model server refused the platform's key: status 401: Incorrect API key provided: ***",
    ),
    "unknown model": (
        failing(404, {"error": {"message": "model 'm' not found"}}),
        "MODEL_NOT_FOUND",
        404,
        "the model server does not have the model or the path: status 404: model 'm' not found",
    ),
    "too often": (
        failing(429, {}, "Retry-After: 7"),
        "MODEL_RATE_LIMITED",
        429,
        "received too many requests: status 429",
    ),
    "loading": (failing(503, {"error": {"message": "Loading model"}}), "MODEL_UNAVAILABLE", 503, "Loading model"),
    "too long": (failing(400, {"error": "context is full"}), "INVALID_INPUT", 422, "context is full"),
    "failing": (failing(500, {"error": "CUDA"}), "MODEL_FAILED", 502, "the model server failed: status 500: CUDA"),
    "proxy": ([send(wire.response(502, b"<html>", content_type="text/html"))], "MODEL_FAILED", 502, "'<html>'"),
    "redirect": (failing(307, {}, "Location: /v2"), "MODEL_FAILED", 502, "redirects are not followed"),
    "page": ([send(wire.response(200, b"<html>", content_type="text/html"))], "MODEL_STREAM_CUT", 502, "no answer"),
    "no json": ([send(wire.response(200, b"hello"))], "MODEL_PROTOCOL_ERROR", 502, "invalid JSON"),
    "no http": (
        [send(b"SSH-2.0-OpenSSH_9.9\r\n"), close],
        "MODEL_STREAM_CUT",
        502,
        "the model server's answer was cut",
    ),
    "nothing": ([close], "MODEL_STREAM_CUT", 502, "the model server's answer was cut off"),
    "reset": ([reset], "MODEL_STREAM_CUT", 502, "the model server's answer was cut off"),
    "compressed": (
        [send(wire.response(200, gzip.compress(done(*HELLO)), "Content-Encoding: gzip"))],
        "MODEL_PROTOCOL_ERROR",
        502,
        "it sent the content coding 'gzip', though not asked to",
    ),
    "error in a stream": (
        [send(streamed(stream(ROLE, {"error": {"message": "CUDA"}})))],
        "MODEL_FAILED",
        502,
        "the model server failed: an error in its answer: CUDA",
    ),
    "error in a body": ([send(wire.ok({"error": "CUDA"}))], "MODEL_FAILED", 502, "an error in its answer: CUDA"),
    "a huge body": (
        [
            send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 40}\r\nContent-Type: application/json\r\n\r\n".encode()),
            flood(b" " * 65536, most=4 * MAX_BODY_SIZE),
        ],
        "MODEL_PROTOCOL_ERROR",
        502,
        f"its answer is larger than {MAX_BODY_SIZE} bytes",
    ),
    "a huge error": (
        [send(f"HTTP/1.1 500 X\r\nContent-Length: {1 << 40}\r\n\r\n".encode()), flood(b"x" * 65536, most=1 << 30)],
        "MODEL_FAILED",
        502,
        "the model server failed: status 500: its body is too large, or was cut off",
    ),
    "a large error": (
        [send(wire.response(500, b"x" * 65536))],
        "MODEL_FAILED",
        502,
        "the model server failed: status 500: 'xxx",
    ),
    "a huge event": (
        [send(HEAD), flood(wire.chunk(b"x" * 65536), most=1 << 30)],
        "MODEL_PROTOCOL_ERROR",
        502,
        "a line of the event stream is longer than",
    ),
}


class TestFaults:
    @pytest.mark.parametrize(("script", "code", "status", "told"), FAULTS.values(), ids=FAULTS)
    def test_a_fault_before_any_output(self, way: Way, script: Script, code: str, status: int, told: str) -> None:
        with Peer(script) as peer:
            outputs, error = way.run(relay(peer), say())
        assert outputs == []
        assert error is not None
        assert (error.code, error.status_code) == (code, status)
        assert told in error.message
        assert error.retry_after == (7.0 if status == 429 else None)
        _discreet(error)

    @pytest.mark.parametrize("step", [close, silence], ids=["close", "silence"])
    def test_a_fault_after_some_outputs(self, way: Way, step: Any) -> None:
        with Peer([send(HEAD + wire.chunk(stream(*HELLO[:3]))), step]) as peer:
            outputs, error = way.run(relay(peer), say(timeout=0.5 if step is silence else None))
        assert texts(outputs) == "Hello" or (step is silence and "Hello".startswith(texts(outputs)))
        assert error is not None
        assert error.code == ("TIMED_OUT" if step is silence else "MODEL_STREAM_CUT")

    def test_the_timeout_ends_the_request(self, way: Way) -> None:
        def bounded(seconds: float) -> None:
            with Peer([silence]) as peer:
                _, error = way.run(relay(peer), say(timeout=seconds))
                assert peer.connections == 1  # else it was late
                peer.wait_until_left(1)
            assert error is not None
            assert (error.code, error.status_code) == ("TIMED_OUT", 504)

        within(0.2, bounded)

    def test_the_timeout_ends_an_endless_answer(self, way: Way) -> None:
        """Where the relay never waits."""
        endless = wire.chunk(event(chunk({"content": "a"})))

        def bounded(seconds: float) -> None:
            with Peer([send(HEAD), flood(endless, most=1 << 30)]) as peer:
                _, error = way.run(relay(peer), say(timeout=seconds))
                assert peer.connections == 1  # else it was late
                peer.wait_until_ended(1)
            assert error is not None
            assert error.code == "TIMED_OUT"
            assert error.message == f"the execution took longer than its timeout of {seconds:g} s"

        within(0.2, bounded)

    def test_the_timeout_ends_the_search_for_a_model(self, way: Way) -> None:
        def bounded(seconds: float) -> None:
            with Peer([silence]) as peer:
                _, error = way.run(ModelRouter({"tiny": relay(peer, model=None)}), say(timeout=seconds))
                assert peer.connections == 1  # else it was late
                peer.wait_until_left(1)
            assert error is not None
            assert error.code == "TIMED_OUT"

        within(0.2, bounded)

    def test_a_silent_server_without_a_timeout(self, way: Way) -> None:
        with Peer([silence]) as peer:
            _, error = way.run(relay(peer, read_timeout=0.2), say())
        assert error is not None
        assert (error.code, error.status_code) == ("MODEL_TIMED_OUT", 504)

    def test_a_server_that_is_not_there(self, way: Way) -> None:
        url = refusing_url()
        _, error = way.run(RelayExecutor(f"{url}/v1", model="m", key=KEY), say())
        assert error is not None
        assert (error.code, error.status_code) == ("MODEL_UNREACHABLE", 503)
        assert error.message.startswith(f"the model server cannot be reached: cannot connect to {url}: ")

    def test_a_server_that_does_not_accept(self, way: Way) -> None:
        with full_backlog() as url:
            _, error = way.run(RelayExecutor(url, model="m", connect_timeout=0.2), say())
        assert error is not None
        assert error.code == "MODEL_UNREACHABLE"

    def test_a_server_that_is_not_trusted(self, way: Way) -> None:
        """And one that is, by a context that is given."""

        from tests.support.steps import start_tls  # noqa: F401  # the peer starts it

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").configure_cert(context)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        with Peer(GOOD, tls=context) as peer:
            _, error = way.run(relay(peer), say())
            assert error is not None
            assert error.code == "MODEL_UNREACHABLE"
            assert way.run(relay(peer, ssl_context=trusting), say()) == (ANSWER, None)


class TestProxies:
    def test_the_proxy_of_the_environment(self, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
        with Peer(GOOD, GOOD) as peer:
            monkeypatch.setenv("HTTP_PROXY", f"http://ann:4711@{peer.authority}")
            executor = RelayExecutor("http://model.test/v1", model="m")
            monkeypatch.delenv("HTTP_PROXY")  # it is read once
            assert way.run(executor, say()) == (ANSWER, None)
            monkeypatch.setenv("HTTP_PROXY", "http://proxy.test")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert way.run(relay(peer), say()) == (ANSWER, None)
        through, direct = peer.requests
        assert through.target == "http://model.test/v1/chat/completions"
        assert through.headers["proxy-authorization"] == "Basic YW5uOjQ3MTE="
        assert direct.target == "/v1/chat/completions"

    def test_a_proxy_that_is_not_there(self, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", refusing_url())
        _, error = way.run(RelayExecutor("http://model.test/v1", model="m"), say())
        assert error is not None
        assert error.code == "MODEL_UNREACHABLE"
        assert f"cannot connect to http://model.test through the proxy {refusing_url()}: " in error.message

    def test_a_variable_that_is_not_a_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "ftp://proxy.test")
        with pytest.raises(ValueError, match="the proxy of HTTP_PROXY cannot be used"):
            RelayExecutor("http://model.test/v1")


class TestLeaving:
    def test_a_caller_that_goes_ends_the_request(self, way: Way) -> None:
        endless = event(chunk({"content": "a"}))
        with Peer([send(HEAD), flood(wire.chunk(endless), most=1 << 30)], GOOD) as peer:
            executor = relay(peer)
            assert way.take(executor, say(), 3) == [Text("a")] * 3
            peer.wait_until_ended(1)
            assert way.run(executor, say()) == (ANSWER, None)

    def test_a_caller_that_goes_while_it_waits_ends_the_request(self, backend: str) -> None:
        async def main(peer: Peer) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(_last_of, relay(peer), threading.Event())
                await anyio.to_thread.run_sync(peer.wait_for_requests, 1)
                group.cancel_scope.cancel()

        with Peer([send(HEAD + wire.chunk(stream(ROLE))), silence]) as peer:
            anyio.run(main, peer, backend=backend)
            peer.wait_until_left(1)

    def test_a_synchronous_caller_that_goes_while_nothing_comes(self) -> None:
        with Peer([send(HEAD + wire.chunk(stream(*HELLO[:2]))), silence]) as peer:
            with closing(run_executor_sync(relay(peer), say())) as outputs:
                assert next(outputs) == Text("Hel")
            peer.wait_until_left(1)

    def test_many_at_once_and_half_of_them_left(self, backend: str) -> None:
        async def one(executor: RelayExecutor, number: int) -> None:
            count = 0
            async with aclosing(run_executor(executor, say())) as outputs:
                async for _ in outputs:
                    count += 1
                    if number % 2 and count == 1:
                        return
            assert count == len(ANSWER)

        async def main(peer: Peer) -> None:
            executor = relay(peer)
            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(one, executor, number)

        with Peer(answer=lambda request: GOOD) as peer:
            anyio.run(main, peer, backend=backend)
        assert len(peer.requests) == 40


class TestCheck:
    def check(self, backend: str, executor: RelayExecutor, **options: Any) -> StatusError | None:
        async def main() -> StatusError | None:
            return await executor.check(**options)

        return anyio.run(main, backend=backend)

    def test_the_models_of_a_server(self, backend: str) -> None:
        with Peer([send(wire.ok({"data": [{"id": "a"}, {"id": "b"}]}))]) as peer:
            assert anyio.run(relay(peer).models, backend=backend) == ["a", "b"]
        assert (peer.requests[0].method, peer.requests[0].target) == ("GET", "/v1/models")
        assert peer.requests[0].headers["authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize("script", [[send(wire.ok({"data": []}))], failing(404, {})], ids=["models", "no list"])
    def test_a_server_that_is_there(self, backend: str, script: Script) -> None:
        with Peer(script) as peer:
            assert self.check(backend, relay(peer)) is None

    def test_a_server_that_does_not_list_its_models(self, backend: str) -> None:
        with Peer(failing(404, {})) as peer, pytest.raises(NotFound) as caught:
            anyio.run(relay(peer, model=None).find_model, backend=backend)
        assert caught.value.code == "MODEL_NOT_FOUND"
        assert f"does not list its models at {peer.url}/v1/models: correct its URL" in caught.value.message

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            (failing(401, {}), "MODEL_AUTHENTICATION_FAILED"),
            (failing(503, {}), "MODEL_UNAVAILABLE"),
            ([send(wire.response(200, b"<html>"))], "MODEL_PROTOCOL_ERROR"),
            ([close], "MODEL_STREAM_CUT"),
            ([silence], "MODEL_TIMED_OUT"),
        ],
    )
    def test_a_server_that_cannot_be_used_says_why(self, backend: str, script: Script, code: str) -> None:
        with Peer(script) as peer:
            error = self.check(backend, relay(peer), within=0.3 if script == [silence] else 10.0)
        assert error is not None
        assert error.code == code

    def test_a_handshake_that_is_given_up_closes_its_socket(self, backend: str) -> None:
        def give_up(seconds: float) -> None:
            with Peer(opening=[silence]) as peer:
                executor = RelayExecutor(peer.url.replace("http", "https"), ssl_context=ssl.create_default_context())
                error = self.check(backend, executor, within=seconds)
                assert error is not None
                assert error.code == "MODEL_TIMED_OUT"
                peer.wait_until_left(1)

        within(0.3, give_up)

    def test_a_server_that_is_not_there(self, backend: str) -> None:
        error = self.check(backend, RelayExecutor(refusing_url()))
        assert error is not None
        assert error.code == "MODEL_UNREACHABLE"


class TestSecrecy:
    def test_the_key_is_in_no_repr_and_no_log(self, way: Way, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "hestiaos_local")
        with Peer(GOOD, failing(500, {"error": f"no {KEY}"})) as peer:
            executor = relay(peer)
            assert "hunter2" not in repr(executor)
            assert repr(executor) == f"RelayExecutor('{peer.url}/v1', model='m')"
            way.run(executor, say())
            _, error = way.run(executor, say())
        assert error is not None
        _discreet(error)
        assert "hunter2" not in caplog.text


def _discreet(error: StatusError) -> None:
    told: list[Any] = []
    fault: BaseException | None = error
    while fault is not None:
        told += [str(fault), repr(fault), vars(fault).get("details"), vars(fault).get("body")]
        fault = fault.__cause__
    assert "hunter2" not in repr(told)


FIRST = """
import sys, threading
import anyio
from hestiaos_local.execution import RelayExecutor, Work

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("httpcore", "httpcore2"):
            print(threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Finder())

async def main():
    work = Work(messages=[{"role": "user", "content": "hi"}])
    print([output async for output in RelayExecutor(sys.argv[1], model="m").execute(work)][0].text)

anyio.run(main)
"""


@pytest.mark.broad
def test_the_first_execution_does_not_keep_the_event_loop_from_its_turns() -> None:
    """httpx imports its transport when the first client is made."""
    with Peer(GOOD) as peer:
        told, _ = python(FIRST, f"{peer.url}/v1").communicate(timeout=100)
    assert told == "False\nHel\n"
