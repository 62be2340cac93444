"""`http` is the library that our clients stand on in this run: httpx, or httpx2 where `tests` says so."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["NAME", "http"]

NAME = os.environ.get("HESTIAOS_TEST_HTTP", "httpx")

http: Any = import_module(NAME)
