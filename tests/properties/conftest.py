"""How many examples Hypothesis tries: a few, or as many as `--hypothesis-profile=` says.

By default 40, always the same; 200, always the same, with `ci`; 100,000 others each time, a night's worth, with `deep`.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

_SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

for _name, _examples in {"few": 40, "ci": 200}.items():
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, derandomize=True, suppress_health_check=_SLOW_MACHINE
    )
settings.register_profile("deep", max_examples=100_000, deadline=None, suppress_health_check=_SLOW_MACHINE)


def pytest_configure(config: pytest.Config) -> None:
    # By now Hypothesis has loaded the profile that was asked for, whichever comes first.
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("few")
