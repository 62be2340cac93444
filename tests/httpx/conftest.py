"""The faulty peer of the conformance tests serves here too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# With importlib's mode a test folder is not importable by itself.
sys.path.insert(0, str(Path(__file__).parent.parent / "conformance" / "support"))
pytest.register_assert_rewrite("peer", "wire")
