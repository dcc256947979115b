"""What the search found, cut down by hand: one small model for each finding, and both answers.

    python -m tests.demonstrations.reproducers

prints them for the versions installed. docs/demonstrations.md is about the versions that it names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.graph import Array
from tests.demonstrations.judge import Call, judge, judged_third
from tests.small import model


def floats(*values: object) -> Array:
    """A float32 array."""
    return np.array(values, np.float32)


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one node, as ONNX text, and its inputs.

    Parameters
    ----------
    name, text : str
    feeds : {input: array}
    opset : int
    """

    name: str
    text: str
    feeds: dict[str, Array]
    opset: int = 21

    @property
    def call(self) -> Call:
        """The model and its inputs."""
        return Call(model(self.text, self.opset), self.feeds)


ONE, TWO = floats(1.0), floats(1.0, 2.0)
LRN = "g (float[1,2,1,1] x) => (float[1,2,1,1] y) { y = LRN<size = 3, alpha = 3.0>(x) }"
LSTM = (
    "g (float[2,1,1] x, float[1,4,1] W, float[1,4,1] R) => (float[2,1,1,1] y) "
    "{ y = LSTM<hidden_size = 1, clip = 0.5>(x, W, R) }"
)
GRU = (
    "g (float[1,1,1] x, float[1,3,1] W, float[1,3,1] R) => (float[1,1,1,1] y) "
    "{ y = GRU<hidden_size = 1, clip = 0.5>(x, W, R) }"
)
LOOP = (
    "g (float[1,2] x) => (float[1,2] v, float[3,1,2] s) <int64 n = {3}, bool go = {1}> "
    "{ v, s = Loop(n, go, x) <body = b (int64 i, bool c, float[1,2] p) => "
    "(bool d, float[1,2] q, float[1,2] r) { d = Identity(c) q = Add(p, p) r = Identity(q) }> }"
)
SCAN = (
    "g (float[1] s0, float[2,1] x) => (float[1] s, float[2,1] y) "
    "{ s, y = Scan(s0, x) <num_scan_inputs = 1, scan_input_directions = [1], "
    "body = b (float[1] p, float[1] e) => (float[1] q, float[1] r) "
    "{ q = Add(p, e) r = Identity(q) }> }"
)
POOL = "g (float[1,1,2] x) => (float[1,1,2] y) "
BATCH = (
    "g (float[2,1] x, float[1] s, float[1] b, float[1] m, float[1] v) => (float[2,1] y) "
    "{ y = BatchNormalization(x, s, b, m, v) }"
)

