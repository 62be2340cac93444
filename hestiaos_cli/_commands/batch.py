"""`hestiaos batch`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure, one_line, tell
from hestiaos_cli._input import open_stdin
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._options import CONNECTION
from hestiaos_cli._output import print_json, remark_echo
from hestiaos_cli._settings import Settings
from hestiaos_cli._standard_streams import OutputFailed
from hestiaos_cli._terminal import dim, is_terminal

if TYPE_CHECKING:
    from hestiaos import BatchFailure
    from hestiaos_cli._batch import Item, Progress, Results, Work

__all__ = ["command"]

_RETRIES = 3
_INTERRUPTED = "waiting for the requests under way; Ctrl-C again does not wait"
_RESUMED = "; the same command goes on"
_LIMIT = 256  # a server keeps its results for repeats, the embedded one its newest 10,000


@make_command(
    "batch",
    takes=CONNECTION | {"json"},
    examples=(
        "hestiaos batch in.txt -o out.jsonl",
        "cat *.txt | hestiaos batch -n 32",
    ),
)
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file of results; else stdout."
)
@click.option(
    "--concurrency",
    "-n",
    type=WholeNumber(1, _LIMIT),
    metavar="N",
    default=8,
    show_default=True,
    help="How many at a time.",
)
@click.option("--retry-failed", is_flag=True, help="Run those again that failed before.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.pass_obj
def command(
    settings: Settings, /, file: Path | None, output: Path | None, concurrency: int, retry_failed: bool, fail_fast: bool
) -> None:
    """Run each line of a file, and resume after an interruption.

    A line of FILE, or of standard input, is a text, or a JSON object: {"input": "..."}, and where wanted an "id",
    "session_id", "agent_id", "mode_hint" and "timeout_ms". The first line decides which of both all lines are. The
    results are JSON lines in the same order.

    After an interruption the same command goes on where it stopped: nothing is run twice, nothing is left out. A block
    of governance is a result; the exit status is 0 where every input has one.
    """
    from hestiaos_cli._batch import (
        FAILED,
        Progress,
        ResultFile,
        ResultPipe,
        Runner,
        count_items,
        has_failed,
        read_items,
    )
    from hestiaos_cli._clients import open_client

    if retry_failed and output is None:
        raise click.UsageError("--retry-failed looks into the results of --output FILE, which is missing")
    if file is not None and output is not None and output.exists() and file.samefile(output):
        raise click.UsageError("the results cannot go into the file of the inputs")
    with ExitStack() as stack:
        source, lines = _open(settings, stack, file)
        total = None
        if lines.seekable():
            total = count_items(lines, source)
            lines.seek(0)
        results: Results = stack.enter_context(ResultPipe() if output is None else ResultFile(output))
        client = stack.enter_context(open_client(settings, connections=concurrency))
        progress = Progress(total, drawn=output is not None or not is_terminal(sys.stdout))
        runner = Runner(
            client,
            results,
            concurrency=concurrency,
            retries=_RETRIES if settings.retries is None else settings.retries,
            fail_fast=fail_fast,
            on_result=lambda record: progress.advance(failed=has_failed(record)),
            on_repeat=lambda failure: _say_what_waits(settings, progress, failure),
            on_interrupt=lambda: progress.say_at_once(_INTERRUPTED),
        )
        works = _works(read_items(lines, source), results, progress, retry_failed=retry_failed)
        try:
            complete = runner.run(works)
            if complete:
                results.complete()
        except OutputFailed:  # the reader has ended
            raise
        except BaseException as error:
            resumed = output is not None and isinstance(error, KeyboardInterrupt)
            _summarize(results.decisions, progress, as_json=False, hint=_RESUMED if resumed else "")
            raise
        finally:
            progress.clear()
        _summarize(results.decisions, progress, as_json=settings.json and output is not None)
        remark_echo(settings)
        failed = results.decisions[FAILED]
    if failed or not complete:
        again = "; --retry-failed runs those again" if complete else _RESUMED
        hint = "" if output is None else again
        raise Failure(f"{failed:,} of the inputs failed{hint}", code="BATCH_FAILED")


def _open(settings: Settings, stack: ExitStack, file: Path | None) -> tuple[str, IO[bytes]]:
    """Return the name of the inputs in errors, and their lines."""
    if file is not None and str(file) != "-":
        return str(file), stack.enter_context(file.open("rb"))
    if file is None and cast("object", sys.stdin) is not None and sys.stdin.isatty():
        raise click.UsageError("the inputs are missing: name a file, or pipe them in")
    return "standard input", cast("IO[bytes]", open_stdin(settings, "the inputs"))


def _works(items: Iterator[Item], results: Results, progress: Progress, *, retry_failed: bool) -> Iterator[Work]:
    """Yield the inputs that have to be run."""
    from hestiaos_cli._batch import Work

    for item in items:
        key = results.key_for(item, retry_failed=retry_failed)
        if key is None:
            progress.skip()
        else:
            yield Work(item, key)


def _say_what_waits(settings: Settings, progress: Progress, failure: BatchFailure[Work]) -> None:
    assert failure.seconds is not None, "it is repeated"
    if settings.verbose:
        progress.clear()
        waits = "all requests wait" if failure.pauses_all else "repeated in"
        tell(dim(one_line(f"* {failure.error}: {waits} {failure.seconds:.1f} s")))
    if failure.pauses_all:
        progress.pause(failure.seconds)


def _summarize(decisions: Counter[str], progress: Progress, *, as_json: bool, hint: str = "") -> None:
    """Report how many inputs have each decision, and how many failed."""
    from hestiaos_cli._batch import duration

    progress.clear()
    if as_json:
        print_json({"done": decisions.total(), "decisions": dict(decisions), "seconds": round(progress.seconds, 3)})
        return
    summary = ", ".join(f"{count:,} {name}" for name, count in sorted(decisions.items()))
    done = f"{decisions.total():,} inputs done in {duration(progress.seconds)}"
    tell(one_line(f"{done}{': ' if summary else ''}{summary}{hint}"))
