"""Where and with what the figures were made."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_OURS = ("hestiaos", "h11", "httpx", "httpcore", "anyio", "trio", "attrs", "click", "msgspec")
_PEERS = ("openai", "anthropic", "httpx-sse", "sseclient-py", "mcp", "httpx2", "aiohttp", "pydantic")
_SERVERS = ("fastapi", "starlette", "uvicorn", "sse-starlette", "httptools", "uvloop")
_CPU_INFO = Path("/proc/cpuinfo")


def machine() -> str:
    """The processor, its cores, and the system."""
    return f"{_processor()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}"


def python() -> str:
    """The interpreter."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def versions() -> str:
    """Of everything that took part."""
    found = ", ".join(f"{name} {_version(name)}" for name in (*_OURS, *_PEERS, *_SERVERS))
    return f"{found}; the published client is hestiaos 1.0.0"


def _processor() -> str:
    named = re.search(r"model name\s*: (.+)", _CPU_INFO.read_text()) if _CPU_INFO.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
