"""The rest of a stream after a `Last-Event-ID`: from the run under way, from its log, from the store, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Platform, Store
from hestiaos_local.execution import Work, function_executor
from hestiaos_local.operations import EventLog, EventLogs
from hestiaos_local.operations import _event_logs as event_logs
from hestiaos_proto import NumberedEvent, StatusError, StreamEvent, parse_request
from tests.support.asked_platforms import CHAT_STREAM, STREAM, Model
from tests.support.policies import REDACT, SECRET, policy


def request(text: str = "go", key: str | None = "k", last: str | None = None, path: str = STREAM) -> Any:
    headers = {"idempotency-key": key, "last-event-id": last, "prefer": "resumable-stream"}
    body = {"message" if path == CHAT_STREAM else "input": text}
    given = {name: value for name, value in headers.items() if value is not None}
    return parse_request("POST", path, given, json.dumps(body).encode())


def stream(platform: Platform, *arguments: Any, **options: Any) -> list[NumberedEvent]:
    asker = options.pop("asker", None)
    events = platform.respond(request(*arguments, **options), key=asker)
    if isinstance(events, BaseException):
        raise events
    return list(events)  # type: ignore[arg-type]  # a stream's are iterated over


def refusal(platform: Platform, **options: Any) -> tuple[int, str]:
    with pytest.raises(StatusError) as caught:
        stream(platform, **options)
    return caught.value.status_code, caught.value.code


@pytest.fixture(params=["memory", "file"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same store again and again, as several workers do."""
    if request.param == "file":
        yield lambda: Store(tmp_path / "store.db")
    else:
        with closing(Store()) as store:
            yield lambda: store


def test_the_events_of_a_call_with_an_idempotency_key_have_ids() -> None:
    with Platform() as platform:
        events = stream(platform)
        assert [event.id for event in events] == [f"{events[0].trace_id}/{number}" for number in range(5)]


def test_the_events_of_a_call_without_one_have_none() -> None:
    with Platform() as platform:
        events: Any = platform.respond(request(key=None))
        assert {type(event) for event in events} == {StreamEvent}


@pytest.mark.parametrize("path", [STREAM, CHAT_STREAM], ids=["run", "chat"])
@pytest.mark.parametrize("again", [False, True], ids=["the same worker", "another worker"])
def test_a_stream_that_is_over_goes_on_after_each_of_its_events(
    open_store: Callable[[], Store], path: str, again: bool
) -> None:
    model = Model("abc")
    first = Platform(store=open_store(), executor=model.executor)
    events = stream(first, path=path)
    platform = Platform(store=open_store(), executor=model.executor) if again else first
    for number in range(len(events) - 1):
        rest = stream(platform, path=path, last=events[number].id)
        assert [event.id for event in rest] == [event.id for event in events[number + 1 :]]
        assert [event.data for event in rest] == [event.data for event in events[number + 1 :]]
    assert refusal(platform, path=path, last=events[-1].id) == (409, "UNKNOWN_EVENT")
    assert len(model.works) == 1


def test_a_repeat_without_a_last_id_has_the_same_events(open_store: Callable[[], Store]) -> None:
    model = Model("abc")
    platform = Platform(store=open_store(), executor=model.executor)
    first, second = stream(platform), stream(platform)
    assert [(event.id, event.data) for event in first] == [(event.id, event.data) for event in second]


