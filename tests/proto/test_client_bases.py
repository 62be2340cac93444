"""What every client does alike, over the least client there can be: its arguments, its namespaces, its copies."""

from __future__ import annotations

import copy
import os
import pickle
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hestiaos_proto import AsyncStreams, Hooks, Operation, RunStream, StreamOptions, operations
from hestiaos_proto._api_keys import key_digest
from tests.support.flows import HEALTH_RESULT, HookRecorder
from tests.support.least_clients import AsyncClient, Client, Executor

ROOT = Path(__file__).parents[2]
KEY = "hunter2-4711"


both = pytest.mark.parametrize("kind", [Client, AsyncClient], ids=lambda kind: kind.__name__)
DUPLICATES: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": lambda made, p=protocol: pickle.loads(pickle.dumps(made, p)) for protocol in range(6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
duplicates = pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)


def finish(coroutine: Any) -> Any:
    """What a coroutine that never waits comes to."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


def on_call_end(call: object, error: object) -> None:
    """A hook that pickles, being found by its name."""


@both
class TestArguments:
    def test_the_defaults(self, kind: Any) -> None:
        config = kind().config
        assert (config.base_url, config.api_key, config.timeout, config.retries) == (
            "http://localhost:8000",
            None,
            30.0,
            3,
        )
        assert (config.deadline, config.headers, config.strict) == (None, {}, True)

    def test_what_is_given_reaches_the_config(self, kind: Any) -> None:
        client = kind("http://h/", KEY, 5.0, 1, deadline=9.0, headers={"X-A": "1"}, strict=False)
        config = client.config
        assert (config.base_url, config.api_key, config.timeout, config.retries) == ("http://h", KEY, 5.0, 1)
        assert (config.deadline, config.headers, config.strict) == (9.0, {"X-A": "1"}, False)

    def test_the_environment_stands_in_for_what_is_not_given(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kind, "_environ", {"HESTIAOS_BASE_URL": "http://env", "HESTIAOS_API_KEY": KEY})
        assert (kind().config.base_url, kind().config.api_key) == ("http://env", KEY)
        assert (kind("http://own", "own").config.base_url, kind("http://own", "own").config.api_key) == (
            "http://own",
            "own",
        )

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"base_url": "ftp://h"}, ValueError, "must begin with http:// or https://"),
            ({"api_key": f"{KEY}\n"}, ValueError, "the API key contains"),
            ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
            ({"headers": []}, TypeError, "headers must be a mapping of str to str, not list"),
            ({"hooks": print}, TypeError, "hooks must be a Hooks or None, not builtin_function_or_method"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_said_at_once(
        self, kind: Any, arguments: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message) as caught:
            kind(**arguments)
        assert KEY not in str(caught.value)

    def test_hooks_are_called_for_every_call(self, kind: Any) -> None:
        recorder = HookRecorder()
        finish(kind(hooks=recorder.hooks).system.config_async())
        assert recorder.names == ["request", "response", "end"]


class TestNamespaces:
    def test_each_is_carried_out_by_the_executor(self) -> None:
        client = Client()
        assert client.health().status == "ok"
        assert client.system.config() == HEALTH_RESULT
        assert finish(client.system.config_async(timeout=1.0)) == HEALTH_RESULT
        client.secrets.set("k", "v")
        assert client.governance.status() == HEALTH_RESULT
        assert finish(client.governance.trace_async("c")) == HEALTH_RESULT
        with pytest.raises(TypeError, match=r"chat\(\) got an unexpected keyword argument 'bogus'"):
            client.chat.run("x", bogus=1)
        with pytest.raises(ValueError, match="retries must be 0 or more"):
            client.agents.run("a", "x", retries=-1)
        assert [send.operation.name for send in client.executor.sends] == [
            *("health", "system_config", "system_config", "set_secret", "governance_status", "governance_trace")
        ]
        assert client.executor.sends[2].timeout == 1.0

    def test_a_client_with_coroutines_alone_has_no_other_methods(self) -> None:
        client = AsyncClient()
        for each in (client, client.chat, client.agents, client.system, client.secrets, client.governance):
            methods = [name for name in dir(each) if not name.startswith("_") and callable(getattr(each, name))]
            assert all(name.endswith("_async") or hasattr(getattr(each, name), "sends") for name in methods)
            assert methods
        assert finish(client.health_async()).status == "ok"


@both
class TestRepr:
    def test_it_shows_where_to_and_no_more(self, kind: Any) -> None:
        client = kind("http://h/", KEY, headers={"X-A": KEY})
        assert repr(client) == f"{kind.__name__}(base_url='http://h')"

    def test_of_a_client_whose_constructor_has_raised(self, kind: Any) -> None:
        """Those who report errors show the locals of each frame."""
        shown: list[str] = []

        class Broken(kind):
            def __init__(self) -> None:
                try:
                    super().__init__("ftp://h", KEY)
                except ValueError:
                    shown.extend([repr(self), repr(self.chat) if hasattr(self, "chat") else ""])

        Broken()
        assert shown == ["Broken(base_url=None)", ""]

    def test_of_its_namespaces(self, kind: Any) -> None:
        client = kind("http://h", KEY)
        assert repr(client.chat).startswith(f"<{type(client.chat).__name__} of <")
        assert repr(type(client.chat).__new__(type(client.chat))) == f"<{type(client.chat).__name__} of None>"

    def test_what_reporters_of_errors_show_of_it_has_no_key(self, kind: Any) -> None:
        assert KEY not in repr(vars(kind("http://h", KEY, headers={"X-A": KEY})))


@both
class TestCopies:
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "base_url": "http://h/a",
        "api_key": KEY,
        "timeout": 5.0,
        "retries": 1,
        "deadline": 9.0,
        "headers": {"X-A": "1"},
        "strict": False,
        "hooks": Hooks(on_call_end=on_call_end),
        "max_connections": 7,
    }

    @duplicates
    def test_a_copy_has_the_configuration_and_an_executor_of_its_own(self, kind: Any, duplicate: Any) -> None:
        for used in (False, True):
            client = kind(**self.ARGUMENTS)
            if used:
                finish(client.health_async())
            twin = duplicate(client)
            assert type(twin) is kind
            assert twin.config == client.config
            assert twin._arguments["max_connections"] == 7
            assert [each.on_call_end for each in twin.executor.context.hooks] == [on_call_end]
            assert twin.executor is not client.executor
            assert finish(twin.health_async()).status == "ok"
            assert (len(client.executor.sends), len(twin.executor.sends)) == (used, 1)

    @duplicates
    def test_the_environment_is_not_read_again(
        self, kind: Any, duplicate: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kind, "_environ", {"HESTIAOS_BASE_URL": "http://env", "HESTIAOS_API_KEY": KEY})
        with_key = kind()
        monkeypatch.setattr(kind, "_environ", {})
        without = kind()
        monkeypatch.setattr(kind, "_environ", {"HESTIAOS_BASE_URL": "http://new", "HESTIAOS_API_KEY": "new"})
        assert (duplicate(with_key).config.base_url, duplicate(with_key).config.api_key) == ("http://env", KEY)
        assert (duplicate(without).config.base_url, duplicate(without).config.api_key) == (
            "http://localhost:8000",
            None,
        )

    @duplicates
    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("ssl_context", ssl.create_default_context()),
            ("hooks", Hooks(on_request=lambda call, request: None)),
            ("max_connections", object.__new__(type("Local", (), {"__reduce__": lambda self: 1 / 0}))),
        ],
        ids=["an ssl context", "a lambda", "what raises"],
    )
    def test_what_cannot_travel_is_named(self, kind: Any, duplicate: Any, argument: str, value: Any) -> None:
        client = kind(**{argument: value})
        message = rf"^a client with {argument}={type(value).__name__}\(…\) cannot be copied or pickled: make a new one$"
        with pytest.raises(TypeError, match=message) as caught:
            duplicate(client)
        assert caught.value.__cause__ is not None

    @pytest.mark.parametrize("protocol", range(6))
    def test_no_pickle_holds_the_key(self, kind: Any, protocol: int) -> None:
        data = pickle.dumps(kind(api_key=KEY), protocol)
        assert KEY.encode() not in data
        assert KEY.encode("utf-16-le") not in data

    def test_a_copy_of_a_copy(self, kind: Any) -> None:
        client = kind("http://h", KEY)
        twin = copy.copy(pickle.loads(pickle.dumps(copy.deepcopy(client))))
        assert twin.config == client.config

    def test_a_subclass_with_the_same_arguments_keeps_its_own(self, kind: Any) -> None:
        twin = copy.copy(OWN[kind]("http://h", KEY))
        assert (type(twin), twin.tag, twin.config.base_url) == (OWN[kind], "own", "http://h")


@both
def test_a_key_that_only_the_environment_knows(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"only the environment of {kind.__name__} knows".replace(" ", "-")
    data = pickle.dumps(kind("http://h", KEY)).replace(key_digest(KEY).encode(), key_digest(key).encode())
    for environ in ({}, {"HESTIAOS_API_KEY": "another"}):
        monkeypatch.setattr(kind, "_environ", environ)
        with pytest.raises(ValueError, match="set HESTIAOS_API_KEY"):
            pickle.loads(data)
    monkeypatch.setattr(kind, "_environ", {"HESTIAOS_API_KEY": key})
    assert pickle.loads(data).config.api_key == key


class WithCell(Client):
    """Its constructor uses `super()`, and so has `__class__` among its locals."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        deadline: float | None = None,
        headers: Any = None,
        strict: bool = True,
    ) -> None:
        self.executor = Executor(super()._configure(locals()))
        self._serve(self.executor)


