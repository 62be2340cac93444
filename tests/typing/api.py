"""What a user's program may write, with the types that come of it. Type checkers check this file; nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from hestiaos import (
    AgentInfo,
    AgentResult,
    Approval,
    AsyncBatch,
    AsyncClient,
    AsyncioClient,
    AsyncioEventStream,
    Batch,
    BatchFailure,
    BatchResult,
    CallInfo,
    Cassette,
    ChatResponse,
    Client,
    HealthResponse,
    HestiaError,
    Hooks,
    LocalTransport,
    Platform,
    RequestInfo,
    ResponseInfo,
    RunResponse,
    SessionInfo,
    StreamEvent,
    StreamEventType,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    TrioClient,
    TrioEventStream,
    batch,
)
from hestiaos_local.testing import ReceivedRequest, Reply, ScriptedPlatform
from hestiaos_proto import (
    CallContext,
    CallFlow,
    CallObserver,
    CallOptions,
    ClientConnection,
    Config,
    Operation,
    Request,
    Response,
    RunStream,
    Runtime,
    Send,
    ServerConnection,
    ServerRequest,
    StatusError,
    StreamInterrupted,
    StreamOptions,
    Wait,
    call_flow,
    operations,
    run_flow,
    run_flow_async,
)


def the_client(platform: Platform) -> None:
    with Client("http://localhost:8000", None, 30.0, 3, strict=True) as client:
        assert_type(client, Client)
        result = client.run("x", session_id="s", mode_hint="fast")
        assert_type(result, RunResponse)
        assert_type(result.result, str)
        assert_type(result.output, str | None)
        assert_type(client.health(), HealthResponse)
        assert_type(client.trace("t"), TraceResponse)
        assert_type(client.chat.run("x"), ChatResponse)
        assert_type(next(client.chat.stream("x", "s", timeout=1.0, retries=0)), StreamEvent)
        assert_type(client.agents.run("a", "x", {"n": 1}), AgentResult)
        assert_type(client.system.status(), SystemStatus)
        assert_type(client.system.config(), dict[str, Any])
        assert_type(client.system.metrics(), SystemMetrics)
        assert_type(client.system.metrics().gpu_percent, float | None)
        assert_type(client.secrets.get("k"), str)
        assert_type(client.governance.explain("WRITE", {"path": "/x"}), dict[str, Any])
        assert_type(client.governance.status(), dict[str, Any])
        assert_type(client.governance.trace("c"), dict[str, Any] | None)
        assert_type(client.governance.traces(limit=5, decision="BLOCK"), list[TraceResponse])
        assert_type(client.governance.approvals("pending"), list[Approval])
        assert_type(client.governance.approve("a"), Approval)
        assert_type(client.governance.deny("a"), Approval)
        assert_type(client.governance.policy(), dict[str, Any])
        assert_type(client.governance.judge(tool="shell", arguments={}, timeout=5), dict[str, Any])
        assert_type(client.governance.test_policy("version = 2"), dict[str, Any])
        assert_type(client.governance.limits(), dict[str, Any])
        assert_type(client.governance.export_audit(after=5), dict[str, Any])
        assert_type(client.governance.verify_audit(timeout=900), dict[str, Any])
        assert_type(client.agents.list(), list[AgentInfo])
        assert_type(client.secrets.list(), list[str])
        assert_type(client.chat.sessions(), list[SessionInfo])
        assert_type(client.chat.session("s", last=2), SessionInfo)
        client.chat.delete_session("s")
        with client.run_stream("x") as stream:
            for event in stream:
                assert_type(event, StreamEvent)
                assert_type(event.type, StreamEventType)
                assert_type(event.data, dict[str, Any])
            assert_type(stream.text, str)
            assert_type(stream.final, dict[str, Any] | None)


async def the_asynchronous_client() -> None:
    async with AsyncClient(api_key="k") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.run_async("x"), RunResponse)
        assert_type(client.run("x"), RunResponse)
        assert_type(await client.health_async(), HealthResponse)
        assert_type(await client.trace_async("t"), TraceResponse)
        assert_type(await client.chat.run_async("x", session_id="s"), ChatResponse)
        assert_type(await client.agents.run_async("a", "x"), AgentResult)
        assert_type(await client.system.status_async(), SystemStatus)
        assert_type(await client.system.config_async(), dict[str, Any])
        assert_type(await client.system.metrics_async(), SystemMetrics)
        assert_type(await client.secrets.get_async("k"), str)
        assert_type(await client.governance.explain_async("WRITE"), dict[str, Any])
        assert_type(await client.governance.status_async(), dict[str, Any])
        assert_type(await client.governance.trace_async("c"), dict[str, Any] | None)
        assert_type(await client.governance.traces_async(before="t"), list[TraceResponse])
        assert_type(await client.governance.approve_async("a"), Approval)
        assert_type(await client.agents.list_async(), list[AgentInfo])
        assert_type(await client.secrets.list_async(), list[str])
        assert_type(await client.chat.session_async("s"), SessionInfo)
        await client.secrets.set_async("k", "v", provider="custom")
        await client.secrets.delete_async("k")
        async with client.run_stream("x") as stream:
            async for event in stream:
                assert_type(event, StreamEvent)
            assert_type(stream.text, str)


async def the_trio_client(platform: Platform) -> None:
    async with TrioClient(transport=LocalTransport(platform)) as client:
        assert_type(client, TrioClient)
        assert_type(await client.run_async("x", timeout=1.0, retries=0), RunResponse)
        assert_type(await client.secrets.get_async("k"), str)
        assert_type(await client.governance.trace_async("c"), dict[str, Any] | None)
        assert_type(client.run_stream("x", deadline=5.0), TrioEventStream)
        async for event in client.run_stream("x"):
            assert_type(event, StreamEvent)


async def the_asyncio_client(platform: Platform) -> None:
    async with AsyncioClient(transport=LocalTransport(platform)) as client:
        assert_type(client, AsyncioClient)
        assert_type(await client.run_async("x", timeout=1.0, retries=0), RunResponse)
        assert_type(await client.secrets.get_async("k"), str)
        assert_type(await client.governance.trace_async("c"), dict[str, Any] | None)
        assert_type(client.run_stream("x", deadline=5.0), AsyncioEventStream)
        async for event in client.run_stream("x"):
            assert_type(event, StreamEvent)


def the_options_of_a_call(client: Client) -> None:
    options: CallOptions = {
        "timeout": 5.0,
        "retries": 0,
        "deadline": 60,
        "headers": {"X-A": "1"},
        "idempotency_key": "k",
        "hooks": Hooks(),
    }
    assert_type(client.run("x", **options), RunResponse)
    assert_type(client.health(timeout=5, retries=None), HealthResponse)
    assert_type(client.chat.run("x", None, deadline=9.0), ChatResponse)
    assert_type(client.agents.run("a", "x", headers={"X-A": "1"}), AgentResult)
    assert_type(client.system.config(hooks=Hooks()), dict[str, Any])
    assert_type(client.secrets.get("k", **options), str)
    assert_type(client.governance.trace("c", retries=1), dict[str, Any] | None)
    client.secrets.set("k", "v", idempotency_key="i")


async def the_options_of_an_asynchronous_call(client: AsyncClient | TrioClient | AsyncioClient) -> None:
    options: CallOptions = {"timeout": 5.0}
    assert_type(await client.run_async("x", **options), RunResponse)
    assert_type(await client.system.status_async(retries=0), SystemStatus)


def the_options_of_a_stream(client: Client) -> None:
    options: StreamOptions = {
        "retries": 0,
        "deadline": 60.0,
        "headers": {},
        "idempotency_key": "k",
        "hooks": None,
        "resume": True,
    }
    with client.run_stream("x", timeout=9.0, **options) as stream:
        assert_type(stream.response, ResponseInfo | None)


async def the_options_of_an_asynchronous_stream(client: AsyncClient | TrioClient | AsyncioClient) -> None:
    async with client.run_stream("x", timeout=9.0, retries=0, hooks=Hooks(), resume=True) as stream:
        assert_type(stream.response, ResponseInfo | None)


def the_hooks() -> None:
    def on_request(call: CallInfo, request: RequestInfo) -> None:
        assert_type(call.operation, str)
        assert_type(call.attempt, int)
        assert_type(call.seconds, float)
        assert_type(call.state, dict[str, Any])
        assert_type(request.method, str)
        assert_type(request.url, str)
        assert_type(request.headers, Mapping[str, str])
        assert_type(request.body_size, int)

    def on_response(call: CallInfo, response: ResponseInfo) -> int:  # what it returns is not looked at
        assert_type(response.status, int)
        assert_type(response.headers, Mapping[str, str])
        assert_type(response.request_id, str | None)
        return response.status

    hooks = Hooks(
        on_request=on_request,
        on_response=on_response,
        on_retry=lambda call, error, wait: (assert_type(error, HestiaError), assert_type(wait, float)),
        on_stream_event=lambda call, event: assert_type(event, StreamEvent),
        on_call_end=lambda call, error: assert_type(error, BaseException | None),
    )
    for kind in (Client, AsyncClient, TrioClient, AsyncioClient):
        kind(hooks=hooks)


def the_operations() -> None:
    assert_type(operations.run("x", mode_hint="deep"), Operation[RunResponse])
    assert_type(operations.run_stream("x"), Operation[RunStream])
    assert_type(operations.health(), Operation[HealthResponse])
    assert_type(operations.trace("t"), Operation[TraceResponse])
    assert_type(operations.chat("x"), Operation[ChatResponse])
    assert_type(operations.run_agent("a", "x"), Operation[AgentResult])
    assert_type(operations.system_status(), Operation[SystemStatus])
    assert_type(operations.system_config(), Operation[dict[str, Any]])
    assert_type(operations.system_metrics(), Operation[SystemMetrics])
    assert_type(operations.get_secret("k"), Operation[str])
    assert_type(operations.set_secret("k", "v"), Operation[None])
    assert_type(operations.delete_secret("k"), Operation[None])
    assert_type(operations.explain("WRITE"), Operation[dict[str, Any]])
    assert_type(operations.governance_status(), Operation[dict[str, Any]])
    assert_type(operations.governance_trace("c"), Operation[dict[str, Any] | None])
    assert_type(operations.list_traces(limit=5, decision="BLOCK"), Operation[list[TraceResponse]])
    assert_type(operations.list_agents(), Operation[list[AgentInfo]])
    assert_type(operations.list_secrets(), Operation[list[str]])
    assert_type(operations.list_sessions(before="s"), Operation[list[SessionInfo]])
    assert_type(operations.get_session("s", last=2), Operation[SessionInfo])
    assert_type(operations.delete_session("s"), Operation[None])
    assert_type(operations.list_approvals(status="pending"), Operation[list[Approval]])
    assert_type(operations.decide_approval("a", True), Operation[Approval])
    assert_type(operations.get_policy(), Operation[dict[str, Any]])
    assert_type(operations.judge(tool="shell", arguments={}), Operation[dict[str, Any]])
    assert_type(operations.test_policy("version = 2"), Operation[dict[str, Any]])
    assert_type(operations.get_limits(), Operation[dict[str, Any]])
    assert_type(operations.export_audit(after=5), Operation[dict[str, Any]])
    assert_type(operations.verify_audit(), Operation[dict[str, Any]])


def the_machines(data: bytes) -> None:
    client = ClientConnection("http://localhost:8000", api_key=None)
    assert_type(client.send(operations.health()), bytes)
    client.receive_data(data)
    for event in client.events():
        assert_type(event, StreamEvent)
    assert_type(client.finished, bool)
    assert_type(client.reusable, bool)
    assert_type(client.result(operations.health()), HealthResponse)
    assert_type(client.result(operations.run_stream("x")), RunStream)
    assert_type(client.result(operations.get_secret("k")), str)
    server = ServerConnection()
    server.receive_data(data)
    for asked in server.events():
        assert_type(asked, ServerRequest)
        assert_type(asked.key, str | None)
        assert_type(asked.refusal, StatusError | None)
        assert_type(server.send(asked.refusal), bytes)


def a_test(hestiaos_platform: ScriptedPlatform) -> None:
    reply = hestiaos_platform.say("x", "y", to="z", times=None, delay=0.5, hold_after=1)
    assert_type(reply, Reply)
    assert_type(reply.used, int)
    assert_type(hestiaos_platform.fail(429, retry_after=0, times=2), Reply)
    assert_type(hestiaos_platform.requests, list[ReceivedRequest])
    assert_type(hestiaos_platform.url, str)
    assert_type(hestiaos_platform.transport, LocalTransport)


def a_batch(client: Client) -> None:
    results = batch(client.run, ["a", "b"], concurrency=4, ordered=False, key=lambda number, text: f"{number}-{text}")
    assert_type(results, Batch[str, RunResponse])
    with results:
        for done in results:
            assert_type(done, BatchResult[str, RunResponse])
            assert_type(done.input, str)
            assert_type(done.result, RunResponse | None)
            assert_type(done.error, HestiaError | None)
            assert_type(done.trace_id, str | None)
    assert_type(results.given_up, HestiaError | None)


def a_batch_that_stops(client: Client) -> None:
    def note(failure: BatchFailure[str]) -> None:
        assert_type(failure.error, HestiaError)
        if failure.seconds is None:
            results.drain()

    results = batch(client.run, ["a"], on_failure=note)
    assert_type(results, Batch[str, RunResponse])


async def an_asynchronous_batch(client: AsyncClient | TrioClient | AsyncioClient) -> None:
    async with batch(client.chat.run_async, ["a"]) as results:
        assert_type(results, AsyncBatch[str, ChatResponse])
        async for done in results:
            assert_type(done, BatchResult[str, ChatResponse])


def a_recording() -> None:
    with Cassette("c.jsonl", record=True, secrets=["s"]) as cassette, Client(cassette=cassette) as client:
        client.health()
    assert_type(cassette.problems(), list[str])
    AsyncioClient(cassette=Cassette("c.jsonl", pace=1))
    TrioClient(cassette=Cassette("c.jsonl"))


def a_call(runtime: Runtime) -> None:
    assert_type(Config.from_environ({}, api_key="k", timeout=5.0, retries=0, headers={}), Config)
    steps = call_flow(operations.run("x"), Config(), runtime)
    step = next(steps)
    assert_type(step, Send | Wait)
    if isinstance(step, Send):
        assert_type(step.request, Request)
        assert_type(step.read_timeout, float)
        assert_type(operations.run("x").read(step.response(200, [])), RunResponse)


async def a_binding(context: CallContext, options: CallOptions, response: Response) -> None:
    async def send_async(send: Send) -> Response:
        return send.response(response.status, [])

    async def sleep_async(seconds: float) -> None: ...

    flow, observer = context.begin(operations.run("x"), options)
    assert_type(flow, CallFlow[RunResponse])
    assert_type(observer, CallObserver | None)
    assert_type(run_flow(flow, lambda send: response, lambda seconds: None), RunResponse)
    assert_type(await run_flow_async(flow, send_async, sleep_async), RunResponse)
    assert_type(response.info, ResponseInfo)


def an_exception(error: StreamInterrupted) -> None:
    assert_type(error.response, ResponseInfo | None)
    assert_type(error.events_received, int)
    assert_type(error.last_event, StreamEvent | None)
    assert_type(error.trace_id, str | None)
