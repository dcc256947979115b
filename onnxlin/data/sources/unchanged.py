"""Files that are to stay as they were while a run reads them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from onnxlin.data.source import changed
from onnxlin.errors import DataError, InputError
from onnxlin.graph.regular import require_regular


@dataclass(frozen=True)
class Unchanged:
    """A file, and its size and time when it was first looked at.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        There is no such file.
    """

    path: Path
    _was: tuple[int, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_regular(self.path, "data set", InputError)
        object.__setattr__(self, "_was", self._now())

    def _now(self) -> tuple[int, int]:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise DataError(
                f"The data {str(self.path)!r} cannot be read: {error.strerror}. Bring it back; a "
                "run that had begun goes on with --resume."
            ) from error
        return found.st_size, found.st_mtime_ns

    def require(self) -> None:
        """Refuse a file that is gone, or that somebody has written since.

        Raises
        ------
        DataError
        """
        if self._now() != self._was:
            raise changed(str(self.path))

    @cached_property
    def digest(self) -> str:
        """Sum of its bytes: sha256."""
        self.require()
        with open(self.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
