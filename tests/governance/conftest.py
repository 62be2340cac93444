"""How many examples Hypothesis tries: 40, always the same, unless `--hypothesis-profile=` says otherwise."""

from __future__ import annotations

from tests.properties.conftest import pytest_configure

__all__ = ["pytest_configure"]
