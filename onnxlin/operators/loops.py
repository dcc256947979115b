"""What can be told of a loop from its body alone."""

from __future__ import annotations

from onnxlin.graph import Node


def is_open_ended(node: Node) -> bool:
    """Whether a Loop works out in its body if it goes on: anything but the condition it was given.

    Its body is opened as it ran at x, without what decided how long that is.
    """
    if node.op_type != "Loop" or node.domain:
        return False
    body = node.attributes["body"]
    made = {name: inner for inner in body.node for name in inner.output}
    name = body.output[0].name
    while name in made and made[name].op_type == "Identity":
        name = made[name].input[0]
    fixed = {tensor.name for tensor in body.initializer} | {body.input[1].name}
    return name not in fixed and not (name in made and made[name].op_type == "Constant")
