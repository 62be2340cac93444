"""Tests; `tests.support` holds what several of them share.

With `HESTIAOS_TEST_HTTP=httpx2` in the environment httpx is as good as not installed, so that our clients stand on
httpx2, and the same tests run over it.
"""

import os
import sys

if os.environ.get("HESTIAOS_TEST_HTTP") == "httpx2":
    sys.modules["httpx"] = None  # type: ignore[assignment]  # Python's own way to say that it cannot be imported
