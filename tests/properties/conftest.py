"""How many examples Hypothesis tries: a fixed number, or a night's worth with `--hypothesis-profile=deep`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

_SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "fixed", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_SLOW_MACHINE
)
settings.register_profile("deep", max_examples=100_000, deadline=None, suppress_health_check=_SLOW_MACHINE)


def pytest_configure(config: pytest.Config) -> None:
    # By now Hypothesis has loaded the profile that was asked for, whichever comes first.
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("fixed")