class TestRefusals:
    """Nothing is executed."""

    @pytest.fixture
    def model(self) -> Model:
        return Model("abc")

    @pytest.fixture
    def platform(self, model: Model) -> Iterator[Platform]:
        with Platform(executor=model.executor) as platform:
            yield platform

    @pytest.mark.parametrize("last", ["5", "t/x", "t/-1", "t/01", "/1", "t 1/1", "ä/1"])
    def test_an_id_that_is_not_ours(self, platform: Platform, model: Model, last: str) -> None:
        assert refusal(platform, last=last) == (400, "INVALID_LAST_EVENT_ID")
        assert model.works == []

    def test_an_id_without_an_idempotency_key(self, platform: Platform, model: Model) -> None:
        assert refusal(platform, key=None, last="t/1") == (409, "EVENTS_FORGOTTEN")
        assert model.works == []

    def test_a_key_that_is_not_known(self, platform: Platform, model: Model) -> None:
        assert refusal(platform, last="t/1") == (409, "EVENTS_FORGOTTEN")
        assert model.works == []
        assert len(stream(platform)) == 6  # the key is free

    @pytest.mark.parametrize("again", [False, True], ids=["the same worker", "another worker"])
    def test_an_id_of_another_run_or_of_no_event(self, again: bool, tmp_path: Path) -> None:
        platform = Platform(store=Store(tmp_path / "store.db"), executor=Model("abc").executor)
        trace_id = stream(platform)[0].trace_id
        if again:
            platform = Platform(store=Store(tmp_path / "store.db"))
        for last in ("another/1", f"{trace_id}/5", f"{trace_id}/6", f"{trace_id}/{10**17}"):
            assert refusal(platform, last=last) == (409, "UNKNOWN_EVENT")

    @pytest.mark.parametrize("again", [False, True], ids=["the same worker", "another worker"])
    def test_another_api_key_and_another_request(self, again: bool, tmp_path: Path) -> None:
        platform = Platform(store=Store(tmp_path / "store.db"))
        last = stream(platform, asker="alice")[1].id
        if again:
            platform = Platform(store=Store(tmp_path / "store.db"))
        assert refusal(platform, last=last, asker="bob") == (422, "INVALID_INPUT")
        assert refusal(platform, last=last) == (422, "INVALID_INPUT")
        assert refusal(platform, text="other", last=last, asker="alice") == (422, "INVALID_INPUT")
        assert len(stream(platform, last=last, asker="alice")) == 3

    def test_a_run_that_was_given_up(self, platform: Platform, model: Model) -> None:
        """The key is free again, and the run is not told of."""
        events: Any = platform.respond(request())
        last = [next(events), next(events)][-1].id
        events.close()
        assert refusal(platform, last=last) == (409, "EVENTS_FORGOTTEN")
        assert len(model.works) == 1

    def test_a_run_that_another_worker_executes(self, tmp_path: Path) -> None:
        """When it is over, the rest comes from what is stored."""
        platform = Platform(store=Store(tmp_path / "store.db"), executor=Model("abc").executor)
        other = Platform(store=Store(tmp_path / "store.db"))
        events: Any = platform.respond(request())
        last = [next(events), next(events)][-1].id
        with pytest.raises(StatusError) as caught:
            stream(other, last=last)
        assert (caught.value.code, caught.value.status_code) == ("IN_PROGRESS", 409)
        assert caught.value.retry_after is not None
        rest = [event.id for event in events]
        assert [event.id for event in stream(other, last=last)] == rest

    def test_a_run_that_was_executed_by_a_worker_that_crashed(self, tmp_path: Path) -> None:
        """Once its lease has run out."""
        now = [1000.0]
        platform = Platform(store=Store(tmp_path / "store.db"), executor=Model("abc").executor, clock=lambda: now[0])
        events: Any = platform.respond(request())
        last = [next(events), next(events)][-1].id
        other = Platform(store=Store(tmp_path / "store.db"), clock=lambda: now[0])
        now[0] += 1000.0
        assert refusal(other, last=last) == (409, "EVENTS_FORGOTTEN")


