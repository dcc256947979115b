"""What ``onnxlin verify`` makes of a failure: a small x, the first node that departs, two files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxlin.cli.bar import Bar
from onnxlin.testing.draw.draw import Drawn
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.run.examine import Finding, fails_alike, hold, place
from onnxlin.testing.run.reproduce import reproducer
from onnxlin.testing.run.shrink import Shrunk, shrink

# So many different failures are each shrunk and written.
MOST = 5
CALLS, SECONDS = 300, 60.0


def failures(findings: Sequence[Finding], subject: Subject, options: Any) -> list[dict[str, Any]]:
    """Describe the failures; those of one node are one, shrunk for the first law that it breaks."""
    alike: dict[str, list[Finding]] = {}
    for found in findings:
        if found.error is not None:
            law, node = place(found.error)
            alike.setdefault(node or law, []).append(found)
    shown = []
    for number, group in enumerate(alike.values(), 1):
        small = _small(group[0], subject, options) if number <= MOST else None
        shown.append(_described(group, small, number, subject, options))
    return shown


def _small(found: Finding, subject: Subject, options: Any) -> Shrunk:
    if options.no_shrink:
        return Shrunk(found.drawn.feeds, 0, complete=False)
    kinds = subject.linearizer(found.mode).graph.inputs
    seconds = min(SECONDS, options.seconds)
    with Bar(f"shrinking x for law {found.law.name!r}") as bar:
        progress = lambda done: bar(done, CALLS, f"shrinking x for law {found.law.name!r}")
        fails = fails_alike(subject, found)
        return shrink(
            found.drawn.feeds, fails, kinds=kinds, calls=CALLS, seconds=seconds, progress=progress
        )


def _described(
    group: Sequence[Finding], small: Shrunk | None, number: int, subject: Subject, options: Any
) -> dict[str, Any]:
    found = group[0]
    assert found.error is not None
    shown: dict[str, Any] = {
        "law": found.law.name,
        "laws": list(dict.fromkeys(f.law.name for f in group)),
        "mode": found.mode,
        "times": len(group),
        "x": found.drawn.name,
        "node": found.error.node,
        "message": found.reason,
        "files": [],
    }
    if small is None:
        return shown
    again = hold(subject, Drawn("", "", small.feeds), found.law, found.mode)
    if again.error is not None:
        shown |= {"node": again.error.node, "message": again.reason}
    size = sum(value.size for value in small.feeds.values())
    shown["shrunk"] = {"calls": small.calls, "entries": small.entries, "size": size,
                       "complete": small.complete}  # fmt: skip
    if not options.no_files:
        shown["files"] = _written(found, small, number, subject, options)
    return shown


def _written(
    found: Finding, small: Shrunk, number: int, subject: Subject, options: Any
) -> list[str]:
    prefix = _prefix(options) + (f"-{number}" if number > 1 else "")
    asked: dict[str, Any] = {"mode": found.mode, "laws": [found.law.name]}
    for name in ("inputs", "outputs", "dtype", "memory", "providers"):
        if getattr(options, name) is not None:
            asked[name] = getattr(options, name)
    if options.engine != "auto":
        asked["engine"] = options.engine
    if options.rounding != "staircase":
        asked["rounding"] = options.rounding
    if options.gates:
        asked["gates"] = dict(options.gates)
    if options.rows is not None:
        rows = subject.rows(small.feeds, found.mode)
        asked["rows"] = None if rows is None else rows.tolist()
    another = "Give another --out, or --no-files."
    return reproducer(prefix, options.model, small.feeds, asked, another)


def _prefix(options: Any) -> str:
    """Read ``--out``: a folder (there, or with a slash at its end), or the start of a name."""
    stem = f"{Path(options.model).stem}.failure"
    if options.out is None:
        return stem
    if options.out.endswith("/") or Path(options.out).is_dir():
        return str(Path(options.out) / stem)
    return str(options.out)
