"""Shared by all tests. Its presence puts `tests/` on the path, so that `from worlds import CASES` works everywhere."""

import os
import tempfile

from hypothesis import HealthCheck, settings

# Derandomized: the same commit gives the same verdict on every machine; no deadline, for CI's cores are shared.
settings.register_profile(
    "sdn", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sdn")

_cache = tempfile.TemporaryDirectory(prefix="sdn-tests-")


def pytest_configure() -> None:
    """What tests load stays out of the user's own cache; before any of them is imported, for some keep what they find
    in the environment."""
    os.environ["XDG_CACHE_HOME"] = _cache.name


def pytest_unconfigure() -> None:
    """Nothing of it stays."""
    _cache.cleanup()
