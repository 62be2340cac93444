"""Makes `trio_peer` importable by the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # with importlib's mode a test folder is not importable by itself
