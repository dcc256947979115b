"""How much memory and time a sandboxed process may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxlin.errors import OptionError
from onnxlin.runtime.amounts import size


@dataclass(frozen=True)
class Sandbox:
    """Limits of a process of its own, for models that are not trusted.

    Parameters
    ----------
    memory : int or str
        Bytes, or text such as "4GiB", that it may take beside what Python and its libraries take.
        Held on Linux; other systems hold it in part or not at all.
    time : float
        Seconds after which it is killed. It is also held to as much processor time on every core.

    Raises
    ------
    OptionError
        A number is not positive.
    """

    memory: int | str = "4GiB"
    time: float = 60.0

    def __post_init__(self) -> None:
        size(self.memory)
        seconds = self.time
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise OptionError(f"time={seconds!r}; expected seconds.")
        if not (0 < seconds < math.inf):
            raise OptionError(f"time={seconds!r}; expected a positive number of seconds.")

    @property
    def bytes(self) -> int:
        """The memory in bytes."""
        return size(self.memory)

    @staticmethod
    def of(asked: bool | Sandbox | None) -> Sandbox | None:
        """Read what an argument ``sandbox=`` was given: True, a `Sandbox`, or None.

        Raises
        ------
        OptionError
            It is none of these.
        """
        if asked is None or asked is False:
            return None
        if asked is True:
            return Sandbox()
        if not isinstance(asked, Sandbox):
            raise OptionError(
                f"sandbox={asked!r}; expected True, or onnxlin.Sandbox(memory, time)."
            )
        return asked
