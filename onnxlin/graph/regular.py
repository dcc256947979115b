"""What a path names, before it is opened: reading a pipe or a device may never end."""

from __future__ import annotations

import os
import stat

from onnxlin.errors import OnnxlinError

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_regular(path: str | os.PathLike[str], what: str, error: type[OnnxlinError]) -> None:
    """Refuse what is there and is no regular file, without opening it.

    Parameters
    ----------
    path : path
        Links are followed. Nothing is said of what is not there.
    what : str
        What the file is to be: "model".
    error : type
        What is raised.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever opens it says why that fails
        return
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), None)
    if kind is not None:
        raise error(
            f"The {what} {os.fspath(path)!r} is {kind}, not a file. Give a file; what comes by a "
            "pipe is saved to one first."
        )
