"""Rows of numbers that are gone through again, and not all in memory meanwhile."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.errors import FileError

HELD = 2**22
"""Bytes up to which no file is made."""
BLOCK = 2**12
"""Rows that are read at once."""


class Spool:
    """Rows of float64 in a file without a name, which is gone with this: few ones in memory.

    Parameters
    ----------
    width : int
        Numbers of a row.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._file: Any = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115  # held as long as this is

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Put rows ``(n, width)`` behind those that are there.

        Raises
        ------
        FileError
            There is no room for them in the folder of temporary files.
        """
        try:
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(rows, np.float64).tobytes())
        except OSError as error:
            raise FileError(
                f"Cannot keep numbers in a temporary file: {error.strerror or error}. Make room in "
                f"{tempfile.gettempdir()!r}, or set TMPDIR to another folder."
            ) from error

    def __iter__(self) -> Iterator[npt.NDArray[np.float64]]:
        """Give all rows in their order, a block ``(n, width)`` at a time."""
        at, size = 0, BLOCK * self._width * 8
        while True:
            self._file.seek(at)
            data = self._file.read(size)
            if not data:
                return
            at += len(data)
            yield np.frombuffer(data, np.float64).reshape(-1, self._width)

    def __del__(self) -> None:
        # No block has an end that is also its: it goes with the last that knows it.
        self._file.close()
