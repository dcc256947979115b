"""How many pieces a segment or patch may fall into before its search gives up."""

from __future__ import annotations

from onnxlin.errors import OptionError, RegionError

PIECES = 100_000
# From so many parts of a cell on it is told how many there will be.
SURE = 1000


class Tally:
    """Counts the cells found so far: each of them holds one piece at least.

    Parameters
    ----------
    limit : int
        Of pieces.

    Raises
    ------
    OptionError
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise OptionError(f"pieces={limit}; expected at least 1.")
        self.limit = limit
        self.count = 1

    def restart(self) -> None:
        """Begin with one cell."""
        self.count = 1

    def add(self, more: int) -> None:
        """Count cells.

        Raises
        ------
        RegionError
            There are more than the limit allows.
        """
        self.count += more
        if self.count > self.limit:
            raise self._over(f"More than {self.limit:,} pieces")

    def expect(self, parts: int, share: float) -> None:
        """Stop in time: so many parts lie in this share of a cell, and the rest is like it.

        Raises
        ------
        RegionError
        """
        if parts >= SURE and share > 0 and parts / share > 2 * self.limit:
            raise self._over(f"About {parts / share:,.0f} pieces, judged by the first {share:.2%},")

    def _over(self, found: str) -> RegionError:
        return RegionError(
            f"{found} lie between these inputs, where pieces={self.limit:,} allows no more. "
            "Raise pieces= (--pieces), take inputs that are closer together, or ask for sampled "
            "gradients (onnxlin.readings.sampled_gradients)."
        )
