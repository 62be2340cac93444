"""A batch over every kind of client: what it gives, how much it reads, and what it leaves, which is nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from math import inf
from time import monotonic, sleep
from types import FrameType
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
import trio

from hestiaos import (
    AsyncBatch,
    AsyncClient,
    AsyncioClient,
    Batch,
    BatchFailure,
    BatchResult,
    Client,
    InvalidInput,
    LocalProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    TrioClient,
    batch,
)
from hestiaos_local.testing import ScriptedPlatform
from tests.support.broad import broadly
from tests.support.leftovers import left_over, open_things

PATIENCE = 30.0  # seconds
T = TypeVar("T")
LOOPS = {
    "AsyncClient-asyncio": (AsyncClient, "asyncio"),
    "AsyncClient-trio": (AsyncClient, "trio"),
    "AsyncioClient": (AsyncioClient, "asyncio"),
    "TrioClient": (TrioClient, "trio"),
}
BACKENDS = pytest.mark.parametrize("backend", broadly(["asyncio", "trio"]))
EVERY = pytest.mark.parametrize("kind", ["threads", "asyncio", "trio"])


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    """No thread and no descriptor is left."""
    gc.collect()
    before = open_things()
    yield
    assert left_over(before) == set()


def collect(kind: str, call: Callable[..., Any], inputs: Any, **options: Any) -> list[BatchResult[Any, Any]]:
    """The results of a batch in threads or in an event loop, `call` being a plain function."""
    if kind == "threads":
        with batch(call, inputs, **options) as results:
            assert isinstance(results, Batch)
            return list(results)

    async def call_async(*args: Any, **rest: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return call(*args, **rest)

    async def main() -> list[BatchResult[Any, Any]]:
        async with batch(call_async, inputs, **options) as results:
            assert isinstance(results, AsyncBatch)
            return [result async for result in results]

    return anyio.run(main, backend=kind)


def echo(value: Any, **options: Any) -> Any:
    return value


@pytest.fixture
def platform() -> Iterator[ScriptedPlatform]:
    with ScriptedPlatform() as platform:
        platform.echo()
        yield platform


def test_the_results_of_a_client(platform: ScriptedPlatform) -> None:
    with Client(platform.url) as client:
        results = list(batch(client.run, (f"input {number}" for number in range(50))))
    assert [each.number for each in results] == list(range(50))
    assert [each.result and each.result.result for each in results] == [f"processed: {each.input}" for each in results]
    assert len({each.trace_id for each in results}) == 50


@pytest.mark.parametrize("client", broadly(LOOPS))
def test_the_results_of_an_asynchronous_client(client: str, platform: ScriptedPlatform) -> None:
    kind, backend = LOOPS[client]

    async def inputs() -> AsyncIterator[str]:
        for number in range(50):
            yield f"input {number}"

    async def main() -> list[BatchResult[str, Any]]:
        async with kind(platform.url) as client, batch(client.run_async, inputs()) as results:
            return [each async for each in results]

    results = anyio.run(main, backend=backend)
    assert [each.result.result for each in results] == [f"processed: input {number}" for number in range(50)]
    assert len({each.trace_id for each in results}) == 50


@EVERY
@pytest.mark.parametrize("ordered", [True, False])
def test_each_input_once_and_in_order_where_that_is_wanted(kind: str, ordered: bool) -> None:
    results = collect(kind, echo, range(200), concurrency=4, ordered=ordered)
    assert sorted(each.input for each in results) == list(range(200))
    assert not ordered or [each.input for each in results] == list(range(200))
    assert all(each.result == each.input for each in results)


@EVERY
@pytest.mark.parametrize("ahead", [None, 0, 3])
def test_no_more_is_read_and_under_way_than_there_is_room_for(kind: str, ahead: int | None) -> None:
    taken = read = 0
    under_way: list[int] = []
    most = 0

    def inputs() -> Iterator[int]:
        nonlocal read
        for number in range(100):
            read += 1
            assert read - taken <= 5 + (5 if ahead is None else ahead)
            yield number

    def call(value: int, **options: Any) -> int:
        nonlocal most
        under_way.append(value)
        most = max(most, len(under_way))
        under_way.remove(value)
        return value

    class Counting:
        """Inputs whose reader tells how many results it has."""

        def __iter__(self) -> Iterator[int]:
            return inputs()

    if kind == "threads":
        for _ in batch(call, Counting(), concurrency=5, ahead=ahead):
            taken += 1
    else:

        async def call_async(value: int, **options: Any) -> int:
            nonlocal most
            under_way.append(value)
            most = max(most, len(under_way))
            await anyio.lowlevel.checkpoint()
            under_way.remove(value)
            return value

        async def main() -> None:
            nonlocal taken
            async with batch(call_async, Counting(), concurrency=5, ahead=ahead) as results:
                async for _ in results:
                    taken += 1

        anyio.run(main, backend=kind)
    assert (taken, read) == (100, 100)
    assert most <= 5


def fails_at(number: int, error: BaseException) -> Callable[..., int]:
    def call(value: int, **options: Any) -> int:
        if value == number:
            raise error
        return value

    return call


@EVERY
def test_an_error_is_the_result_of_its_input(kind: str) -> None:
    results = collect(kind, fails_at(7, InvalidInput("no", "t-7")), range(20))
    assert len(results) == 20
    assert [each.number for each in results if each.error is not None] == [7]
    assert (results[7].result, results[7].trace_id) == (None, "t-7")
    assert isinstance(results[7].error, InvalidInput)


@EVERY
@pytest.mark.parametrize("error", [InvalidInput("no"), ZeroDivisionError("no")])
def test_an_error_that_is_raised_comes_in_its_place(kind: str, error: Exception) -> None:
    """With `raise_errors` ours too, and what is not ours always; the results before it come first."""
    seen: list[int] = []

    def collecting() -> None:
        options = {"raise_errors": isinstance(error, InvalidInput)}
        if kind == "threads":
            for each in batch(fails_at(7, error), range(20), **options):
                seen.append(each.number)
            return

        async def call(value: int, **rest: Any) -> int:
            return fails_at(7, error)(value)

        async def main() -> None:
            async with batch(call, range(20), **options) as results:
                async for each in results:
                    seen.append(each.number)

        anyio.run(main, backend=kind)

    with pytest.raises(type(error)) as caught:
        collecting()
    assert caught.value is error
    assert seen == list(range(7))


@pytest.mark.parametrize(("kind", "error"), [("threads", StopIteration), ("asyncio", StopAsyncIteration)])
def test_a_call_cannot_end_the_iteration(kind: str, error: type[Exception]) -> None:
    """Results would be lost without a word."""
    with pytest.raises(RuntimeError) as caught:
        collect(kind, fails_at(3, error()), range(5))
    assert isinstance(caught.value.__cause__, error)


@EVERY
def test_an_error_of_the_inputs_comes_after_the_results_before_it(kind: str) -> None:
    seen: list[int] = []

    def inputs() -> Iterator[int]:
        yield from range(5)
        raise ZeroDivisionError

    def call(value: int, **options: Any) -> int:
        seen.append(value)
        return value

    with pytest.raises(ZeroDivisionError):
        collect(kind, call, inputs())
    assert sorted(seen) == list(range(5))


def test_a_call_that_ends_the_process_ends_the_batch() -> None:
    with pytest.raises(SystemExit):
        list(batch(fails_at(3, SystemExit(1)), range(5)))


@EVERY
def test_a_refusal_lets_all_wait(kind: str) -> None:
    """After a 429 nothing is sent before the server's wait is over, by no other worker either."""
    sent: list[tuple[int, float]] = []  # with the time
    refused: list[float] = []

    def send(value: int) -> bool:
        """Send it. Returns whether it is the one that is under way until the refusal of the first is known."""
        sent.append((value, monotonic()))
        if value == 0 and not refused:
            refused.append(monotonic())
            raise RateLimited(retry_after=0.2)
        return value == 1

    def known(results: Any) -> bool:
        return bool(results._schedule._refused > -inf)

    if kind == "threads":
        opened: list[Any] = []

        def call(value: int, **options: Any) -> int:
            waits = send(value)
            while waits and not known(opened[0]):
                sleep(0.001)
            return value

        with batch(call, range(20), concurrency=2) as results:
            opened.append(results)
            assert [each.result for each in results] == list(range(20))
    else:

        async def main() -> None:
            async def call_async(value: int, **options: Any) -> int:
                waits = send(value)
                while waits and not known(results):  # noqa: ASYNC110  # there is no event to wait for
                    await anyio.sleep(0.001)
                return value

            async with batch(call_async, range(20), concurrency=2) as results:
                assert [each.result async for each in results] == list(range(20))

        anyio.run(main, backend=kind)
    later = [when for value, when in sent if value > 1 or (value == 0 and when > refused[0])]
    assert min(later) >= refused[0] + 0.19


