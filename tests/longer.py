"""What the run that decides whether a change lands leaves to the long profile."""

from __future__ import annotations

import os

import pytest

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
with_time = pytest.mark.skipif(not LONG, reason="takes a minute: HYPOTHESIS_PROFILE=long")
