"""The embedded platform as `hestiaos serve` serves it, without a model's pace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio

from hestiaos_local import Platform, serve


def main(say: Callable[[str], None]) -> None:
    """Serve until killed; `say` is told the base URL."""
    with Platform() as platform:
        anyio.run(partial(serve, platform, port=0, token_delay=0, on_listening=say))
