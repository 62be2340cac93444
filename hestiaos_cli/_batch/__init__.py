"""Run a file of inputs, several at a time, into a file of results from which it can be resumed."""

from hestiaos_cli._batch.inputs import Item, count_items, read_items
from hestiaos_cli._batch.progress import Progress, duration
from hestiaos_cli._batch.results import FAILED, ResultFile, ResultPipe, Results, has_failed
from hestiaos_cli._batch.runner import Runner, Work

__all__ = [
    "FAILED",
    "Item",
    "Progress",
    "ResultFile",
    "ResultPipe",
    "Results",
    "Runner",
    "Work",
    "count_items",
    "duration",
    "has_failed",
    "read_items",
]