@EVERY
def test_a_server_that_refuses_everything_ends_the_batch(kind: str) -> None:
    """It is asked a few times, not for each of ten thousand inputs."""
    calls = 0
    error = ServerError(status_code=503, retry_after=0.001)

    def call(value: int, **options: Any) -> int:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(ServerError):
        collect(kind, call, range(10_000), concurrency=4)
    assert calls <= 4 * 5


@EVERY
def test_options_and_keys(kind: str) -> None:
    given: list[dict[str, Any]] = []

    def call(value: str, **options: Any) -> str:
        given.append(options)
        return value

    collect(kind, call, ["a", "c"], key=lambda number, value: f"nightly-{number}-{value}")
    assert {each["idempotency_key"] for each in given} == {"nightly-0-a", "nightly-1-c"}
    assert {each["retries"] for each in given} == {0}, "the batch repeats, by the server's wish for all"
    given.clear()
    collect(kind, call, range(3))
    collect(kind, call, range(3))
    assert len({each["idempotency_key"] for each in given}) == 6


def test_a_second_batch_with_the_same_keys_executes_nothing_again(platform: ScriptedPlatform) -> None:
    with Client(platform.url) as client:
        first, second = (list(batch(client.run, ["a", "b"], key=lambda number, text: f"k-{number}")) for _ in range(2))
    assert [each.trace_id for each in first] == [each.trace_id for each in second]


