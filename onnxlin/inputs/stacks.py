"""Instances stacked on axis 0, brought to what a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.picture import guess_geometry
from onnxlin.inputs.raw import Arrays, first
from onnxlin.section.numbers import fitted


def fit_stacks(
    file: Path,
    found: Mapping[str, Array],
    inputs: Mapping[str, TensorType],
    taken: Arrays,
) -> tuple[dict[str, Array], tuple[str, ...], bool | None]:
    """Bring stacks to the shapes and types of the inputs; what is no input is told when fed.

    Parameters
    ----------
    file : path
        Where they come from, for messages.
    found : {name: array (N, ...)}
    inputs : {input name: TensorType}
    taken : Arrays
        How their numbers are taken.

    Returns
    -------
    {name: array}
    tuple of str
        What was done.
    bool or None
        Whether they were taken as pixels; None where that was no question.

    Raises
    ------
    InputError
    """
    stacks, said, raw = dict[str, Array](), list[str](), list[bool | None]()
    for name, stack in found.items():
        kind = inputs.get(name)
        stacks[name] = _fit(file, stack, kind)
        if kind is None or not kind.elem_type:
            continue
        # Of several inputs those that are no pictures have nothing to be prepared.
        if len(inputs) == 1 or _is_picture(kind, stacks[name]):
            stacks[name], done, pixels = taken(file, name, kind, stacks[name], stack=True)
            said += done
            raw.append(pixels)
        stacks[name] = fitted(f"Input {name!r} in {file.name}", stacks[name], kind.dtype)
    return stacks, tuple(said), first(raw)


def _is_picture(kind: TensorType, stack: Array) -> bool:
    shape = stack.shape[1:] if kind.shape is None or stack.ndim > len(kind.shape) else stack.shape
    return guess_geometry((1, *shape[-3:])) is not None


def _fit(file: Path, stack: Array, kind: TensorType | None) -> Array:
    """Give rows of numbers the shape of the input, where one instance has just as many."""
    if not stack.ndim:
        raise InputError(f"{str(file)!r} holds a single number; expected instances on axis 0.")
    shape = None if kind is None else kind.shape
    if shape is None or stack.ndim in (len(shape), len(shape) + 1):
        return stack
    sizes = [n if isinstance(n, int) else (1 if i == 0 else None) for i, n in enumerate(shape)]
    known = [n for n in sizes if n is not None]
    if len(known) == len(sizes) and prod(known) == prod(stack.shape[1:]):
        return stack.reshape(len(stack), *known)
    raise InputError(
        f"{str(file)!r} holds {stack.shape[0]} instances of shape {stack.shape[1:]}; the model "
        f"takes {kind}. Stack instances of that shape on axis 0."
    )
