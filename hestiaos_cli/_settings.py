"""The options that many commands have in common; the command line's, before the command and after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hestiaos_cli._terminal import set_color

if TYPE_CHECKING:
    from hestiaos_cli._server import Server

__all__ = ["Settings"]


class Settings:
    """The common options. An option that was not given is `None`."""

    base_url: str | None = None
    api_key: str | None = None
    profile: str | None = None
    json = False
    field: str | None = None
    local = False
    config: str | None = None
    timeout: float | None = None
    retries: int | None = None
    headers: tuple[str, ...] = ()
    cacert: str | None = None
    insecure = False
    verbose = 0
    color: str | None = None
    exit_codes = False

    def __init__(self, on_command: Callable[[], object] = lambda: None) -> None:
        set_color(None)
        self.given: dict[str, str] = {}
        """The names of the options that were given, and how an error calls each: `base_url`, `--base-url`."""
        self.on_command = on_command
        self.began = time.monotonic()
        self.server: Server | None = None
        """The server of the command's requests, once it was determined."""
        self.echoes = False
        """Whether the echo answers, and the user was not informed yet."""

    @property
    def distinct_statuses(self) -> bool:
        """Whether each kind of failure has its own exit status."""
        return self.exit_codes or os.environ.get("HESTIAOS_EXIT_CODES", "") not in ("", "0")
