"""Settings of every ring."""

from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: time is bounded by the test's own timeout.
settings.register_profile("weir", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weir")
