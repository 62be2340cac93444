"""The published client 1.0.0: fetched as a wheel, and unpacked beside this one, whose name it has."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

_RELEASE = "hestiaos==1.0.0"
_CACHE = Path(__file__).parent / ".cache" / _RELEASE


class PublishedMissing(Exception):
    """It could not be fetched; the message says why."""


@cache
def published_client() -> Path:
    """The folder to put on a process's path. Raises `PublishedMissing`."""
    if not _CACHE.exists():
        with TemporaryDirectory() as folder:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _RELEASE]
            done = subprocess.run(fetch, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["without a word"])[-1]
                raise PublishedMissing(f"pip cannot fetch {_RELEASE}: {reason}")
            with ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                wheel.extractall(_CACHE)
    return _CACHE
