"""Which reply a request gets, what is known of it afterwards, and the error for a script that does not fit."""

from __future__ import annotations

import json
import re
import threading
import time
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from hestiaos import (
    AsyncClient,
    AsyncioClient,
    Client,
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    NotFound,
    Policy,
    ServerError,
    StreamInterrupted,
    TrioClient,
)
from hestiaos_local import Agent
from hestiaos_local.testing import ReceivedRequest, Reply, ScriptedPlatform
from tests.support.broad import LOOPS
from tests.support.expecting import within


@pytest.fixture
def client(platform: ScriptedPlatform) -> Client:
    return Client(transport=platform.transport)


def asked(platform: ScriptedPlatform) -> list[tuple[str, str]]:
    return [(request.operation, request.text) for request in platform.requests]


def test_the_first_reply_that_fits(platform: ScriptedPlatform, client: Client) -> None:
    platform.say("about mail", to="mail")
    platform.say("of a number", to=re.compile(r"^\d+$"))
    platform.say("long", to=lambda text: len(text) > 20)
    platform.say("first")
    platform.say("second")
    results = [client.run(text).result for text in ("hello", "no number: 1", "x" * 21, "17", "a mail")]
    assert results == ["first", "second", "long", "of a number", "about mail"]


def test_any_number_of_times(platform: ScriptedPlatform, client: Client) -> None:
    reply = platform.say("yes", times=None)
    platform.say("never", times=None)
    assert [client.run("hello").result for _ in range(3)] == ["yes"] * 3
    assert reply.used == 3


def test_every_operation_that_executes(platform: ScriptedPlatform, client: Client) -> None:
    platform.say("yes", times=None)
    chat = client.chat.run("a message")
    assert chat.result == "yes"
    assert chat.model == "hestia-scripted"
    assert client.agents.run("researcher", "a task").result == "yes"
    assert client.run("an input").result == "yes"
    assert [event.type for event in client.run_stream("a stream")] == ["start", "token", "final", "done"]
    assert asked(platform) == [
        ("chat", "a message"),
        ("run_agent", "a task"),
        ("run", "an input"),
        ("run_stream", "a stream"),
    ]
    assert platform.requests[2].arguments["mode_hint"] is None


def test_what_is_not_executed_is_a_real_platforms(platform: ScriptedPlatform, client: Client) -> None:
    client.secrets.set("name", "value")
    assert client.secrets.get("name") == "value"
    assert client.health().status == "ok"
    platform.say("a report")
    assert client.trace(client.run("hello").trace_id).decision == "ALLOW"
    assert asked(platform)[-1] == ("trace", "")


def test_a_blocked_agent(platform: ScriptedPlatform, client: Client) -> None:
    platform.block("no research")
    result = client.agents.run("researcher", "a task")
    assert (result.status, result.error) == ("BLOCKED", "no research")


def test_a_blocked_run_has_its_trace(platform: ScriptedPlatform, client: Client) -> None:
    platform.block("no reports", to="report")
    with pytest.raises(GovernanceBlock) as caught:
        client.run("create a report")
    trace = client.trace(caught.value.trace_id or "")
    assert (trace.decision, trace.reason) == ("BLOCK", "no reports")


def test_a_policy_and_agents_of_the_tests_own() -> None:
    policy = Policy.parse(
        'version = 1\n[[rules]]\nname = "no-mail"\non = "input"\npattern = "mail"\ndecision = "BLOCK"\nrisk = 1\n'
        'reason = "no mail"\n',
        "test policy",
    )
    agents = {"writer": Agent(id="writer")}
    ids = (f"id-{number}" for number in count(1))
    with (
        ScriptedPlatform(policy=policy, agents=agents, clock=lambda: 0.0, new_id=ids.__next__) as platform,
        Client(transport=platform.transport) as client,
    ):
        platform.say("written")
        with pytest.raises(GovernanceBlock, match="no-mail"):
            client.run("mail it")
        with pytest.raises(NotFound, match="researcher"):
            client.agents.run("researcher", "a task")
        result = client.agents.run("writer", "a task")
        assert (result.result, result.trace_id) == ("written", "id-2")