CASES = (
    Case("BatchNormalization, opset 9 to 13", BATCH, {"x": floats([1.0], [3.0]), "s": ONE,
         "b": floats(0.0), "m": floats(0.0), "v": ONE}, 13),
    Case("ConvTranspose, output_shape",
         "g (float[1,1,1] x, float[1,1,2] w) => (float[1,1,1] y) "
         "{ y = ConvTranspose<output_shape = [1]>(x, w) }",
         {"x": floats([[2.0]]), "w": floats([[1.0, 3.0]])}),
    Case("ConvTranspose, bias of groups",
         "g (float[1,2,1] x, float[2,1,1] w, float[2] b) => (float[1,2,1] y) "
         "{ y = ConvTranspose<group = 2>(x, w, b) }",
         {"x": floats([[1.0], [1.0]]), "w": floats([[1.0]], [[1.0]]), "b": floats(10.0, 20.0)}),
    Case("ConvTranspose, groups of two outputs",
         "g (float[1,2,1] x, float[2,2,1] w) => (float[1,4,1] y) "
         "{ y = ConvTranspose<group = 2>(x, w) }",
         {"x": floats([[1.0], [1.0]]), "w": floats([[1.0], [2.0]], [[3.0], [4.0]])}),
    Case("DequantizeLinear, before opset 19",
         "g (uint8[1] x, float s) => (float[1] y) { y = DequantizeLinear(x, s) }",
         {"x": np.array([3], np.uint8), "s": np.array(0.5, np.float32)}, 18),
    Case("DynamicQuantizeLinear, all zeros",
         "g (float[1] x) => (uint8[1] y, float s, uint8 z) { y, s, z = DynamicQuantizeLinear(x) }",
         {"x": floats(0.0)}),
    Case("GRU, clip", GRU,
         {"x": floats([[1.0]]), "W": floats([[1.0], [1.0], [1.0]]),
          "R": floats([[0.0], [0.0], [0.0]])}),
    Case("GatherElements, fewer indices",
         "g (float[2,2] x, int64[1,1] i) => (float[1,1] y) { y = GatherElements<axis = 1>(x, i) }",
         {"x": floats([1.0, 2.0], [3.0, 4.0]), "i": np.array([[1]])}),
    Case("GlobalLpPool", "g (float[1,1,2] x) => (float[1,1,1] y) { y = GlobalLpPool(x) }",
         {"x": floats([[3.0, 4.0]])}),
    Case("GlobalMaxPool, one spatial axis",
         "g (float[1,2,2] x) => (float[1,2,1] y) { y = GlobalMaxPool(x) }",
         {"x": floats([[1.0, 2.0], [3.0, 4.0]])}),
    Case("GridSample, bilinear",
         'g (float[1,1,2,2] x, float[1,1,1,2] i) => (float[1,1,1,1] y) '
         '{ y = GridSample<mode = "bilinear">(x, i) }',
         {"x": floats([[[1.0, 2.0], [3.0, 4.0]]]), "i": floats([[[0.0, 0.0]]])}, 18),
    Case("LRN, batch and channels differ", LRN, {"x": floats([[[1.0]], [[1.0]]])}),
    Case("LSTM, clip", LSTM,
         {"x": floats([[1.0]], [[1.0]]), "W": floats([[1.0], [1.0], [1.0], [1.0]]),
          "R": floats([[0.0], [0.0], [0.0], [0.0]])}),
    Case("Loop, scan outputs", LOOP, {"x": floats([1.0, 2.0])}),
    Case("LpPool, ceil_mode",
         "g (float[1,1,3] x) => (float[1,1,2] y) "
         "{ y = LpPool<kernel_shape = [2], strides = [2], ceil_mode = 1>(x) }",
         {"x": floats([[3.0, 4.0, 5.0]])}),
    Case("Max of three scalars", "g (float a, float b) => (float y) { y = Max(a, a, b) }",
         {"a": np.array(1.0, np.float32), "b": np.array(2.0, np.float32)}),
    Case("MaxPool, SAME_UPPER of one axis",
         POOL + '{ y = MaxPool<kernel_shape = [1], auto_pad = "SAME_UPPER">(x) }',
         {"x": floats([[1.0, 2.0]])}),
    Case("MaxPool, pads of one axis",
         POOL + "{ y = MaxPool<kernel_shape = [2], pads = [0, 1]>(x) }",
         {"x": floats([[1.0, 2.0]])}),
    Case("MaxPool, SAME_LOWER with strides",
         'g (float[1,1,3] x) => (float[1,1,2] y) '
         '{ y = MaxPool<kernel_shape = [2], strides = [2], auto_pad = "SAME_LOWER">(x) }',
         {"x": floats([[1.0, 2.0, 3.0]])}),
    Case("MaxPool, Indices of channels",
         "g (float[1,2,2] x) => (float[1,2,1] y, int64[1,2,1] i) "
         "{ y, i = MaxPool<kernel_shape = [2]>(x) }",
         {"x": floats([[1.0, 2.0], [4.0, 3.0]])}),
    Case("Mean, first operand smaller",
         "g (float[1] a, float[2] b) => (float[2] y) { y = Mean(a, b) }", {"a": ONE, "b": TWO}),
    Case("Pad, negative pads",
         "g (float[2] x, int64[2] p) => (float[1] y) { y = Pad(x, p) }",
         {"x": TWO, "p": np.array([0, -1])}),
    Case("Scan, reverse direction", SCAN, {"s0": floats(0.0), "x": floats([1.0], [2.0])}),
    Case("Softsign, scalar", "g (float x) => (float y) { y = Softsign(x) }",
         {"x": np.array(1.0, np.float32)}),
    Case("Unique, unsorted", "g (float[2] x) => (float[2] y) { y = Unique<sorted = 0>(x) }",
         {"x": floats(2.0, 1.0)}),
)  # fmt: skip


def main() -> None:
    for case in CASES:
        found = judge(case.call)
        if found is None:
            print(f"{case.name}: both answer the same")
            continue
        print(f"{case.name}: {found.kind}, {found.detail}")
        for name, value in (("onnxruntime", found.runtime), ("evaluator", found.reference)):
            if value is not None:
                print(f"  {name:12} {value.dtype}{list(value.shape)} {value.tolist()}")
        if found.third is not None:
            print(f"  {'W x + b':12} {found.third.tolist()}: agrees with {judged_third(found)}")


if __name__ == "__main__":
    main()
