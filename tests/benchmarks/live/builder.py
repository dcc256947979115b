"""Networks written node by node, whose activations keep a sane size: each is run as it is written.

Batch normalisation is folded into the convolution before it by what a few pictures show.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.benchmarks.live.photo import noise, prepared

Array = np.ndarray[Any, Any]
OPSET = 17
"""The newest that onnx2torch reads."""

PICTURES = 2
"""That the normalisations are taken over."""


def pictures(shape: Sequence[int]) -> Array:
    """Different smooth noise: (pictures, \\*shape)."""
    size = max(shape)
    given = [prepared(noise(size, seed), tuple(shape), "torch") for seed in range(1, PICTURES + 1)]
    return np.concatenate(given)


class Net:
    """A network in the making.

    Parameters
    ----------
    shape : (3, H, H)
    seed : int
        Of the weights.
    sample : array (N, \\*shape), optional
        What it is run at while it is written; by default smooth noise.
    """

    def __init__(self, shape: Sequence[int], seed: int, sample: Array | None = None) -> None:
        self.shape, self.rng = tuple(shape), np.random.default_rng(seed)
        self.values = {"x": pictures(shape) if sample is None else sample}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._arrays: dict[str, Array] = {}

    def weight(self, array: Any) -> str:
        """Keep a constant; return its name. Floats become float32."""
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        self._arrays[name] = array
        return name

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and run it; return the name of its output."""
        name = f"t{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [name], **attributes)
        self.nodes.append(node)
        self.values[name] = self._run(node)
        return name

    def value(self, name: str) -> Array:
        """What a tensor is at the sample."""
        return self.values[name] if name in self.values else self._arrays[name]

    def _run(self, node: onnx.NodeProto) -> Array:
        given = {name: self.value(name) for name in node.input if name}
        kinds = {n: helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in given.items()}
        inputs = [helper.make_tensor_value_info(n, kinds[n], a.shape) for n, a in given.items()]
        output = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)
        model = self._model(helper.make_graph([node], "one", inputs, [output]))
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found: Array = session.run(None, given)[0]
        return found

    @staticmethod
    def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = 9
        return made

    def model(self, output: str) -> onnx.ModelProto:
        """The model of any number of images."""
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *self.shape])
        found = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        return self._model(helper.make_graph(self.nodes, "net", [given], [found], self.weights))

    # Layers

    def conv(
        self, x: str, channels: int, kernel: int, stride: int = 1, *,
        pad: int | None = None, group: int = 1, norm: bool = True,
    ) -> str:  # fmt: skip
        """Convolve with He's weights; with ``norm`` standardise, scale and shift each channel."""
        inside = self.value(x).shape[1] // group
        size = (channels, inside, kernel, kernel)
        weight = self.rng.normal(size=size) * sqrt(2 / prod(size[1:]))
        bias = self.rng.normal(size=channels) / 10
        pads = [(kernel // 2 if pad is None else pad)] * 4
        options = {"pads": pads, "strides": [stride] * 2, "group": group}
        if norm:
            node = helper.make_node("Conv", [x, "raw"], ["y"], **options)
            self._arrays["raw"] = weight.astype(np.float32)
            scale, bias = self._standard(self._run(node))
            weight = weight * scale[:, None, None, None]
        return self("Conv", x, self.weight(weight), self.weight(bias), **options)

    def _standard(self, z: Array) -> tuple[Array, Array]:
        """Factor and shift of every channel, as a trained normalisation's are uneven."""
        axes = (0, *range(2, z.ndim))
        factor = self.rng.uniform(0.5, 1.5, z.shape[1])
        shift = self.rng.normal(size=z.shape[1]) * 0.3
        scale = factor / (z.std(axis=axes, dtype=np.float64) + 1e-6)
        return scale, shift - z.mean(axis=axes, dtype=np.float64) * scale

    def norm(self, x: str) -> str:
        """Batch normalisation of its own, where none can be folded."""
        scale, shift = self._standard(self.value(x))
        ones = np.ones(len(scale))
        given = [self.weight(a) for a in (scale, shift, 0 * ones, ones)]
        return self("BatchNormalization", x, *given, epsilon=0.0)

    def relu(self, x: str) -> str:
        """``max(x, 0)``."""
        return self("Relu", x)

    def gelu(self, x: str) -> str:
        """``x (1 + erf(x / sqrt 2)) / 2``, as exporters write it."""
        part = self("Erf", self("Mul", x, self.weight(np.float32(sqrt(0.5)))))
        whole = self("Add", part, self.weight(np.float32(1)))
        return self("Mul", self("Mul", x, whole), self.weight(np.float32(0.5)))

    def clip(self, x: str) -> str:
        """ReLU6."""
        return self("Clip", x, self.weight(np.float32(0)), self.weight(np.float32(6)))

    def pool(self, x: str, kernel: int, stride: int, pad: int = 0, op: str = "MaxPool") -> str:
        """Pooling over square windows."""
        return self(op, x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def dense(self, x: str, rows: int, gain: float = 2.0) -> str:
        """A dense layer with weights of variance ``gain / n``, on the last axis."""
        size = self.value(x).shape[-1]
        weight = self.rng.normal(size=(size, rows)) * sqrt(gain / size)
        bias = self.rng.normal(size=rows) / 10
        product = self("MatMul", x, self.weight(weight))
        return self("Add", product, self.weight(bias))

    def mean(self, x: str) -> str:
        """Mean over all pixels: (N, C)."""
        return self("Flatten", self("GlobalAveragePool", x))
