"""A platform for tests with scripted replies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hestiaos_local._platform import Platform
from hestiaos_local.execution import Agent, Text, ToolCall, Work, last_user_text
from hestiaos_local.flow import Disconnect, Flow
from hestiaos_local.governance import Policy
from hestiaos_local.storage import Storage, Store
from hestiaos_local.testing._executor import ScriptedExecutor
from hestiaos_local.testing._replies import End, Reply, To
from hestiaos_local.testing._script import ReceivedRequest, Script
from hestiaos_local.testing._serving import serving
from hestiaos_proto import ServerRequest, StatusError, error_from_response, json, operations

if TYPE_CHECKING:
    from hestiaos_local._transport import LocalTransport

__all__ = ["ScriptedPlatform"]

_TOKEN = re.compile(r"\s*\S+\s*|\s+")
_INPUTS = ("input", "message", "task")
_OPERATIONS = ("complete", *filter(str.islower, operations.__all__))


class ScriptedPlatform(Platform):
    """A platform that responds with scripted replies, in-process (`transport`) or served (`url`).

    The methods `say`, `call_tool`, `block`, `fail`, `cut` and `echo` each add a reply, and return it. A request gets
    the first reply that matches it and is not used up. Their arguments are:

    - `to`: which inputs, messages and tasks match: those that contain a text, in which a compiled pattern is found, or
      for which a function returns true. By default all match.
    - `times`: for how many requests the reply is, None for any number, including none.
    - `delay`: how many seconds the client waits before the first token.
    - `hold_after`: after how many tokens the client waits until `release` is called on the reply.

    Policy, traces, sessions and secrets are those of a real platform. `check` raises if a reply is not used up or a
    request had no reply, and so does the end of a `with` block, unless it raises anyway.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        store: Storage | None = None,
        agents: Mapping[str, Agent] | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._script = Script()
        self._given: dict[str, Any] = {
            "store": Store() if store is None else store,
            "agents": agents,
            "clock": clock,
            "new_id": new_id,
        }
        super().__init__(policy=policy, executor=ScriptedExecutor(self._script), **self._given)
        self._opened = ExitStack()
        self._lock = Lock()
        self._url: str | None = None

    # Scripting replies.

    def say(
        self, *texts: str, to: To = None, times: int | None = 1, delay: float = 0.0, hold_after: int | None = None
    ) -> Reply:
        """Reply with these texts, one token each. A single text is split into words with their white space."""
        shown = f"say({', '.join(map(repr, texts))})"
        return self._add(shown, _texts(texts), "done", to, times, delay=delay, hold_after=hold_after)

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | str = "{}",
        *,
        after: str = "",
        to: To = None,
        times: int | None = 1,
        delay: float = 0.0,
        hold_after: int | None = None,
    ) -> Reply:
        """Reply with a tool call, after a text. `arguments` as a `str` are sent unchanged, and may be invalid JSON."""
        written = arguments if isinstance(arguments, str) else json.dumps(arguments).decode()
        call = ToolCall(f"call_{uuid4().hex}", name, written)
        outputs: tuple[Text | ToolCall, ...] = (*_texts((after,)), call)
        return self._add(f"call_tool({name!r})", outputs, "done", to, times, delay=delay, hold_after=hold_after)

    def block(
        self, reason: str = "blocked by the test", *, after: str = "", to: To = None, times: int | None = 1
    ) -> Reply:
        """Let governance block the request before it is executed or, with a text in `after`, the rest of the output."""
        return self._add(f"block({reason!r})", _texts((after,)), "block", to, times, reason=reason)

    def fail(
        self,
        status: int,
        message: str | None = None,
        *,
        code: str | None = None,
        details: Any = None,
        retry_after: float | None = None,
        after: str = "",
        to: To = None,
        operation: str | None = None,
        times: int | None = 1,
    ) -> Reply:
        """Reply with an error status from 400 to 599. After a text, a stream ends with an `error` event instead.

        `operation` is the name of the failing operation (`"health"`), by default any that executes something.
        """
        if not 400 <= status <= 599:
            raise ValueError(f"status must be from 400 to 599, not {status}")
        fields = {"message": message or f"scripted failure {status}", "code": code, "details": details}
        body = json.dumps({key: value for key, value in fields.items() if value is not None})

        def make_error() -> StatusError:
            return error_from_response(status, body, retry_after=retry_after)

        return self._add(f"fail({status})", _texts((after,)), make_error, to, times, operation=operation)

    def cut(self, *, after: str = "", to: To = None, operation: str | None = None, times: int | None = 1) -> Reply:
        """Close the connection without a response or, after a text, in the middle of the stream.

        In-process, the transport raises what a closed socket would raise.
        """
        shown = f"cut(after={after!r})" if after else "cut()"
        return self._add(shown, _texts((after,)), "cut", to, times, operation=operation)

    def echo(self, *, to: To = None, times: int | None = None) -> Reply:
        """Reply with `processed:` and the input, like the echo executor, by default to any number of requests."""
        return self._add("echo()", (), "echo", to, times)

    # Connecting clients.

    @property
    def transport(self) -> LocalTransport:
        """An in-process transport for `transport=` of any client."""
        from hestiaos_local._transport import LocalTransport  # imports httpx

        return LocalTransport(self)

    @property
    def url(self) -> str:
        """The base URL on a free port of 127.0.0.1. A thread serves it from the first use on."""
        with self._lock:
            if self._url is None:
                self._url = self._opened.enter_context(serving(self))
            return self._url

    # Inspecting requests.

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All requests so far, including refused ones and repeats by the client."""
        return list(self._script.requests)

    def problems(self) -> list[str]:
        """The mistakes so far: requests without a reply, and replies that are not used up."""
        return self._script.problems()

    def check(self) -> None:
        """Raise `AssertionError` if there are `problems`."""
        if problems := self.problems():
            raise AssertionError("\n".join(problems))

    def close(self) -> None:
        """Stop the server, if there is one, and close the platform and its store. Closing it again does nothing."""
        self._script.release()
        with self._lock:
            self._opened.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            self.check()

    # Executing requests.

    def _flow(self, call: ServerRequest, key: str | None) -> Flow[None]:
        if call.operation:
            text = next((call.arguments[name] for name in _INPUTS if name in call.arguments), "")
            request = ReceivedRequest(call.operation, text, call.arguments, call.headers)
            if (blocking := self._receive(request)) is not None:
                return blocking._flow(call, key)
        return super()._flow(call, key)

    def _completion(self, work: Work, key: str | None) -> Flow[None]:
        arguments = {name: getattr(work, name) for name in ("model", "messages", "tools", "options", "max_tokens")}
        blocking = self._receive(ReceivedRequest("complete", last_user_text(work.messages), arguments))
        yield from super()._completion(work, key) if blocking is None else blocking._completion(work, key)

    def _receive(self, request: ReceivedRequest) -> Platform | None:
        """Record a request. Raise if the reply is an error; return a platform that blocks if it is a block."""
        self._script.requests.append(request)
        reply = self._script.refusal(request.operation, request.text)
        if reply is None:
            return None
        if reply.end == "block":
            return Platform(policy=_blocking(reply.reason), **self._given)
        if reply.end == "cut":
            raise Disconnect
        assert callable(reply.end), "a reply that refuses is a block, a cut or an error"
        raise reply.end()

    def _add(
        self, shown: str, outputs: tuple[Text | ToolCall, ...], end: End, to: To, times: int | None, **rest: Any
    ) -> Reply:
        if (operation := rest.get("operation")) is not None and operation not in _OPERATIONS:
            raise ValueError(f"there is no operation {operation!r}; known operations: {', '.join(_OPERATIONS)}")
        if to is not None:
            shown = f"{shown[:-1]}{', ' if shown[-2] != '(' else ''}to={to!r})"
        return self._script.add(Reply(shown, outputs=outputs, end=end, to=to, times=times, **rest))


def _texts(texts: tuple[str, ...]) -> tuple[Text, ...]:
    if len(texts) == 1:
        return tuple(Text(token[0]) for token in _TOKEN.finditer(texts[0]))
    return tuple(map(Text, texts))


def _blocking(reason: str) -> Policy:
    """Return a policy that blocks everything."""
    return Policy.parse(
        f"""
        version = 1
        [[rules]]
        name = "scripted"
        on = "command"
        pattern = '(?s).*'
        decision = "BLOCK"
        risk = 1.0
        reason = {json.dumps(reason).decode()}
        """,
        "scripted",
    )
