"""Printing: plain text, by rich where it is installed and stdout is a terminal, or JSON.

All that a command prints goes through here, on stderr as well, and names of a stranger's model come
out as `onnxlin.texts.shown` writes them: a terminal would obey what is in them.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

from onnxlin.texts import shown, shown_lines

Cell = str | int | float | None
NUMERIC = re.compile(r"[-+]?[\d.,]+(e[-+]\d+)?%?|[-+]?(inf|nan)|-")
PATIENCE = 1.0  # seconds of work before progress is shown


class Screen:
    """Where a command prints.

    Parameters
    ----------
    json : bool
        Print only `document`; all other calls do nothing.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self._console = None if json else _console(sys.stdout)

    def document(self, data: Any) -> None:
        """Print the one JSON document; NaN and infinity become null."""
        if self.json:
            print(json.dumps(_finite(data), indent=2, allow_nan=False))

    def line(self, text: str = "") -> None:
        """Print one line, whatever names stand in it."""
        self.lines(shown(text))

    def lines(self, text: str) -> None:
        """Print lines: a text of our own, whose names are quoted."""
        if self._console:
            self._console.print(shown_lines(text), highlight=False, soft_wrap=True)
        elif not self.json:
            say(text)

    def heading(self, text: str) -> None:
        """Print an empty line and a heading."""
        self.line()
        if self._console:
            self._console.print(shown(text), style="bold", highlight=False)
        else:
            self.line(text)

    def verdict(self, ok: bool | str, text: str) -> None:
        """Print a line that begins with PASS, FAIL or another word, "not decided"."""
        word = ok if isinstance(ok, str) else "PASS" if ok else "FAIL"
        if self._console:
            colours = {"PASS": "green", "FAIL": "red"}
            style = f"bold {colours.get(word, 'yellow')}"
            self._console.print(word, style=style, end="")
        elif not self.json:
            print(word, end="")
        self.line(f"  {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print a table; numbers to the right."""
        if self.json:
            return
        columns = [shown(column) for column in columns]
        cells = [[number(cell) for cell in row] for row in rows]
        right = [all(NUMERIC.fullmatch(row[i]) for row in cells) for i in range(len(columns))]
        if self._console:
            # On a narrow terminal columns move together before words are broken.
            widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
            tight = sum(widths) + 3 * len(widths) > self._console.width
            self._console.print(_rich_table(columns, cells, right, 0 if tight else 1))
        else:
            _plain_table(columns, cells, right)


def number(cell: Cell) -> str:
    """Write a value for people."""
    if cell is None:
        return "-"
    return f"{cell:.5g}" if isinstance(cell, float) else shown(str(cell))


def say(text: str, *, to_errors: bool = False) -> None:
    """Print lines to stdout, or to stderr: letters that the stream does not have as escapes."""
    stream = sys.stderr if to_errors else sys.stdout
    coding = getattr(stream, "encoding", None) or "utf-8"
    print(shown_lines(text).encode(coding, "backslashreplace").decode(coding), file=stream)


def percent(share: float | None) -> str:
    """Write a fraction as a percentage."""
    return "-" if share is None else f"{share:z.1%}"


def _plain_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    widths = [max(len(row[i]) for row in [columns, *cells]) for i in range(len(columns))]
    for row in [columns, *cells]:
        parts = (
            cell.rjust(width) if end else cell.ljust(width)
            for cell, width, end in zip(row, widths, right, strict=True)
        )
        say("  " + "  ".join(parts).rstrip())


def _rich_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], padding: int
) -> Any:
    from rich import box  # an extra
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
    for column, end in zip(columns, right, strict=True):
        table.add_column(
            Text(column), justify="right" if end else "left", overflow="fold", no_wrap=end
        )
    for row in cells:
        # Node names may hold brackets, which are markup to rich unless wrapped.
        table.add_row(*(Text(cell) for cell in row))
    return table


def _console(stream: Any) -> Any:
    """A rich console if one is of use here, else None."""
    if not stream.isatty():
        return None
    try:
        from rich.console import Console  # an extra
    except ImportError:
        return None
    # Neither [red] nor :warning: in a name is markup.
    return Console(file=stream, markup=False, emoji=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


class Progress:
    """Progress on stderr: on a terminal only, and only for work that takes over a second.

    A context manager that is called with (done, total). What comes ``then`` is timed by itself; it
    has begun where less is done than before.
    """

    def __init__(self, what: str, then: str = "") -> None:
        self.what, self._then, self._done = what, then, 0
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def next(self) -> None:
        """Begin with what comes then."""
        if self._then:
            self.what, self._then, self._start = self._then, "", time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is."""
        if done < self._done:
            self.next()
        self._done = done
        taken = time.monotonic() - self._start
        if not self._terminal or taken < PATIENCE:
            return
        left = f", {taken * (total - done) / done:.0f} s left" if done else ""
        text = f"\r\033[K{shown(self.what)}: {done} of {total}{left}"
        print(text, end="", file=sys.stderr, flush=True)
        self._shown = True
