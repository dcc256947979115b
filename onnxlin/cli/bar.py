"""A progress bar: by rich where it is installed, else the plain line of `screen.Progress`."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from onnxlin.cli.screen import Progress
from onnxlin.texts import shown


class Bar:
    """A bar on stderr, on a terminal only: a context manager, called with (done, total, what)."""

    def __init__(self, what: str) -> None:
        self._plain = Progress(what)
        self._rich = _rich_bar() if sys.stderr.isatty() else None
        self._task: Any = None

    def __enter__(self) -> Bar:
        if self._rich is not None:
            self._rich.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
        self._plain.__exit__(kind, error, trace)

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Show how far the work is, and what is being done."""
        if self._rich is None:
            self._plain(done, total)
            return
        if self._task is None:
            self._task = self._rich.add_task("", total=total)
        self._rich.update(self._task, completed=done, total=total, description=shown(what))


def _rich_bar() -> Any:
    """Return a bar that vanishes when it stops; None where rich is not installed."""
    try:
        from rich.console import Console  # an extra
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left
    except ImportError:
        return None
    text = TextColumn("{task.description}", markup=False)
    console = Console(file=sys.stderr, markup=False, emoji=False)
    return Progress(
        text, BarColumn(), MofNCompleteColumn(), Left(), console=console, transient=True
    )
