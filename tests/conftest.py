"""Hypothesis profiles and the fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.installed import absent, lack

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

# A run in CI must mean the same thing twice: same examples, no clock. Fewer are for a second run of
# the same tests by another BLAS kernel.
for name, count in (("ci", 20), ("few", 12)):
    settings.register_profile(
        name,
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=True,
        suppress_health_check=SLOW,
    )
settings.register_profile(
    "long", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=SLOW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Skip a test that ends with the runtime saying that it lacks an operator or a kernel."""
    try:
        return (yield)
    except Exception as error:
        if why := lack(error):
            absent(why)
        raise


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of trained and hand-made models that the project ships."""
    return Path(__file__).parent.parent / "fixtures"
