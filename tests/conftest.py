"""Shared by all tests. Its presence puts `tests/` on the path, so that `from worlds import CASES` works everywhere."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Derandomized: the same commit gives the same verdict on every machine; no deadline, for CI's cores are shared.
settings.register_profile(
    "sdn", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sdn")


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests load stays out of the user's own cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