@pytest.mark.parametrize("served", [False, True])
def test_the_fault_of_another_operation(platform: ScriptedPlatform, served: bool) -> None:
    platform.fail(503, operation="health")
    platform.cut(operation="system_status", times=None)  # a kept connection is tried again
    platform.say("not for them", times=None)
    place: dict[str, Any] = {"base_url": platform.url} if served else {"transport": platform.transport}
    with Client(**place, retries=0) as client:
        with pytest.raises(ServerError, match="scripted failure 503"):
            client.health()
        with pytest.raises(ConnectionLost):
            client.system.status()
        assert client.health().status == "ok"


def test_a_repeated_key_needs_no_second_reply(platform: ScriptedPlatform, client: Client) -> None:
    platform.say("once")
    results = [client.run("hello", idempotency_key="key").result for _ in range(2)]
    assert results == ["once", "once"]


def test_the_trace_of_what_was_cut(platform: ScriptedPlatform, client: Client) -> None:
    platform.cut(after="one two ")
    with pytest.raises(StreamInterrupted) as caught:
        list(client.run_stream("count"))
    assert caught.value.last_event is not None
    assert client.governance.trace(caught.value.last_event.trace_id or "")["outcome"] == "cancelled"


@pytest.mark.usefixtures("server_faults")
def test_a_delay_is_waited_for() -> None:
    def wait(seconds: float) -> None:
        with ScriptedPlatform() as platform, Client(platform.url, timeout=seconds) as client:
            reply = platform.say("late", delay=60)
            with pytest.raises(TimeoutError):
                client.run("hello")
            assert reply.used  # else the request was late

    within(0.05, wait)


def test_a_delay_in_process(platform: ScriptedPlatform, client: Client) -> None:
    platform.say("late", delay=0.01)
    began = time.monotonic()
    assert client.run("hello").result == "late"
    assert time.monotonic() - began >= 0.01


@pytest.mark.parametrize("backend", LOOPS)
def test_a_caller_that_does_not_wait(platform: ScriptedPlatform, client: Client, backend: str) -> None:
    platform.say("late", delay=60, to="delayed")
    platform.say("late", hold_after=0, to="held")
    traces: list[str] = []

    async def main(text: str) -> None:
        async with AsyncClient(transport=platform.transport) as asking:
            with anyio.CancelScope() as scope:
                async with asking.run_stream(text) as stream:
                    async for event in stream:
                        traces.append(event.trace_id or "")
                        scope.deadline = anyio.current_time() + 0.05
            assert scope.cancelled_caught

    for text in ("delayed", "held"):
        anyio.run(main, text, backend=backend)
    assert [client.governance.trace(each)["outcome"] for each in traces] == ["cancelled", "cancelled"]


def test_a_thread_waits_until_it_is_released(platform: ScriptedPlatform, client: Client) -> None:
    reply = platform.say("late", hold_after=0)
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(client.run("hello").result))
    thread.start()
    while not reply.used:
        time.sleep(0.001)
    assert results == []
    reply.release()
    thread.join()
    assert results == ["late"]


def test_what_is_held_ends_with_the_platform(server_faults: list[str]) -> None:
    with ScriptedPlatform() as platform:
        reply = platform.say("never", hold_after=0)
        errors: list[BaseException] = []

        def ask() -> None:
            with Client(platform.url, retries=0) as client:
                try:
                    client.run("hello")
                except ConnectionLost as error:
                    errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not reply.used:
            time.sleep(0.001)
        url = platform.url
    thread.join()
    with Client(url, retries=0) as client, pytest.raises(ConnectFailed):
        client.health()
    platform.close()


