"""As `serve_fastapi`, with the compiled parts of `uvicorn[standard]`: httptools and uvloop."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.peers import serve_fastapi


def main(say: Callable[[str], None]) -> None:
    """Serve until killed; `say` is told the base URL."""
    serve_fastapi.main(say, http="httptools", loop="uvloop")
