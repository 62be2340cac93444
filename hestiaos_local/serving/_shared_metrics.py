"""The metrics of several workers as one, by the files of prometheus-client's multiprocess mode."""

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

_GAUGES = {"hestiaos_uptime_seconds": "livemax"}  # how gauges become one; else `livesum`


class SharedMetrics:
    """What this worker's files, and those of the others, in one folder say together.

    `folder` is what `PROMETHEUS_MULTIPROC_DIR` names. Raises `ValueError` where it is not a folder.
    """

    def __init__(self, folder: str) -> None:
        if not Path(folder).is_dir():
            raise ValueError(f"PROMETHEUS_MULTIPROC_DIR must be a folder that is there, not {folder!r}")
        self._folder = folder
        self._files: dict[str, Any] = {}
        # Without types, as they are: their annotations are not complete.
        self._format: Any = import_module("prometheus_client.mmap_dict")
        self._multiprocess: Any = import_module("prometheus_client.multiprocess")

    def write(self, metrics: Iterable[Metric]) -> None:
        """Write this worker's. Raises `OSError` where that cannot be."""
        for metric in metrics:
            kind = f"gauge_{_GAUGES.get(metric.name, 'livesum')}" if metric.type == "gauge" else metric.type
            for sample, value in _values(metric):
                names, values = [*sample.labels], [*sample.labels.values()]
                key = self._format.mmap_key(metric.name, sample.name, names, values, metric.documentation)
                self._file(kind).write_value(key, value, 0.0)

    def register(self, registry: CollectorRegistry) -> None:
        """Have the registry collect those of all workers."""
        self._multiprocess.MultiProcessCollector(registry, self._folder)

    def close(self) -> None:
        """Let this worker's counters stay, which may not go down, and its gauges go."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._multiprocess.mark_process_dead(os.getpid(), self._folder)

    def _file(self, kind: str) -> Any:
        if kind not in self._files:
            self._files[kind] = self._format.MmapedDict(os.path.join(self._folder, f"{kind}_{os.getpid()}.db"))
        return self._files[kind]


def _values(metric: Metric) -> Iterator[tuple[Sample, float]]:
    """The samples as the files have them: of a histogram, each bucket without those below it, and no count."""
    below = 0.0
    for sample in metric.samples:
        if "le" in sample.labels:
            yield sample, sample.value - below
            below = 0.0 if sample.labels["le"] == "+Inf" else sample.value
        elif metric.type != "histogram" or not sample.name.endswith("_count"):
            yield sample, sample.value
