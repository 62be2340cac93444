"""What lets the test of the corpus import the targets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # with importlib's mode a test folder is not importable by itself
pytest.register_assert_rewrite(
    "cutting",
    "fuzz_client",
    "fuzz_completion",
    "fuzz_models",
    "fuzz_output",
    "fuzz_response",
    "fuzz_run_stream",
    "fuzz_server",
    "fuzz_sse",
)
