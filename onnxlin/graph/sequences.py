"""Sequences at x: lists of tensors, each with a name of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from onnxlin.graph.graph import Node


def element(name: str, k: int) -> str:
    """Name of the k-th tensor of a sequence."""
    return f"{name}[{k}]"


def flattened(node: Node, values: dict[str, Any], whole: dict[str, str]) -> Node:
    """Put the tensors that sequences hold at x in their place among inputs and outputs.

    Parameters
    ----------
    node : Node
    values : dict
        Tensor -> value; gets the tensors in sequences under their `element` names.
    whole : dict
        Gets element -> sequence.
    """
    if not any(isinstance(values.get(name), list) for name in (*node.reads, *node.writes)):
        return node
    sides = [
        tuple(flat for name in names for flat in _held(name, values, whole))
        for names in (node.inputs, node.outputs, node.implicit)
    ]
    return replace(node, inputs=sides[0], outputs=sides[1], implicit=sides[2])


def _held(name: str, values: dict[str, Any], whole: dict[str, str]) -> Iterator[str]:
    value = values.get(name)
    if not isinstance(value, list):
        yield name
        return
    for k, tensor in enumerate(value):
        values[element(name, k)] = tensor
        whole[element(name, k)] = name
        yield element(name, k)
