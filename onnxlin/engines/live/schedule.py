"""Where the lines of every tensor lie while a sweep goes on: all in one block of memory.

Which cotangents are there at once, and how many lines they take, is known before the first row is
swept. So each has its place in one arena, which serves every block of rows: the first touch of
fresh memory costs more than many a product.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from onnxlin.engines.live.links import Link
from onnxlin.engines.live.merging import Merged
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.pulls import Added, Masked, Moved, Pull


@dataclass(eq=False)
class Buffer:
    """Lines of cotangents, from the link that makes them to the last one that reads them.

    Parameters
    ----------
    lines : int
    born, dies : int
        Numbers of links.
    start : int
        First line in the arena.
    tensors : int
        How many have these very cotangents.
    """

    lines: int
    born: int
    dies: int = -1
    start: int = 0
    tensors: int = 1


@dataclass(frozen=True, eq=False)
class Send:
    """What a link sends to one of its inputs.

    Parameters
    ----------
    step : Pull
    into : Buffer or None
        None stands for W.
    fresh : bool
        Whether nothing has arrived there.
    copied : Buffer or None
        What has arrived there, where another tensor has it too: it is copied first.
    """

    step: Pull
    into: Buffer | None
    fresh: bool
    copied: Buffer | None = None


@dataclass(frozen=True, eq=False)
class Turn:
    """A link with the cotangents of its output, and what it sends."""

    link: Link
    arrived: Buffer
    sends: tuple[Send, ...]


@dataclass(eq=False)
class Schedule:
    """The turns of a sweep, and the buffers of what begins and ends it.

    Parameters
    ----------
    pulls : sequence of (Link, list of (tensor, Pull))
        The last link first.
    places : {tensor: Places}
    outputs : collection of str
    """

    pulls: Sequence[tuple[Link, list[tuple[str, Pull]]]]
    places: Mapping[str, Places]
    outputs: Collection[str]
    begins: dict[str, Buffer] = field(init=False)
    ends: dict[str, Buffer] = field(init=False)
    turns: list[Turn] = field(init=False)
    lines: int = field(init=False)

    def __post_init__(self) -> None:
        """Go through the sweep without any numbers."""
        self._buffers: list[Buffer] = []
        held = [name for name in self.outputs if name in self.places]
        waiting = {name: self._take(name, 0) for name in held}
        self.begins, self.turns = dict(waiting), []
        for now, (link, terms) in enumerate(self.pulls):
            arrived = waiting.pop(link.output, None)
            if arrived is not None:
                sends = tuple(self._sends(terms, arrived, waiting, now))
                self.turns.append(Turn(link, arrived, sends))
                _leave(arrived, now)
        self.ends = waiting
        for left in waiting.values():
            left.dies = len(self.pulls)
        self.lines = _arrange(self._buffers)

    @property
    def copied(self) -> int:
        """Lines that are copied, or added, unchanged."""
        found = sum(end.lines for end in self.ends.values())
        for send in (send for turn in self.turns for send in turn.sends):
            found += 0 if send.copied is None else send.copied.lines
            moves = send.step.moves if isinstance(send.step, Added) else (send.step,)
            found += sum(len(move.source) for move in moves if isinstance(move, Moved))
        return found

    @property
    def charged(self) -> int:
        """Lines that are weighed with a bias."""
        return sum(turn.arrived.lines * len(turn.link.charges) for turn in self.turns)

    def _sends(
        self, terms: list[tuple[str, Pull]], arrived: Buffer, waiting: dict[str, Buffer], now: int
    ) -> list[Send]:
        found = []
        for name, step in terms:
            alone = len(terms) == 1 and arrived.tensors == 1
            there = waiting.get(name)
            if isinstance(step, Merged) and step.columns is not None:
                found.append(Send(step, None, True))
            elif there is None and isinstance(step, Moved) and step.same:
                # The cotangents of the output are those of the input.
                arrived.tensors += 1
                waiting[name] = arrived
            elif there is None and isinstance(step, Masked) and alone:
                # The buffer changes hands, with some lines put to 0.
                arrived.tensors += 1
                waiting[name] = arrived
                found.append(Send(step, arrived, True))
            elif there is None:
                waiting[name] = self._take(name, now)
                found.append(Send(step, waiting[name], True))
            elif there.tensors > 1:
                waiting[name] = self._take(name, now)
                found.append(Send(step, waiting[name], False, there))
                _leave(there, now)
            else:
                found.append(Send(step, there, False))
        return found

    def _take(self, name: str, now: int) -> Buffer:
        self._buffers.append(Buffer(len(self.places[name]), now))
        return self._buffers[-1]


def _leave(buffer: Buffer, now: int) -> None:
    """One tensor less has these cotangents."""
    buffer.tensors -= 1
    if not buffer.tensors:
        buffer.dies = now


def _arrange(buffers: Sequence[Buffer]) -> int:
    """Give each the first place that is free as long as it lasts, the largest first.

    Returns
    -------
    int
        Lines that the arena has.
    """
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda each: -each.lines):
        beside = [b for b in placed if b.born <= buffer.dies and buffer.born <= b.dies]
        for other in sorted(beside, key=lambda each: each.start):
            if other.start - buffer.start >= buffer.lines:
                break
            buffer.start = max(buffer.start, other.start + other.lines)
        placed.append(buffer)
    return max((buffer.start + buffer.lines for buffer in buffers), default=0)
