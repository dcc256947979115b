"""Which hidden tensors have places of a picture, and where a map can be cut at one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from onnxlin.errors import OptionError
from onnxlin.primitives import Conv, LinearMap, Reshape, Shape, Transpose
from onnxlin.program import LinearProgram, Step
from onnxlin.readings.stream.branches import products
from onnxlin.readings.stream.find import shapes_of, single_cuts

LAST, ALL = "last", "all"
LISTED = 12  # names in a message
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # where the channels go


@dataclass(frozen=True)
class Grid:
    """A tensor of ``(1, channels, height, width)`` or ``(1, height, width, channels)``.

    Parameters
    ----------
    tensor : str
    height, width, channels : int
    axis : int
        Of the channels: 1 or 3.
    """

    tensor: str
    height: int
    width: int
    channels: int
    axis: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


def find_grids(program: LinearProgram) -> tuple[Grid, ...]:
    """Tensors with places of a picture that every path from x to the outputs goes through.

    In order, x among them where it is one; the outputs themselves are left out, where a map is
    F(x) once more.
    """
    shapes, last = shapes_of(program), channels_last(program)
    names = [name for name in single_cuts(program) if name not in program.outputs]
    return tuple(_grid(n, shapes[n], n in last) for n in names if _spatial(shapes[n], n in last))


def choose_grids(program: LinearProgram, asked: Iterable[str]) -> tuple[Grid, ...]:
    """The tensors that are asked for: names, "last" or "all".

    Raises
    ------
    OptionError
        A name is no tensor of the map, or the map cannot be cut there; says what can be asked.
    """
    found, shapes = find_grids(program), shapes_of(program)
    by_name = {grid.tensor: grid for grid in found}
    chosen: dict[str, Grid] = {}
    for name in asked:
        # A tensor of that name is what is meant.
        if name in by_name:
            chosen[name] = by_name[name]
        elif name == ALL and name not in shapes and found:
            chosen |= by_name
        elif name == LAST and name not in shapes and found:
            own = last_grid(program, found)
            chosen[own.tensor] = own
        else:
            raise OptionError(f"{_why(program, shapes, name)} {_instead(by_name)}")
    # In the order of the model, whatever was named first.
    return tuple(grid for grid in found if grid.tensor in chosen)


def spread(program: LinearProgram, found: Sequence[Grid], most: int) -> tuple[Grid, ...]:
    """So many tensors at most, at depths apart: the last of each size, `last_grid` among them."""
    hidden = [grid for grid in found if grid.tensor not in program.inputs]
    if not hidden:
        return ()
    own = last_grid(program, tuple(hidden))
    # Behind the last convolution there are pools alone.
    before = hidden[: hidden.index(own) + 1]
    kept = [grid for grid, behind in pairwise(before) if grid.size != behind.size]
    count = min(len(kept), most - 1)
    at = [round((i + 1) * len(kept) / count) - 1 for i in range(count)]
    return (*(kept[i] for i in at), own)


def last_grid(program: LinearProgram, found: tuple[Grid, ...]) -> Grid:
    """The activation of the last convolution: the last of its grid, before places are pooled.

    Without a convolution it is the last of all.
    """
    order = {step.output: i for i, step in enumerate(program.steps)}
    convolved = [step for step in program.steps if _convolves(step)]
    if convolved:
        shape, at = convolved[-1].shape[-2:], order[convolved[-1].output]
        of_it = [g for g in found if g.size == shape and order.get(g.tensor, -1) >= at]
        if of_it:
            return of_it[-1]
    return found[-1]


def channels_last(program: LinearProgram) -> set[str]:
    """Tensors that hold the channels in the last axis.

    ONNX's operators on pictures take channels first. Last they stand where a transposition says so,
    and in what is made of such without another one.
    """
    last: set[str] = set()
    for step in program.steps:
        moves = [_moved(op) for _, op in step.terms]
        inherits = any(name in last for name, _ in step.terms) and TO_FIRST not in moves
        if len(step.shape) == 4 and (TO_LAST in moves or inherits):
            last.add(step.output)
    for step in reversed(program.steps):
        for name, op in step.terms:
            same = op.in_shape == step.shape and step.output in last and _moved(op) is None
            if _moved(op) == TO_FIRST or (same and len(op.in_shape) == 4):
                last.add(name)
    return last


def _moved(op: LinearMap) -> tuple[int, ...] | None:
    """Where a transposition puts the axes; one that moves none but axes of 1 is a reshape."""
    if isinstance(op, Transpose):
        return tuple(op.perm)
    if isinstance(op, Reshape) and len(op.in_shape) == 4 and op.in_shape != op.out_shape:
        return next(
            (p for p in (TO_LAST, TO_FIRST) if _permuted(op.in_shape, p) == op.out_shape), None
        )
    return None


def _permuted(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(shape[axis] for axis in axes)


def _convolves(step: Step) -> bool:
    if len(step.shape) != 4 or prod(step.shape[-2:]) < 2:
        return False
    return any(isinstance(part, Conv) for _, op in step.terms for part in products(op))


def _spatial(shape: Shape, last: bool) -> bool:
    return len(shape) == 4 and shape[0] == 1 and prod(shape[1:3] if last else shape[2:]) > 1


def _grid(name: str, shape: Shape, last: bool) -> Grid:
    if last:
        return Grid(name, shape[1], shape[2], shape[3], 3)
    return Grid(name, shape[2], shape[3], shape[1], 1)


def _why(program: LinearProgram, shapes: Mapping[str, Shape], name: str) -> str:
    """Say why a map cannot be read at a tensor as a picture."""
    if name in (LAST, ALL) and name not in shapes:
        return "There is no hidden tensor with places of a picture that every path goes through."
    if name not in shapes:
        return f"{name!r} is no tensor between the inputs and the outputs of this map."
    if name in program.outputs:
        return f"{name!r} is the output itself: its map is F(x) once more."
    shape = shapes[name]
    if len(shape) != 4 or shape[0] != 1 or name in single_cuts(program):
        return f"{name!r} has shape {shape}, no places of a picture: (1, C, h, w) or (1, h, w, C)."
    return (
        f"{name!r} can't be cut at: some path from x to the outputs goes around it, as a skip "
        "does, and what goes there is neither W_h h nor a bias."
    )


def _instead(by_name: Mapping[str, Grid]) -> str:
    if not by_name:
        return "between(lin, x, start=TENSOR) has the map from any tensor, not as a picture."
    names = [*by_name]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"Ask for 'last', 'all' or any of {names[-LISTED:]}{more}."
