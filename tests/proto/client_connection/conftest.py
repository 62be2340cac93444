"""What lets these tests import what they share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # with importlib's mode a test folder is not importable by itself
pytest.register_assert_rewrite("exchanging")