def test_a_client_of_openais_api(platform: ScriptedPlatform) -> None:
    platform.say("Hello there.")
    platform.call_tool("search", {"query": "hestia"})
    platform.block("no mail")
    platform.fail(429, retry_after=3)
    platform.cut(after="one two ")
    platform.cut()
    tools = [{"type": "function", "function": {"name": "search", "parameters": {}}}]

    def ask(**options: Any) -> httpx.Response:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
        return httpx.post(f"{platform.url}/v1/chat/completions", json={"model": "m", "messages": messages, **options})

    assert ask().json()["choices"][0]["message"]["content"] == "Hello there."
    [call] = ask(tools=tools).json()["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"query": "hestia"}
    assert (blocked := ask()).status_code == 403
    assert "no mail" in blocked.text
    assert (limited := ask()).status_code == 429
    assert limited.headers["Retry-After"] == "3"
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        ask(stream=True)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        ask()
    assert asked(platform) == [("complete", "hello")] * 6
    assert platform.requests[1].arguments["tools"] == (*tools,)


def test_a_request_without_a_reply() -> None:
    platform = ScriptedPlatform()
    platform.say("a report", to="report", times=2)
    with Client(transport=platform.transport) as client:
        assert client.run("a report").result == "a report"
        with pytest.raises(ServerError, match="no reply is scripted for the input 'hello'") as error:
            client.run("hello")
    assert error.value.status_code == 500  # which no client repeats
    with pytest.raises(AssertionError) as caught:
        platform.check()
    assert str(caught.value) == (
        "no reply is scripted for the input 'hello': call say, call_tool, block, fail, cut or echo before it is sent; "
        "the replies are:\n  say('a report', to='report') (used 1 of 2 times)\n"
        "the reply say('a report', to='report') is not used up (used 1 of 2 times); the requests were: run 'a report', "
        "run 'hello'"
    )


def test_an_error_of_the_test_itself_is_not_hidden() -> None:
    def test() -> None:
        with ScriptedPlatform() as platform:
            platform.say("never asked for")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        test()


def test_the_end_of_a_with_block_checks() -> None:
    platform = ScriptedPlatform()
    platform.say("never asked for")
    with pytest.raises(AssertionError, match=r"say\('never asked for'\) is not used up"), platform:
        pass


@pytest.mark.parametrize("kind", [AsyncClient, AsyncioClient, TrioClient])
def test_an_event_loop_goes_on_while_a_reply_is_held(kind: Any) -> None:
    results: list[str] = []

    async def main() -> None:
        async def ask(client: Any) -> None:
            results.append((await client.run_async("hello")).result)

        async with kind(transport=platform.transport) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            await client.health_async()
            reply.release()

    with ScriptedPlatform() as platform:
        reply = platform.say("a report", delay=0.001, hold_after=0)
        anyio.run(main, backend="trio" if kind is TrioClient else "asyncio")
    assert results == ["a report"]


@pytest.mark.parametrize("backend", LOOPS)
@pytest.mark.parametrize("options", [{"delay": 0.001}, {"hold_after": 0}])
def test_what_would_block_the_event_loop_that_waits_for_it(backend: str, options: dict[str, Any]) -> None:
    """A synchronous method does, in a coroutine."""

    async def main() -> None:
        with Client(transport=platform.transport) as client:
            client.run("hello")

    platform = ScriptedPlatform()
    platform.say("a report", **options)
    with pytest.raises(ServerError, match="let the client reach the platform by its url"):
        anyio.run(main, backend=backend)
    with pytest.raises(AssertionError, match=r"say\('a report'\) would block the event loop"):
        platform.check()


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda platform: platform.say("x", times=0), "times must be 1 or more, or None"),
        (lambda platform: platform.say("x", delay=-1), "delay must be a number of seconds, 0 or more"),
        (lambda platform: platform.say("x", delay=float("nan")), "delay must be a number of seconds, 0 or more"),
        (lambda platform: platform.say("x", delay=float("inf")), "delay must be a number of seconds, 0 or more"),
        (lambda platform: platform.say("x", to=b"x"), "to must be a str, a compiled pattern or a function, not bytes"),
        (lambda platform: platform.say("x y", hold_after=3), "hold_after must be from 0 to 2"),
        (lambda platform: platform.fail(200), "status must be from 400 to 599, not 200"),
        (
            lambda platform: platform.fail(503, operation="healht"),
            "no operation 'healht'; known operations: complete, chat,",
        ),
        (
            lambda platform: platform.fail(503, operation="health", to="x"),
            "to cannot be given for health, which does not have an input",
        ),
        (lambda platform: platform.cut(operation="run", after="x"), "exclude each other"),
    ],
)
def test_a_reply_that_cannot_be(platform: ScriptedPlatform, add: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        add(platform)
    assert platform.problems() == []


def test_what_is_shown_tells_no_secret(platform: ScriptedPlatform, client: Client) -> None:
    reply = platform.say("x", to="hello")
    client.run("hello")
    client.secrets.set("name", "top secret")
    assert repr(reply) == "say('x', to='hello')"
    assert isinstance(reply, Reply)
    assert isinstance(platform.requests[-1], ReceivedRequest)
    assert "top secret" not in repr(platform.requests)
