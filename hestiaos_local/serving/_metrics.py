"""Write the counts of a platform in Prometheus' text format, with prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from hestiaos_local._measurements import BUCKETS, Counts, Histogram
from hestiaos_proto import EncodedResponse, ServerError, encode_json, encode_response

if TYPE_CHECKING:
    from prometheus_client import Metric

    from hestiaos_local.serving._shared_metrics import SharedMetrics

__all__ = ["encode_metrics", "metrics_of"]

_MISSING = "metrics need the package prometheus-client: pip install 'hestiaos[platform]'"

_has_loaded = False


async def encode_metrics(counts: Counts, shared: SharedMetrics | None = None) -> EncodedResponse:
    """Encode the metrics, including those of other workers if they are `shared`.

    Return a 501 if prometheus-client is not installed. The first call imports it in a thread, since that takes up to a
    tenth of a second.
    """
    global _has_loaded
    if find_spec("prometheus_client") is None:
        return encode_response("", ServerError(_MISSING, status_code=501, code="NOT_INSTALLED"))
    if not _has_loaded:
        await to_thread.run_sync(import_module, "prometheus_client.core", limiter=CapacityLimiter(1))
        _has_loaded = True
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)  # for this response only
    if shared is None:
        registry.register(_Collector(counts))
    else:
        shared.write(metrics_of(counts))
        shared.register(registry)
    body = generate_latest(registry)
    server, _, _ = encode_json(None).headers
    return EncodedResponse(
        200, (server, ("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))), body
    )


class _Collector:
    """Implements prometheus-client's `Collector` protocol for counts."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Iterate over the metrics."""
        return metrics_of(self._counts)


def metrics_of(counts: Counts) -> Iterator[Metric]:
    """Convert counts to metrics of prometheus-client."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, text, pair, by_pair in (
        ("requests", "Requests with a response.", ["operation", "status"], counts.requests),
        ("rule_matches", "Matches of rules.", ["rule", "decision"], counts.rules),
        ("shadow_hits", "Matches of rules in shadow mode.", ["rule", "decision"], counts.shadow_hits),
    ):
        family = CounterMetricFamily(f"hestiaos_{name}", text, labels=pair)
        for labels, count in by_pair.items():
            family.add_metric(labels, count)
        yield family
    for name, text, label, by in (
        ("decisions", "Decisions of governance.", "decision", counts.decisions),
        ("executions", "Executions that have ended.", "outcome", counts.executions),
        ("tokens", "Tokens of executions.", "kind", counts.tokens),
        ("model_errors", "Executions that failed at the model server.", "code", counts.model_errors),
    ):
        family = CounterMetricFamily(f"hestiaos_{name}", text, labels=[label])
        for value, count in by.items():
            family.add_metric([value], count)
        yield family
    yield _histogram("request_duration", "Durations of requests.", "operation", counts.latencies)
    yield _histogram("execution_duration", "Durations of executions.", "outcome", counts.durations)
    yield GaugeMetricFamily("hestiaos_open_streams", "Streams that are being sent.", counts.open_streams)
    yield GaugeMetricFamily("hestiaos_uptime_seconds", "Time since the platform was started.", counts.uptime)


def _histogram(name: str, text: str, label: str, by: Mapping[str, Histogram]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(f"hestiaos_{name}_seconds", text, labels=[label])
    bounds = [*map(str, BUCKETS), "+Inf"]
    for value, histogram in by.items():
        family.add_metric([value], list(zip(bounds, histogram.counts, strict=True)), histogram.total)
    return family
