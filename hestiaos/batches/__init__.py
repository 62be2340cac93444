"""Many inputs through one client: `batch` gives their results one by one, for threads and for event loops.

What decides is in `_schedule`, without I/O: how many may be under way, in which order results are given, who waits
after a refusal. `_threads` and `_tasks` carry it out.
"""

from hestiaos.batches._batch import batch
from hestiaos.batches._failures import BatchFailure
from hestiaos.batches._results import BatchResult
from hestiaos.batches._tasks import AsyncBatch
from hestiaos.batches._threads import Batch

__all__ = ["AsyncBatch", "Batch", "BatchFailure", "BatchResult", "batch"]


def __dir__() -> list[str]:
    return sorted(__all__)
