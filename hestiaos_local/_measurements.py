"""Metrics of a platform: counts, durations, and the load of the machine."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from threading import RLock
from typing import Any, NamedTuple

from hestiaos_local.execution import Usage
from hestiaos_local.storage import StoreError

__all__ = ["BUCKETS", "Counts", "Histogram", "Measurements", "elapsed"]

BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The upper bounds of a histogram's buckets, in seconds."""


def elapsed(began: float, ended: float) -> float:
    """Return the seconds between two times, or 0 if the clock was set back in between."""
    return max(0.0, ended - began)


class Histogram(NamedTuple):
    """Cumulative counts of durations for each of `BUCKETS` and in total (the last one), and their sum in seconds."""

    counts: tuple[int, ...]
    total: float


class _Times:
    """A histogram with non-cumulative buckets."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._total += seconds

    def histogram(self) -> Histogram:
        return Histogram(tuple(accumulate(self._counts)), self._total)


class Counts(NamedTuple):
    """A snapshot of the counts.

    `requests` are by operation and status, `decisions` by verdict, `rules` by name and action, `shadow_hits` by name
    and the action that the rule would have taken, `executions` by outcome, `tokens` by `prompt` and `completion`,
    `model_errors` by code. `latencies` are the durations of requests by operation, `durations` those of executions by
    outcome.
    """

    requests: Mapping[tuple[str, str], int]
    decisions: Mapping[str, int]
    rules: Mapping[tuple[str, str], int]
    shadow_hits: Mapping[tuple[str, str], int]
    executions: Mapping[str, int]
    tokens: Mapping[str, int]
    model_errors: Mapping[str, int]
    latencies: Mapping[str, Histogram]
    durations: Mapping[str, Histogram]
    open_streams: int
    uptime: float


class Measurements:
    """The counts since its creation. `clock` returns seconds. Several threads may use it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._cpu_began = time.process_time()
        # Re-entrant, since an exception that a tracer raises on the line leaving the `with` leaves it locked. A signal
        # cannot do that: CPython handles signals after calls and jumps only.
        self._lock = RLock()
        self._requests = 0
        self._answered = 0
        self._busy = 0.0  # seconds
        self._open_streams = 0
        self._by_status: Counter[tuple[str, str]] = Counter()
        self._decisions: Counter[str] = Counter()
        self._rules: Counter[tuple[str, str]] = Counter()
        self._shadow_hits: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[str] = Counter()
        self._model_errors: Counter[str] = Counter()
        self._latencies: defaultdict[str, _Times] = defaultdict(_Times)
        self._durations: defaultdict[str, _Times] = defaultdict(_Times)

    @contextmanager
    def request(self, operation: str) -> Iterator[None]:
        """Count a request with its result and duration."""
        with self._lock:
            self._requests += 1
        began = self._clock()
        status = "cancelled"
        try:
            yield
            status = "200"
        except Exception as error:
            status = str(getattr(error, "status_code", 503 if isinstance(error, StoreError) else 500))
            raise
        finally:
            taken = elapsed(began, self._clock())
            with self._lock:
                self._answered += 1
                self._busy += taken
                self._by_status[operation, status] += 1
                self._latencies[operation].add(taken)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream as open within the `with` block."""
        with self._lock:
            self._open_streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._open_streams -= 1

    @property
    def open_streams(self) -> int:
        """The number of open streams."""
        return self._open_streams

    def decided(self, verdict: str) -> None:
        """Count a decision."""
        with self._lock:
            self._decisions[verdict] += 1

    def matched(self, rules: Iterable[tuple[str, str]], shadow_hits: Iterable[tuple[str, str]]) -> None:
        """Count matches of rules with their actions, and hits in shadow mode with the actions not taken."""
        with self._lock:
            self._rules.update(rules)
            self._shadow_hits.update(shadow_hits)

    def executed(self, status: str, seconds: float, usage: Usage | None, model_error: str | None = None) -> None:
        """Count an execution that has ended. `model_error` is the code of a failure of the model server."""
        with self._lock:
            self._durations[status].add(seconds)
            self._tokens["prompt"] += 0 if usage is None else usage.prompt_tokens
            self._tokens["completion"] += 0 if usage is None else usage.completion_tokens
            if model_error is not None:
                self._model_errors[model_error] += 1

    def counts(self) -> Counts:
        """Return a snapshot of the counts."""
        with self._lock:
            durations = {status: each.histogram() for status, each in self._durations.items()}
            return Counts(
                requests=dict(self._by_status),
                decisions=dict(self._decisions),
                rules=dict(self._rules),
                shadow_hits=dict(self._shadow_hits),
                executions={status: each.counts[-1] for status, each in durations.items()},
                tokens=dict(self._tokens),
                model_errors=dict(self._model_errors),
                latencies={name: each.histogram() for name, each in self._latencies.items()},
                durations=durations,
                open_streams=self._open_streams,
                uptime=self.uptime(),
            )

    def uptime(self) -> float:
        """The seconds since the creation."""
        return elapsed(self._began, self._clock())

    def metrics(self) -> dict[str, Any]:
        """Return the metrics with their names in the protocol. GPUs are not measured."""
        uptime = self.uptime()
        with self._lock:
            return {
                "cpu_percent": (time.process_time() - self._cpu_began) / uptime * 100 if uptime else 0.0,
                "memory_percent": _memory_percent(),
                "requests_total": self._requests,
                "avg_latency_ms": self._busy / max(1, self._answered) * 1000,
                "gpu_percent": None,
                "vram_percent": None,
                "vram_used_bytes": None,
                "vram_total_bytes": None,
            }


def _memory_percent() -> float:
    """Return the percentage of the machine's memory in use, or 0 if that is unknown."""
    try:
        return 100.0 * (1 - os.sysconf("SC_AVPHYS_PAGES") / os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError):  # not a POSIX system, or one without this value
        return 0.0