def test_a_constructor_that_uses_super() -> None:
    assert copy.copy(WithCell("http://h", KEY)).config.base_url == "http://h"


class OwnClient(Client):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag = "own"


class OwnAsyncClient(AsyncClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag = "own"


OWN = {Client: OwnClient, AsyncClient: OwnAsyncClient}


class TestOtherProcesses:
    """A pickle is read where the key is known: from the environment, or because the process has used it."""

    @staticmethod
    def run(code: str, **environ: str) -> str:
        """What a new interpreter prints, or its last line of stderr."""
        setup = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        imports = "import os, pickle; from tests.support.least_clients import Client\n"
        done = subprocess.run(
            [sys.executable, "-c", setup + imports + code],
            capture_output=True,
            text=True,
            env={**os.environ, **environ},
            check=False,
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    def test_one_that_has_never_seen_the_key(self) -> None:
        data = pickle.dumps(Client("http://h", KEY))
        read = f"client = pickle.loads({data!r}); print(client, client.config.api_key)"
        refused = "ValueError: a pickle does not have the API key: set HESTIAOS_API_KEY where the pickle is read"
        environ = "Client._environ = os.environ\n"
        assert self.run(read) == refused
        assert self.run(environ + read, HESTIAOS_API_KEY=KEY) == f"Client(base_url='http://h') {KEY}"
        assert self.run(environ + read, HESTIAOS_API_KEY="another") == refused
        assert self.run(f"used = Client(api_key={KEY!r})\n" + read) == f"Client(base_url='http://h') {KEY}"

    def test_a_client_without_a_key_needs_none(self) -> None:
        read = f"print(pickle.loads({pickle.dumps(Client('http://h'))!r}).config.api_key)"
        assert self.run(f"Client._environ = os.environ\n{read}", HESTIAOS_API_KEY="another") == "None"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
    def test_a_forked_child_to_which_a_client_is_sent_later(self) -> None:
        """As a pool of processes does, whose workers are older than what they are sent."""
        code = f"""
client = Client("http://h", {KEY!r})
(from_parent, to_child), (from_child, to_parent) = os.pipe(), os.pipe()
if os.fork() == 0:
    twin = pickle.loads(os.read(from_parent, 65536))
    os.write(to_parent, repr((twin, twin.config.api_key)).encode())
    os._exit(0)
os.write(to_child, pickle.dumps(client))
print(os.read(from_child, 65536).decode())
os.wait()
"""
        assert self.run(code) == f"(Client(base_url='http://h'), {KEY!r})"


class _Begun(AsyncStreams[tuple[Operation[RunStream], float | None, StreamOptions]]):
    """Tells what a stream would be begun with."""

    def _new_stream(
        self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> tuple[Operation[RunStream], float | None, StreamOptions]:
        return operation, timeout, options


def test_a_stream_is_begun_with_its_operation_its_timeout_and_its_options() -> None:
    begun = _Begun().run_stream("x", "s", "a", "fast", 5, 1.5, retries=2)
    expected = operations.run_stream("x", session_id="s", agent_id="a", mode_hint="fast", timeout_ms=5)
    assert begun == (expected, 1.5, {"retries": 2})
