"""Write docs/command_line.md from the parsers that run.

python docs/command_line.py > docs/command_line.md
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from onnxlin.cli import arguments, parser

HEAD = """\
# Command line

Written by `python docs/command_line.py`; do not edit it by hand.

The extra `cli` brings what the commands need beside the library: rich, matplotlib, Pillow. Every
command has `--help`, and `--json`, which prints one JSON document and nothing else, as
[Export](readings/export.md) says. In a table the default stands in brackets.

Names in a model are text of whoever made it. Characters that a terminal, a page or a drawing would
obey or not show (escape sequences, marks of direction, letters of no width, line ends) are printed
as escapes, `\\x1b` or `\\u202e`. A name may be typed so as well, at `--inputs`, `--outputs`,
`--shape` and `--class` (`\\x5c` is a backslash, where one stands before such an escape). JSON holds
the names themselves.

Every file is written beside its name and then renamed, so a command that is stopped leaves the
older file whole; pipes and devices such as `/dev/stdout` are written to directly.

Ctrl-C and SIGTERM end a command with one line on stderr, at any moment from its first import on,
and within two seconds where it is inside of onnxruntime. What stdout does not take (it is closed,
its disk is full) is an error; a reader who stops reading, such as `head`, is none. Models and
inputs are files: pipes, devices and `/dev/stdin` fed by a pipe are refused. Commands turn
onnxruntime's telemetry off (`ORT_DISABLE_TELEMETRY`, unless it is set).
"""


def page() -> str:
    """The whole page."""
    commands = _commands(parser())
    lines = [HEAD, *_table(["command", "what it does"], _summary(commands)), ""]
    for command in commands.values():
        lines += [f"## {command.prog}", "", command.description or "", "", *_usage(command), ""]
        for group in command._action_groups:
            lines += _group(group)
    return "\n".join([*lines, *_exit_codes()])


def _commands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def _summary(commands: dict[str, argparse.ArgumentParser]) -> Iterator[list[str]]:
    for command in commands.values():
        anchor = command.prog.replace(" ", "-")
        yield [f"[`{command.prog}`](#{anchor})", _text(command.description)]


def _usage(command: argparse.ArgumentParser) -> list[str]:
    """The command as it is typed: what must be given, and that there is more."""
    given = [_value(a) for a in command._actions if not a.option_strings]
    options = [a for a in command._actions if a.option_strings and a.required]
    needed = [f"{a.option_strings[0]} {_value(a)}" for a in options]
    return ["```text", " ".join([command.prog, *given, *needed, "[options]"]), "```"]


def _group(group: Any) -> list[str]:
    actions = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]
    if not actions and not group.description:
        return []
    title = {"positional arguments": "", "options": "Options"}.get(group.title, group.title)
    about = [_text(group.description), ""] if group.description else []
    rows = [[_option(a), _meaning(a)] for a in actions]
    heading = [f"{title[:1].upper()}{title[1:]}:", ""] if title else []
    table = _table(["option" if title else "argument", "what it is"], rows) if rows else []
    return [*heading, *about, *table, *[""] * bool(rows)]


def _option(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_value(action)}`"
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return ", ".join(f"`{name}{value}`" for name in action.option_strings)


def _value(action: argparse.Action) -> str:
    """What stands for the value, as often as it may be given."""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    name = str(action.metavar or action.dest.upper())
    if action.choices and action.metavar is None:
        name = "|".join(map(str, action.choices))
    if isinstance(action.nargs, int):
        return " ".join([name] * action.nargs)
    return {"+": f"{name} ...", "*": f"[{name} ...]", "?": f"[{name}]"}.get(
        action.nargs or "", name
    )


def _meaning(action: argparse.Action) -> str:
    """The help as argparse would print it, and the default where it does not say it."""
    text = (action.help or "") % {**vars(action)} if action.help else ""
    plain = action.default not in (None, False, [], argparse.SUPPRESS)
    if plain and f"({action.default}" not in text and "(" not in text:
        text += f" ({action.default})"
    return _text(text)


def _exit_codes() -> list[str]:
    found = re.findall(r"^ +(\d+) +(.+)$", arguments.EXIT_CODES, re.MULTILINE)
    return ["## Exit codes", "", *_table(["code", "when"], [list(row) for row in found]), ""]


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("<", r"\<")


def _table(head: list[str], rows: Any) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    print(page().rstrip())
