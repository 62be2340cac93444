"""The calls of a batch: repeated as a client repeats them, but with pauses that can be ended, and are shared."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING

from hestiaos_cli._batch.inputs import Item
from hestiaos_cli._batch.pace import Pace
from hestiaos_proto import (
    AuthenticationFailed,
    ConnectFailed,
    HestiaError,
    RunResponse,
    StatusError,
    pause_before_repeat,
)

if TYPE_CHECKING:
    from hestiaos import Client

__all__ = ["Calls", "Stopped"]

_REFUSED = (429, 503)  # what the server would say to all others too

_random = random.SystemRandom()


class Stopped(Exception):
    """The batch was stopped while a call waited."""


class Calls:
    """Executes inputs through `client`, in any thread.

    `on_pause` is called with what a call failed with, the seconds until it is repeated, and whether all calls wait.
    """

    def __init__(self, client: Client, retries: int, on_pause: Callable[[HestiaError, float, bool], object]) -> None:
        self._client = client
        self._retries = retries
        self._on_pause = on_pause
        self._pace = Pace(retries)
        self._lock = Lock()
        self._stopped = Event()

    def stop(self) -> None:
        """Send nothing more. Calls that wait raise `Stopped`; those that the server is busy with come to their end."""
        self._stopped.set()

    def run(self, item: Item, key: str) -> RunResponse:
        """Execute an input under its idempotency key. Raises `HestiaError`, `ValueError`, `TypeError`, `Stopped`."""
        attempt = 0
        while True:
            self._wait_for_all()
            sent = monotonic()
            try:
                result = self._client.run(item.text, **item.options, idempotency_key=key, retries=0)
            except StatusError as error:
                if not self._pause_all(error, sent):
                    self._pause(error, attempt)
                    attempt += 1
            except HestiaError as error:
                self._pause(error, attempt)
                attempt += 1
            else:
                self._accept()
                return result

    def is_useless_after(self, error: Exception) -> bool:
        """Whether an error that `run` has raised means that all other inputs would fail with it too."""
        if isinstance(error, StatusError) and error.status_code in _REFUSED:
            with self._lock:
                return self._pace.given_up
        return isinstance(error, ConnectFailed | AuthenticationFailed)

    def _wait_for_all(self) -> None:
        """Wait until the pause of all calls is over. Raises `Stopped`."""
        while True:
            with self._lock:
                left, given_up = self._pace.left(monotonic()), self._pace.given_up
            if given_up or self._stopped.wait(left):
                raise Stopped
            if not left:
                return

    def _accept(self) -> None:
        with self._lock:
            self._pace.accept()

    def _pause_all(self, error: StatusError, sent: float) -> bool:
        """Have all calls wait, where the server would refuse them too. Raises `error` where that is of no use."""
        if error.status_code not in _REFUSED:
            self._accept()
            return False
        with self._lock:
            seconds = _pause_after(error, self._pace.rounds)
            repeat = self._pace.refuse(seconds, sent, monotonic())
        if seconds is None or not repeat:
            raise error
        self._on_pause(error, seconds, True)
        return True

    def _pause(self, error: HestiaError, attempt: int) -> None:
        """Have this call wait. Raises `error` where it is not repeated."""
        seconds = _pause_after(error, attempt) if attempt < self._retries else None
        if seconds is None:
            raise error
        self._on_pause(error, seconds, False)
        if self._stopped.wait(seconds):
            raise Stopped


def _pause_after(error: HestiaError, repeats: int) -> float | None:
    return pause_before_repeat(error, safe=False, keyed=True, repeats=repeats, random=_random)
