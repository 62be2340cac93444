"""Execute many inputs through one client: `batch` yields their results one by one, with threads or on an event loop.

`_schedule` decides, without I/O, how many calls may be in progress, in which order results are returned, and which
calls wait after a refusal. `_threads` and `_tasks` make the calls.
"""

from hestiaos.batches._batch import batch
from hestiaos.batches._failures import BatchFailure
from hestiaos.batches._results import BatchResult
from hestiaos.batches._tasks import AsyncBatch
from hestiaos.batches._threads import Batch

__all__ = ["AsyncBatch", "Batch", "BatchFailure", "BatchResult", "batch"]


def __dir__() -> list[str]:
    return sorted(__all__)
