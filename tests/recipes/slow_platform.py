"""`slow_platform.py STORE SECONDS`: serves a platform whose executions take a while, as a model's do; prints its URL.

It ends with its standard input, so that it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys
import threading

import anyio

from hestiaos import Platform, Store, serve
from hestiaos_local import function_executor
from hestiaos_local.execution import Work


async def main(store: str, seconds: float) -> None:
    async def execute(work: Work) -> str:
        await anyio.sleep(seconds)
        return "done"

    with Platform(store=Store(store), executor=function_executor(execute)) as platform:
        await serve(platform, port=0, on_listening=lambda url: print(url, flush=True))


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    anyio.run(main, sys.argv[1], float(sys.argv[2]))
