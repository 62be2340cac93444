"""Combine the metrics of several workers, using the files of prometheus-client's multiprocess mode."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric
    from prometheus_client.samples import Sample

__all__ = ["SharedMetrics"]

_GAUGES = {"hestiaos_uptime_seconds": "livemax"}  # how to combine gauges; `livesum` for the others


class SharedMetrics:
    """The metrics of all workers, each of which writes its own files in `folder`.

    `folder` is the value of `PROMETHEUS_MULTIPROC_DIR`. Raises `ValueError` if it is not a directory.
    """

    def __init__(self, folder: str) -> None:
        if not Path(folder).is_dir():
            raise ValueError(f"PROMETHEUS_MULTIPROC_DIR must be an existing directory, not {folder!r}")
        self._folder = folder
        self._files: dict[str, Any] = {}
        # Imported as `Any`, since the type annotations of these modules are incomplete.
        self._format: Any = import_module("prometheus_client.mmap_dict")
        self._multiprocess: Any = import_module("prometheus_client.multiprocess")

    def write(self, metrics: Iterable[Metric]) -> None:
        """Write this worker's metrics. Raises `OSError` if its files cannot be written."""
        for metric in metrics:
            kind = f"gauge_{_GAUGES.get(metric.name, 'livesum')}" if metric.type == "gauge" else metric.type
            for sample, value in _values(metric):
                names, values = [*sample.labels], [*sample.labels.values()]
                key = self._format.mmap_key(metric.name, sample.name, names, values, metric.documentation)
                self._file(kind).write_value(key, value, 0.0)

    def register(self, registry: CollectorRegistry) -> None:
        """Register a collector of all workers' metrics."""
        self._multiprocess.MultiProcessCollector(registry, self._folder)

    def close(self) -> None:
        """Delete this worker's gauges. Its counters are kept, since a counter must not decrease."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._multiprocess.mark_process_dead(os.getpid(), self._folder)

    def _file(self, kind: str) -> Any:
        if kind not in self._files:
            self._files[kind] = self._format.MmapedDict(os.path.join(self._folder, f"{kind}_{os.getpid()}.db"))
        return self._files[kind]


def _values(metric: Metric) -> Iterator[tuple[Sample, float]]:
    """Iterate over samples as the files store them: buckets of histograms are not cumulative, and have no count."""
    below = 0.0
    for sample in metric.samples:
        if "le" in sample.labels:
            yield sample, sample.value - below
            below = 0.0 if sample.labels["le"] == "+Inf" else sample.value
        elif metric.type != "histogram" or not sample.name.endswith("_count"):
            yield sample, sample.value