def test_context_variables_reach_the_threads() -> None:
    variable = ContextVar("variable", default="unset")
    variable.set("set")
    assert [each.result for each in batch(lambda value, **_: variable.get(), range(3))] == ["set"] * 3


@EVERY
def test_failures_are_reported_as_they_come(kind: str) -> None:
    """A call that is repeated has as many as it fails, and all come before its result, in the reader's thread."""
    failures: list[BatchFailure[str]] = []
    readers: set[int] = set()
    calls = 0

    def note(failure: BatchFailure[str]) -> None:
        failures.append(failure)
        readers.add(threading.get_ident())

    def call(value: str, **options: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RateLimited(retry_after=0.0)
        raise StatusError(status_code=409, retry_after=0.0)

    (result,) = collect(kind, call, ["a"], retries=1, on_failure=note)
    assert [(each.number, each.input, each.seconds, each.pauses_all) for each in failures] == [
        (0, "a", 0.0, True),
        (0, "a", 0.0, False),
        (0, "a", None, False),
    ]
    assert failures[-1].error is result.error
    assert readers == {threading.get_ident()}


@EVERY
def test_a_failure_does_not_wait_for_its_turn(kind: str) -> None:
    """The first input ends after the failure of the second was reported."""
    failed: list[int] = []
    if kind == "threads":
        reported = threading.Event()

        def call(value: int, **options: Any) -> bool:
            if value:
                raise InvalidInput
            return reported.wait(30)

        with batch(call, range(2), on_failure=lambda failure: reported.set()) as results:
            failed.extend(each.number for each in results if each.result is not True)
    else:

        async def main() -> None:
            reported = anyio.Event()

            async def call(value: int, **options: Any) -> bool:
                if value:
                    raise InvalidInput
                with anyio.fail_after(30):
                    await reported.wait()
                return True

            async with batch(call, range(2), on_failure=lambda failure: reported.set()) as results:
                failed.extend([each.number async for each in results if each.result is not True])

        anyio.run(main, backend=kind)
    assert failed == [1]


@EVERY
def test_the_refusal_that_ends_the_batch_is_the_error_of_what_was_not_executed(kind: str) -> None:
    def call(value: int, **options: Any) -> int:
        raise ServerError(status_code=503, retry_after=0.0)

    errors: list[Any] = []
    given_up: list[Any] = []

    def reading() -> None:
        options = {"concurrency": 4, "ahead": 4, "retries": 0}
        if kind == "threads":
            with batch(call, range(100), **options) as results:
                try:
                    errors.extend(each.error for each in results)
                finally:
                    given_up.append(results.given_up)
            return

        async def call_async(value: int, **options: Any) -> int:
            return call(value)

        async def main() -> None:
            async with batch(call_async, range(100), **options) as results:
                assert results.given_up is None
                try:
                    async for each in results:
                        errors.append(each.error)  # those before the refusal is raised
                finally:
                    given_up.append(results.given_up)

        anyio.run(main, backend=kind)

    with pytest.raises(ServerError) as caught:
        reading()
    assert given_up == [caught.value]
    assert 1 <= len(errors) <= 8
    assert all(error is caught.value for error in errors)


@EVERY
def test_a_drain_ends_a_pause(kind: str) -> None:
    """An input that waits to be repeated has no result, and nothing more is sent."""
    called: list[int] = []

    def call(value: int, **options: Any) -> int:
        called.append(value)
        raise RateLimited(retry_after=60.0)

    seen: list[BatchResult[int, int]] = []
    if kind == "threads":
        with batch(call, range(100), concurrency=1, on_failure=lambda failure: results.drain()) as results:
            seen.extend(results)
    else:

        async def call_async(value: int, **options: Any) -> int:
            return call(value)

        async def main() -> None:
            async with batch(
                call_async, range(100), concurrency=1, on_failure=lambda failure: results.drain()
            ) as results:
                seen.extend([each async for each in results])

        anyio.run(main, backend=kind)
    assert (called, seen) == ([0], [])


class Held:
    """A call that is under way until it is let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.four, self.free = threading.Event(), threading.Event()

    def __call__(self, value: int, **options: Any) -> int:
        self.begun.append(value)
        if len(self.begun) >= 4:
            self.four.set()
        if value:
            assert self.free.wait(PATIENCE)
        return value


class TestThreadsThatAreLeft:
    """However a batch ends, it sends nothing more, and its threads have ended with the calls that were under way."""

    def test_by_leaving_the_block(self) -> None:
        held = Held()
        with batch(held, range(100), concurrency=4, ordered=False) as results:
            assert next(results).number == 0
            threading.Timer(0.05, held.free.set).start()
        assert threads() == 0
        assert len(held.begun) <= 5
        with pytest.raises(StopIteration):
            next(results)

    def test_by_an_error_of_the_reader(self) -> None:
        held = Held()
        held.free.set()
        with pytest.raises(ZeroDivisionError), batch(held, range(100)) as results:
            assert next(results).number / 0
        assert threads() == 0

    def test_by_close_in_the_middle_of_a_pause(self) -> None:
        """A pause of a minute does not hold the end."""
        calls = 0

        def call(value: int, **options: Any) -> int:
            nonlocal calls
            calls += 1
            raise RateLimited(retry_after=60.0)

        results = batch(call, range(100), concurrency=2)
        reader = threading.Thread(target=lambda: list(results))
        reader.start()
        while not calls:
            pass
        results.close()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        assert threads() == 0

    def test_by_draining_it(self) -> None:
        """The calls that are under way have their results."""
        held = Held()
        with batch(held, range(100), concurrency=4, ordered=False) as results:
            assert next(results).number == 0
            while len(held.begun) < 5:
                sleep(0.001)
            results.drain()
            results.drain()
            held.free.set()
            assert sorted(each.number for each in results) == [1, 2, 3, 4]
        assert len(held.begun) == 5
        assert threads() == 0

    def test_by_draining_it_in_a_signal_handler(self) -> None:
        held = Held()
        results = batch(held, range(100), concurrency=4)

        def drain(number: int, frame: FrameType | None) -> None:
            results.drain()
            held.free.set()

        before = signal.signal(signal.SIGINT, drain)
        try:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            numbers = [each.number for each in results]
        finally:
            signal.signal(signal.SIGINT, before)
        assert numbers == sorted(held.begun)
        assert threads() == 0

    def test_by_dropping_it(self) -> None:
        held = Held()
        before = open_things()
        results = batch(held, range(100), concurrency=4, ordered=False)
        next(results)
        del results
        held.free.set()
        assert left_over(before) == set()  # one may be at its start, where it cannot be joined
        assert len(held.begun) <= 5

    def test_by_ctrl_c(self) -> None:
        held = Held()
        pressed: list[bool] = []

        def press() -> None:
            assert held.four.wait(PATIENCE)  # before the batch runs, Ctrl-C would end the tests
            os.kill(os.getpid(), signal.SIGINT)
            pressed.append(True)
            held.free.set()

        pressing = threading.Thread(target=press)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            list(batch(held, range(100), concurrency=4))
        pressing.join()
        assert pressed
        assert threads() == 0


def threads() -> int:
    return sum(thread.name == "hestiaos batch" for thread in threading.enumerate())


async def tasks() -> int:
    if trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


class HeldTasks:
    """Calls that wait for ever, and note their cancellation."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.four = anyio.Event()

    async def __call__(self, value: int, **options: Any) -> int:
        self.begun.append(value)
        if len(self.begun) == 4:
            self.four.set()
        try:
            if value:
                await anyio.sleep_forever()
        finally:
            self.ended.append(value)
        return value


@BACKENDS
class TestTasksThatAreLeft:
    """However a batch ends, its tasks are cancelled, and have ended when its block has."""

    def run(self, backend: str, body: Callable[[Any], Awaitable[object]], raised: type[BaseException] | None) -> None:
        held = HeldTasks()

        async def main() -> None:
            before = await tasks()
            error: BaseException | None = None
            try:
                async with batch(held, range(100), concurrency=4, ordered=False) as results:
                    assert (await anext(results)).number == 0
                    await body(results)
            except Exception as caught:
                error = caught
            assert type(error) is (raised or type(None))
            assert await tasks() == before
            assert sorted(held.begun) == sorted(held.ended)
            assert len(held.begun) <= 5

        anyio.run(main, backend=backend)

    def test_by_leaving_the_block(self, backend: str) -> None:
        self.run(backend, lambda results: anyio.lowlevel.checkpoint(), None)

    def test_by_an_error_of_the_reader(self, backend: str) -> None:
        async def body(results: Any) -> None:
            raise ZeroDivisionError

        self.run(backend, body, ZeroDivisionError)

    def test_by_aclose(self, backend: str) -> None:
        async def body(results: Any) -> None:
            await results.aclose()
            assert [each async for each in results] == []

        self.run(backend, body, None)

    def test_by_draining_it(self, backend: str) -> None:
        """The calls that are under way have their results."""

        async def main() -> None:
            free = anyio.Event()
            begun: list[int] = []

            async def call(value: int, **options: Any) -> int:
                begun.append(value)
                if value:
                    await free.wait()
                return value

            async with batch(call, range(100), concurrency=4, ordered=False) as results:
                assert (await anext(results)).number == 0
                while len(begun) < 5:
                    await anyio.lowlevel.checkpoint()
                results.drain()
                free.set()
                assert sorted([each.number async for each in results]) == [1, 2, 3, 4]
            assert len(begun) == 5

        anyio.run(main, backend=backend)

    def test_by_a_timeout_of_the_reader(self, backend: str) -> None:
        async def body(results: Any) -> None:
            with anyio.move_on_after(0.01) as scope:
                await anext(results)
            assert scope.cancelled_caught
            assert [each async for each in results] == []

        self.run(backend, body, None)

    def test_by_a_cancellation_from_outside(self, backend: str) -> None:
        held = HeldTasks()

        async def main() -> None:
            before = await tasks()
            with anyio.move_on_after(0.05) as scope:
                async with batch(held, range(100), concurrency=4) as results:
                    async for _ in results:
                        pass
            assert scope.cancelled_caught
            assert await tasks() == before
            assert sorted(held.begun) == sorted(held.ended)

        anyio.run(main, backend=backend)


def test_a_cancelled_task_of_asyncio_is_cancelled() -> None:
    held = HeldTasks()

    async def read() -> None:
        async with batch(held, range(100), concurrency=4) as results:
            async for _ in results:
                pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await held.four.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(held.begun) == sorted(held.ended)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_call_that_something_else_cancels_does_not_hold_the_reader() -> None:
    async def call(value: int, **options: Any) -> int:
        raise asyncio.CancelledError

    async def main() -> None:
        async with batch(call, range(3)) as results:
            await anext(results)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


@BACKENDS
def test_an_asynchronous_batch_is_iterated_in_its_block(backend: str) -> None:
    async def main() -> None:
        results = batch(HeldTasks(), range(3))
        with pytest.raises(LocalProtocolError, match="write `async with batch"):
            await anext(results)
        async with batch(HeldTasks(), [0]) as results:
            assert [each.number async for each in results] == [0]
        with pytest.raises(LocalProtocolError, match="entered only once"):
            await results.__aenter__()

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("client.run", ["a"]), {}, "call must be a function, for example client.run, not str"),
        ((echo, "a text"), {}, r"inputs must be an iterable of inputs, not one text: \['a text'\]"),
        ((echo, 5), {}, "inputs must be an iterable if the call is synchronous, not int"),
        ((echo, [1]), {"concurrency": 0}, "concurrency must be a whole number, 1 or more, not 0"),
        ((echo, [1]), {"concurrency": 1.5}, "concurrency must be a whole number"),
        ((echo, [1]), {"concurrency": True}, "concurrency must be a whole number"),
        ((echo, [1]), {"concurrency": None}, "concurrency must be a whole number, 1 or more, not None"),
        ((echo, [1]), {"retries": -1}, "retries must be a whole number, 0 or more, not -1"),
        ((echo, [1]), {"ahead": -1}, "ahead must be a whole number, 0 or more, not -1"),
    ],
)
def test_wrong_arguments(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        batch(*arguments, **options)


def test_a_plain_function_that_returns_a_coroutine() -> None:
    async def run(value: int, **options: Any) -> int:
        return value

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match="must be an async function"):
            list(batch(lambda value, **options: run(value, **options), range(3)))


def test_what_is_asynchronous() -> None:
    async def call(value: int, more: int = 0, **options: Any) -> int:
        return value

    for each in (call, partial(call, more=1), HeldTasks(), AsyncioClient().run_async):
        assert isinstance(batch(each, [1]), AsyncBatch)
    for each in (echo, partial(echo, more=1), Held()):
        assert isinstance(batch(each, [1]), Batch)
