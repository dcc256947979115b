"""Options as a caller gives them: one whole number, one number or one name, or an OptionError."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.errors import OptionError


def whole(name: str, value: Any, least: int = 0) -> int:
    """Read a whole number: a count, a seed.

    Raises
    ------
    OptionError
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name}={value!r}; expected a whole number of at least {least}.")
    return int(value)


def number(name: str, value: Any, least: float = -math.inf) -> float:
    """Read one real number; infinity is one, NaN is none.

    Raises
    ------
    OptionError
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not float(value) >= least:
        low = "" if least == -math.inf else f" of at least {least:g}"
        raise OptionError(f"{name}={value!r}; expected one number{low}.")
    return float(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """Read one of several names.

    Raises
    ------
    OptionError
    """
    if not isinstance(value, str) or value not in choices:
        raise OptionError(f"{name}={value!r}; expected one of {list(choices)}.")
    return value