class TestWhatIsKept:
    def test_a_stream_that_failed_goes_on_to_its_error(self) -> None:
        def fail(work: Work) -> Iterator[str]:
            yield "a"
            raise RuntimeError("it broke")

        with Platform(executor=function_executor(fail)) as platform:
            events = stream(platform)
            assert [event.type for event in events] == ["start", "token", "error", "done"]
            assert [event.id for event in stream(platform, last=events[1].id)] == [event.id for event in events[2:]]

    def test_a_stream_too_large_to_be_stored_is_forgotten_with_its_worker(self, tmp_path: Path) -> None:
        model = Model("x" * 700)
        platform = Platform(store=Store(tmp_path / "store.db"), executor=model.executor)
        events = stream(platform)
        assert len(stream(platform, last=events[1].id)) == len(events) - 2
        other = Platform(store=Store(tmp_path / "store.db"), executor=model.executor)
        assert refusal(other, last=events[1].id) == (409, "EVENTS_FORGOTTEN")
        repeat: Any = other.respond(request())
        assert {type(event) for event in repeat} == {StreamEvent}  # the result, whose events have other numbers
        assert len(model.works) == 1

    def test_where_only_hashes_are_kept_no_event_is_stored(self, tmp_path: Path) -> None:
        platform = Platform(store=Store(tmp_path / "store.db"), executor=Model("secret").executor, keep="hash")
        last = stream(platform)[1].id
        assert len(stream(platform, last=last)) == 7
        assert b'"text":"e"' not in (tmp_path / "store.db").read_bytes()
        other = Platform(store=Store(tmp_path / "store.db"), keep="hash")
        assert refusal(other, last=last) == (409, "RESULT_NOT_KEPT")

    def test_a_result_that_is_stored_redacted_has_no_stored_events(self, tmp_path: Path) -> None:
        """They hold what is hidden in it, cut into pieces."""
        platform = Platform(store=Store(tmp_path / "store.db"), executor=Model("the hidden-value is").executor)
        platform.hide("hidden-value")
        last = stream(platform)[1].id
        other = Platform(store=Store(tmp_path / "store.db"))
        assert refusal(other, last=last) == (409, "EVENTS_FORGOTTEN")

    def test_only_what_was_released_is_kept(self) -> None:
        with Platform(executor=Model(f"it is {SECRET} now").executor, policy=policy(REDACT)) as platform:
            events = stream(platform)
            rest = stream(platform, last=events[0].id)
            assert SECRET not in "".join(event.text for event in rest)
            assert SECRET not in json.dumps([event.data for event in rest])
            assert rest == events[1:]


class TestLogs:
    @staticmethod
    def log(size: int = 0, *, over: bool = True) -> EventLog:
        log = EventLog("f")
        log.append(StreamEvent("start", {"text": "x" * size}, "t"))
        if over:
            log.append(StreamEvent("done", {}, "t"))
        return log

    def test_a_log_is_kept_for_minutes(self) -> None:
        now = [0.0]
        logs, log = EventLogs(lambda: now[0]), self.log()
        logs.add("k", log)
        now[0] = 1e6  # as long as the run takes
        assert logs.get("k") is log
        logs.close("k", log)
        now[0] += 299.0
        assert logs.get("k") is log
        now[0] += 1.0
        assert logs.get("k") is None

    def test_the_oldest_go_where_all_are_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logs, size = EventLogs(lambda: 0.0), 10_000
        monkeypatch.setattr(event_logs, "_ALL_LOGS", 4 * size)
        for name in "abcde":
            log = self.log(size - 500)
            logs.add(name, log)
            logs.close(name, log)
        assert [name for name in "abcde" if logs.get(name) is None] == ["a"]

    def test_a_log_whose_run_was_given_up_is_forgotten(self) -> None:
        logs, log = EventLogs(lambda: 0.0), self.log(over=False)
        logs.add("k", log)
        logs.close("k", log)
        assert logs.get("k") is None
        assert log.closed

    def test_a_run_that_is_repeated_has_a_new_log(self) -> None:
        now = [0.0]
        logs, first, second = EventLogs(lambda: now[0]), self.log(), self.log()
        logs.add("k", first)
        logs.close("k", first)
        logs.add("k", second)
        now[0] = 1000.0
        assert logs.get("k") is second
        logs.close("k", first)  # again: it is another's place now
        assert logs.get("k") is second

    def test_a_log_keeps_the_last_mebibyte(self) -> None:
        log = EventLog("f")
        for _ in range(40):
            log.append(StreamEvent("token", {"text": "x" * 50_000}, "t"))
        assert log.size <= event_logs._LARGEST_LOG
        assert [event.number for event in log.after(30)] == [*range(30, 40)]
        assert log.after(40) == []
        with pytest.raises(StatusError) as caught:
            log.after(0)
        assert caught.value.code == "EVENTS_FORGOTTEN"

    def test_an_event_larger_than_a_log_is_kept_until_the_next(self) -> None:
        log = self.log(2 * event_logs._LARGEST_LOG, over=False)
        assert len(log.after(0)) == 1
