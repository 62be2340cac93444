"""Executors: the echo, those made of a user's function, the router, and what every execution keeps to."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hestiaos_local.execution import (
    AsyncExecutor,
    EchoExecutor,
    Executor,
    Finish,
    Message,
    ModelRouter,
    Output,
    OutputCounter,
    SyncExecutor,
    Text,
    ToolCall,
    Usage,
    Work,
    estimate_tokens,
    function_executor,
    message_text,
    run_executor,
)
from hestiaos_proto import ServerError
from tests.support.completions import texts
from tests.support.executions import Way, say
from tests.support.expecting import within

PATIENCE = 30.0


class TestEcho:
    @pytest.mark.parametrize("text", ["hi", "create a  report\n now ", "  ", "\u2003a\u2003", "", "é 😀"])
    def test_the_texts_together_are_the_answer(self, way: Way, text: str) -> None:
        outputs, error = way.run(EchoExecutor(), say(text))
        assert texts(outputs) == f"processed: {text}"
        assert error is None

    def test_a_token_is_a_word(self, way: Way) -> None:
        outputs, _ = way.run(EchoExecutor(), say("create a report"))
        assert outputs == [
            *map(Text, ["processed: ", "create ", "a ", "report"]),
            Usage(3, 4),
            Finish("stop"),
        ]

    @pytest.mark.parametrize(("limit", "reason"), [(1, "length"), (3, "length"), (4, "stop"), (5, "stop")])
    def test_the_limit_is_kept(self, way: Way, limit: int, reason: str) -> None:
        outputs, _ = way.run(EchoExecutor(), say("create a report", max_tokens=limit))
        count = min(limit, 4)
        assert outputs[count:] == [Usage(3, count), Finish(reason)]  # type: ignore[arg-type]

    def test_the_newest_message_of_the_user_counts(self, way: Way) -> None:
        parts: list[dict[str, str]] = [
            {"type": "text", "text": "new"},
            {"type": "image_url"},
            {"type": "text", "text": "est"},
        ]
        messages: list[Message] = [
            {"role": "user", "content": "old"},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None},
        ]
        outputs, _ = way.run(EchoExecutor(), Work(messages=messages))
        assert texts(outputs) == "processed: new\nest"

    def test_other_tasks_get_their_turn(self, backend: str) -> None:
        turns: list[int] = []

        async def other() -> None:
            while True:
                turns.append(len(turns))
                await anyio.lowlevel.checkpoint()

        async def main() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(other)
                async for _ in run_executor(EchoExecutor(), say("a " * 1000)):
                    pass
                group.cancel_scope.cancel()

        anyio.run(main, backend=backend)
        assert len(turns) >= 1000 // 64


def plain(work: Work) -> str:
    return f"echo {message_text(work.messages[0])}"


def listed(work: Work) -> list[str | Output]:
    return ["echo ", Text("hi")]


def generated(work: Work) -> Generator[str | Output, None, None]:
    yield "echo "
    yield message_text(work.messages[0])
    yield Usage(7, 8)
    yield Finish("length")


async def awaited(work: Work) -> str:
    await anyio.lowlevel.checkpoint()
    return plain(work)


async def awaited_list(work: Work) -> list[str | Output]:
    return listed(work)


async def streamed(work: Work) -> AsyncGenerator[str | Output, None]:
    for given in generated(work):
        await anyio.lowlevel.checkpoint()
        yield given


async def awaited_stream(work: Work) -> AsyncGenerator[str | Output, None]:
    return streamed(work)


class Callables:
    """Objects that are called like functions."""

    class Plain:
        def __call__(self, work: Work) -> str:
            return plain(work)

    class Awaited:
        async def __call__(self, work: Work) -> str:
            return plain(work)

    class Streamed:
        async def __call__(self, work: Work) -> AsyncGenerator[str | Output, None]:
            async with aclosing(streamed(work)) as given:
                async for each in given:
                    yield each

    def method(self, work: Work) -> Generator[str | Output, None, None]:
        return generated(work)

    async def async_method(self, work: Work) -> str:
        return plain(work)


FUNCTIONS: dict[str, Any] = {
    "function": plain,
    "list": listed,
    "generator": generated,
    "coroutine": awaited,
    "coroutine of a list": awaited_list,
    "async generator": streamed,
    "coroutine of an async generator": awaited_stream,
    "lambda": lambda work: plain(work),
    "partial": partial(lambda _, work: plain(work), 1),
    "partial of a coroutine": partial(awaited),
    "object": Callables.Plain(),
    "async object": Callables.Awaited(),
    "async generating object": Callables.Streamed(),
    "method": Callables().method,
    "async method": Callables().async_method,
}


class TestFunctions:
    @pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
    def test_what_a_function_gives(self, way: Way, function: Any) -> None:
        outputs, error = way.run(function_executor(function), say())
        assert texts(outputs) == "echo hi"
        assert isinstance(outputs[-2], Usage)
        assert isinstance(outputs[-1], Finish)
        assert error is None

    def test_its_own_usage_and_reason_count(self, way: Way) -> None:
        assert way.run(function_executor(generated), say())[0][-2:] == [Usage(7, 8), Finish("length")]

    @pytest.mark.parametrize("given", [None, 7, b"x", object(), [7], {"a": 1, 2: 3}])
    def test_what_is_not_an_output_is_an_error(self, way: Way, given: Any) -> None:
        with pytest.raises(TypeError, match=r"an executor must (return|yield) str"):
            way.run(function_executor(lambda work: given), say())

        async def coroutine(work: Work) -> Any:
            return given

        with pytest.raises(TypeError, match=r"an executor must (return|yield) str"):
            way.run(function_executor(coroutine), say())

    def test_something_asynchronous_from_a_plain_function_is_an_error(self, way: Way) -> None:
        with pytest.raises(TypeError, match="must be an `async def`"):
            way.run(function_executor(lambda work: streamed(work)), say())

    @pytest.mark.parametrize("thing", [None, 7, "text"])
    def test_what_cannot_be_called_is_not_an_executor(self, thing: Any) -> None:
        with pytest.raises(TypeError, match="an executor must be callable"):
            function_executor(thing)

    def test_what_a_function_raises_is_raised_after_what_it_gave(self, way: Way) -> None:
        def failing(work: Work) -> Generator[str, None, None]:
            yield "a"
            raise ServerError("no")

        async def async_failing(work: Work) -> AsyncGenerator[str, None]:
            yield "a"
            raise ServerError("no")

        for function in (failing, async_failing):
            outputs, error = way.run(function_executor(function), say())
            assert outputs == [Text("a")]
            assert error is not None
            assert error.message == "no"

    def test_a_generator_is_closed_where_the_caller_goes(self, way: Way) -> None:
        closed: list[str] = []

        def endless(work: Work) -> Generator[str, None, None]:
            try:
                while True:
                    yield "a"
            finally:
                closed.append("sync")

        async def async_endless(work: Work) -> AsyncGenerator[str, None]:
            try:
                while True:
                    yield "a"
            finally:
                closed.append("async")

        assert way.take(function_executor(endless), say(), 3) == [Text("a")] * 3
        assert way.take(function_executor(async_endless), say(), 3) == [Text("a")] * 3
        assert closed == ["sync", "async"]

    def test_a_blocking_function_does_not_hold_the_event_loop(self, backend: str) -> None:
        go = threading.Event()

        def blocking(work: Work) -> str:
            assert go.wait(PATIENCE)
            return "a"

        async def main() -> list[Output]:
            outputs: list[Output] = []

            async def collect() -> None:
                async for output in run_executor(function_executor(blocking), say()):
                    outputs.append(output)

            async with anyio.create_task_group() as group:
                group.start_soon(collect)
                await anyio.lowlevel.checkpoint()
                go.set()  # which only a loop that is not held can do
            return outputs

        assert anyio.run(main, backend=backend)[0] == Text("a")

    def test_a_caller_does_not_wait_for_a_blocking_function_and_its_thread_closes_it(self, backend: str) -> None:
        begun, go, closed = threading.Event(), threading.Event(), threading.Event()

        def blocking(work: Work) -> Generator[str, None, None]:
            try:
                begun.set()
                assert go.wait(PATIENCE)
                yield "a"
            finally:
                closed.set()

        async def main() -> None:
            async def collect() -> None:
                async for _ in run_executor(function_executor(blocking), say()):
                    raise AssertionError("there is no output")

            async with anyio.create_task_group() as group:
                group.start_soon(collect)
                await anyio.to_thread.run_sync(begun.wait)
                group.cancel_scope.cancel()
            assert not closed.is_set()
            go.set()

        anyio.run(main, backend=backend)
        assert closed.wait(PATIENCE)

    def test_a_scope_around_outputs_holds_for_a_synchronous_caller(self) -> None:
        async def scoped(work: Work) -> AsyncGenerator[str, None]:
            async with anyio.create_task_group():
                yield "a"
                yield "b"

        assert texts(Way("sync").run(function_executor(scoped), say())[0]) == "ab"


class TestEveryExecution:
    def test_what_comes_after_finish_does_not_count(self, way: Way) -> None:
        closed: list[bool] = []

        def going_on(work: Work) -> Generator[str | Output, None, None]:
            try:
                yield "a"
                yield Finish("length")
                yield "b"
            finally:
                closed.append(True)

        outputs, _ = way.run(function_executor(going_on), say())
        assert outputs == [Text("a"), Usage(1, 1, estimated=True), Finish("length")]
        assert closed == [True]

    def test_usage_is_counted_where_there_is_none(self, way: Way) -> None:
        tool = {"type": "function", "function": {"name": "look"}}
        work = Work(messages=[{"role": "user", "content": "x" * 9}, {"role": "user", "content": "é"}], tools=[tool])

        def calling(work: Work) -> list[str | Output]:
            return ["x" * 6, ToolCall("c1", "look", "{}")]

        outputs, _ = way.run(function_executor(calling), work)
        assert outputs[-2:] == [Usage(3 + 1 + 12, 3, estimated=True), Finish("tool_calls")]

    @pytest.mark.parametrize(
        ("given", "texts"),
        [
            (["ab", "cdefghij"], ["ab", "cdefgh"]),
            (["abcdefgh", "i"], ["abcdefgh"]),
            (["abcdef", "ééé"], ["abcdef", "é"]),
        ],
    )
    def test_a_function_that_goes_on_is_cut(self, way: Way, given: list[str], texts: list[str]) -> None:
        """At two tokens of four bytes each; a character is not cut."""
        closed: list[bool] = []

        def going_on(work: Work) -> Generator[str, None, None]:
            try:
                yield from given
                yield "and on"
            finally:
                closed.append(True)

        outputs, _ = way.run(function_executor(going_on), say(max_tokens=2))
        assert outputs == [*map(Text, texts), Usage(1, 2, estimated=True), Finish("length")]
        assert closed == [True]

    def test_a_tool_call_is_not_cut_but_left_out(self, way: Way) -> None:
        def calling(work: Work) -> list[str | Output]:
            return ["abcd", ToolCall("c1", "look", "{}"), ToolCall("c2", "look", '{"at": "it"}')]

        outputs, _ = way.run(function_executor(calling), say(max_tokens=3))
        assert outputs == [Text("abcd"), ToolCall("c1", "look", "{}"), Usage(1, 3, estimated=True), Finish("length")]

    def test_an_execution_without_output(self, way: Way) -> None:
        outputs, _ = way.run(function_executor(lambda work: []), Work(messages=[]))
        assert outputs == [Usage(0, 0, estimated=True), Finish("stop")]

    @pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("éé", 1), ("😀a", 2)])
    def test_the_estimate(self, text: str, tokens: int) -> None:
        assert estimate_tokens(text) == tokens

    def test_an_executor_of_someone_else_that_gives_something_else(self) -> None:
        with pytest.raises(TypeError, match="must yield Text, ToolCall, Usage or Finish, not str"):
            OutputCounter(say()).send("a")  # type: ignore[arg-type]

    def test_the_timeout_is_kept(self, way: Way) -> None:
        async def slow(work: Work) -> AsyncGenerator[str, None]:
            yield "a"
            await anyio.sleep(PATIENCE * 100)

        def bounded(seconds: float) -> None:
            outputs, error = way.run(function_executor(slow), say(timeout=seconds))
            assert outputs == [Text("a")]
            assert error is not None
            assert (error.status_code, error.code) == (504, "TIMED_OUT")
            assert error.message == f"the execution took longer than its timeout of {seconds:g} s"

        within(0.05, bounded)

    def test_the_timeout_of_a_blocking_function_is_kept_on_an_event_loop(self, backend: str) -> None:
        go = threading.Event()

        def blocking(work: Work) -> str:
            go.wait(PATIENCE)
            return "a"

        try:
            _, error = Way(backend).run(function_executor(blocking), say(timeout=0.05))
        finally:
            go.set()
        assert error is not None
        assert error.code == "TIMED_OUT"

    def test_the_timeout_of_a_synchronous_execution_is_looked_at_between_its_outputs(self) -> None:
        def bounded(seconds: float) -> None:
            def slow(work: Work) -> Generator[str, None, None]:
                yield "a"
                time.sleep(2 * seconds)
                yield "b"

            outputs, error = Way("sync").run(function_executor(slow), say(timeout=seconds))
            assert outputs == [Text("a")]
            assert error is not None
            assert error.code == "TIMED_OUT"

        within(0.1, bounded)

    def test_an_execution_within_its_timeout_is_whole(self, way: Way) -> None:
        assert texts(way.run(function_executor(streamed), say(timeout=PATIENCE))[0]) == "echo hi"

    def test_a_caller_that_is_cancelled_closes_the_executor(self, backend: str) -> None:
        closed: list[bool] = []

        async def endless(work: Work) -> AsyncGenerator[str, None]:
            try:
                yield "a"
                await anyio.sleep_forever()
            finally:
                closed.append(True)

        async def main() -> None:
            with anyio.CancelScope() as scope:
                async for _ in run_executor(function_executor(endless), say(timeout=PATIENCE)):
                    scope.cancel()  # which comes as the next output is waited for

        anyio.run(main, backend=backend)
        assert closed == [True]


class TestRouter:
    @staticmethod
    def named(name: str) -> Executor:
        return function_executor(lambda work: f"{name}, asked for {work.model}")

    def test_work_goes_to_the_executor_of_its_model(self, way: Way) -> None:
        router = ModelRouter({"a": self.named("a"), "b": self.named("b")})
        assert router.models == ["a", "b"]
        assert texts(way.run(router, say(model="b"))[0]) == "b, asked for None"
        assert texts(way.run(router, say())[0]) == "a, asked for None"

    def test_a_model_that_is_not_there(self, way: Way) -> None:
        _, error = way.run(ModelRouter({"a": self.named("a"), "b": self.named("b")}), say(model="c"))
        assert error is not None
        assert (error.status_code, error.code) == (404, "MODEL_NOT_FOUND")
        assert error.message == "there is no model 'c'; known models: a, b"

    def test_a_router_without_models(self) -> None:
        with pytest.raises(ValueError, match="at least one executor"):
            ModelRouter({})


@pytest.mark.parametrize("base", [AsyncExecutor, SyncExecutor])
def test_an_executor_of_a_users_own_class_needs_its_method(base: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        base()
