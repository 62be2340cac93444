"""How many examples Hypothesis tries: a fixed number by default, a night's worth with `--hypothesis-profile=deep`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "default", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_SLOW_MACHINE
)
settings.register_profile("deep", max_examples=100_000, deadline=None, suppress_health_check=_SLOW_MACHINE)
settings.load_profile("default")
