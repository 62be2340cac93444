"""Mistakes of a user's program. Each line that ends with `# wrong` is an error to every type checker, no other line is.

`check_types.py` compares what they report. Nothing runs this file. ty does not look at keywords that a TypedDict names.
"""

from __future__ import annotations

from typing import Any, assert_never

from hestiaos import (
    AsyncClient,
    AsyncioClient,
    CallInfo,
    Client,
    Hooks,
    LocalTransport,
    Platform,
    ResponseInfo,
    RunResponse,
    StreamEvent,
    TrioClient,
)
from hestiaos_proto import ClientConnection, Config, RunStream, ServerConnection, operations


def on_response(call: CallInfo, response: ResponseInfo) -> int:
    return response.status


def the_arguments(client: Client) -> None:
    Client(8000)  # wrong
    Client(b"http://localhost")  # wrong
    Client("http://localhost:8000", timeout="5")  # wrong
    Client(retry=3)  # wrong
    client.run()  # wrong
    client.run(b"x")  # wrong
    client.run("x", mode_hint="quick")  # wrong
    client.agents.run("a", "x", [1])  # wrong
    client.secrets.set("k")  # wrong
    client.health(timeout="5")  # wrong
    client.health(headers={"X-A": 1})  # wrong
    client.health(hooks=print)  # wrong
    client.health(bogus=1)  # wrong, not to ty
    client.run_stream("x", bogus=1)  # wrong, not to ty
    client.summarise("x")  # wrong
    LocalTransport("http://localhost")  # wrong
    Platform("policy.toml")  # wrong


def the_results(client: Client, run: RunResponse, event: StreamEvent) -> None:
    number: int = client.run("x").result  # wrong
    text: str = client.agents.run("a", "x").result  # wrong
    run.result = "y"  # wrong
    print(number, text, run.text)  # wrong
    print(event.kind)  # wrong
    if event.type == "start":
        event.data = {}  # wrong


def a_type_of_event_that_is_forgotten(event: StreamEvent) -> None:
    match event.type:
        case "start" | "token" | "delta" | "tool_call" | "final" | "error":
            print(event.data)
        case other:
            assert_never(other)  # wrong


async def the_two_colours(client: AsyncClient | TrioClient | AsyncioClient) -> None:
    print((await client.run_async("x")).text)  # wrong
    print(client.run_async("x").result)  # wrong
    await client.health_async(bogus=1)  # wrong, not to ty
    for _ in client.run_stream("x"):  # wrong
        pass
    with client:  # wrong
        pass


async def a_thread_s_stream_in_a_task(client: Client) -> None:
    async for _ in client.run_stream("x"):  # wrong
        pass


def the_hooks() -> None:
    Hooks(on_request=on_response)  # wrong
    Hooks(on_request=5)  # wrong
    Hooks(on_call=on_response)  # wrong


def the_core(data: bytes, anything: Any) -> None:
    connection = ClientConnection("http://localhost:8000", 5)  # wrong
    connection.send("health")  # wrong
    connection.receive_data("data")  # wrong
    stream: RunStream = connection.result(operations.health())  # wrong
    Config.from_environ({}, timeout="5")  # wrong
    Config.from_environ({}, bogus=1)  # wrong, not to ty
    operations.run("x", mode_hint="quick")  # wrong
    server = ServerConnection()
    server.receive_data(stream)  # wrong
    server.send(operations.health())  # wrong
