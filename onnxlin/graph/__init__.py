"""The graph that all else reads: nodes, tensors, stored weights, and the graphs inside nodes."""

from onnxlin.graph.graph import Array, Graph, Node, TensorType, is_float

__all__ = ["Array", "Graph", "Node", "TensorType", "is_float"]
