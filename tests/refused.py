"""Calls that are refused, with the class and the text of the error that each must raise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import Linearizer, OnnxlinError, linearize
from onnxlin.readings.region import Region
from tests.small import X, mlp, model

SMOOTH = "g (float[2] x) => (float[2] y) { [t] y = Tanh(x) }"
RELU = "g (float[2] x) => (float[2] y) { [n] y = Relu(x) }"
TWO_INPUTS = "g (float[2] a, float[2] b) => (float[2] y) { y = Add(a, b) }"
NO_RULES = """g (float[2] x) => (float[2] y) {
    [gate] h = com.example.Gate(x)  [swirl] k = com.example.Swirl(h)  y = Mul(k, x) }"""
INTEGERS = "g (int64[2] i, float[4] t) => (float[2] y) { y = Gather(t, i) }"
ONLY_INTEGERS = """g (int64[2] i) => (float[2] y) <float[4] t = {1, 2, 3, 4}> {
    e = Gather(t, i)  y = Relu(e) }"""
NO_FLOAT_OUT = "g (float[2] x) => (int64[1] y) { y = ArgMax(x) }"
CYCLE = "g (float[2] x) => (float[2] y) { [one] y = Add(x, z)  [two] z = Relu(y) }"
IMPOSSIBLE = "g (float[2] x) => (float[3] y) <int64[1] s = {3}> { y = Reshape(x, s) }"
DIVISION = "g (float[2] x) => (float[2] y) <float[2] d = {0, 1}> { y = Div(x, d) }"
TRAINING = """g (float[2] x) => (float[2] y) <float r = {0.5}, bool t = {1}> {
    y = Dropout(x, r, t) }"""


def at(text: str, x: Any, **options: Any) -> Callable[[], object]:
    """Linearise a small model."""
    return lambda: linearize(model(text), x, **options)


def at_mlp(x: Any = X, **options: Any) -> Callable[[], object]:
    """Linearise the two-layer model."""
    return lambda: linearize(mlp(), x, **options).W


V = np.array([1.0, 2.0], np.float32)
NAN, INF = float("nan"), float("inf")
Case = tuple[Callable[[], object], type[OnnxlinError], str]

CASES: dict[str, Case] = {
    # The model
    "no such file": (
        lambda: linearize("nowhere.onnx", V),
        onnxlin.ModelError,
        r"No such model file: 'nowhere\.onnx'",
    ),
    "no ONNX file": (
        lambda: linearize(__file__, V),
        onnxlin.ModelError,
        r"refused\.py' is not a readable ONNX model",
    ),
    "a folder": (
        lambda: linearize(Path(__file__).parent, V),
        onnxlin.ModelError,
        "tests' is a folder, not a file",
    ),
    "no ONNX bytes": (
        lambda: linearize(b"\xff\xff\xff", V),
        onnxlin.ModelError,
        "The bytes given are not a readable ONNX model",
    ),
    "no model": (
        lambda: linearize(3, V),  # type: ignore[arg-type]
        onnxlin.ModelError,
        r"model must be a path, bytes, onnx\.ModelProto, a torch.* not int",
    ),
    "empty model": (
        lambda: linearize(onnx.ModelProto(), V),
        onnxlin.ModelError,
        "The model has no outputs: not an ONNX model, or an empty one",
    ),
    "cycle": (at(CYCLE, V), onnxlin.ModelError, "form a cycle.*'one', 'two'"),
    "not loadable": (
        lambda: linearize(
            model("g (float[2] x) => (y) <int64[2] i = {1, 2}> { y = Add(x, i) }"), V
        ),
        onnxlin.ModelError,
        "onnxruntime cannot load the model: .*Add",
    ),
    "no such node": (
        lambda: linearize(model("g (float[2] x) => (float[2] y) { [n] y = Relu(x, x) }"), V),
        onnxlin.ModelError,
        r"Node 'n' \(Relu\) has 2 inputs, but takes 1",
    ),
    "too large": (
        lambda: onnxlin.compile_model(model(f"g (float[{2**40}] x) => (y) {{ y = Relu(x) }}")),
        onnxlin.LimitError,
        r"Input 'x' is of shape .*limits\.raised\(entries=",
    ),
    # The instance
    "wrong shape": (
        at_mlp(np.ones((1, 4), np.float32)),
        onnxlin.InputError,
        r"Input 'x' has shape \(1, 4\); the model takes float32\[1x3\]\.",
    ),
    "no batch axis": (
        at_mlp(X[0]),
        onnxlin.InputError,
        r"shape \(3,\); the model takes float32\[1x3\]\. A batch axis seems .* x\[None\]",
    ),
    "channels last": (
        at("g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu(x) }", np.ones((1, 4, 5, 3))),
        onnxlin.InputError,
        r"The channel axis seems to be last: give x\.transpose\(0, 3, 1, 2\)",
    ),
    "text": (
        at_mlp(np.array([["a", "b", "c"]])),
        onnxlin.InputError,
        "Input 'x' has dtype <U1; the model takes float32",
    ),
    "ragged": (at_mlp([[1.0], [1.0, 2.0]]), onnxlin.InputError, "Input 'x' is no array"),
    "complex": (at_mlp(X * 1j), onnxlin.InputError, "dtype complex64; the model takes float32"),
    "floats for integers": (
        at(INTEGERS, {"i": np.array([0.5, 1]), "t": np.ones(4)}),
        onnxlin.InputError,
        "Input 'i' has dtype float64; the model takes int64",
    ),
    "NaN": (
        at_mlp(X * [[1, NAN, 1]]),
        onnxlin.InputError,
        "Input 'x' holds 1 NaN or infinite values; a map exists at finite x only",
    ),
    "infinity": (at_mlp(X * INF), onnxlin.InputError, "holds 3 NaN or infinite values"),
    "overflow": (
        at_mlp(X.astype(np.float64) * 1e300),
        onnxlin.InputError,
        "Input 'x' overflows the model's float32; scale it down",
    ),
    "one array for two inputs": (
        at(TWO_INPUTS, V),
        onnxlin.InputError,
        r"the model has 2 inputs.*'a': float32\[2\], 'b': float32\[2\]",
    ),
    "wrong names": (
        at(TWO_INPUTS, {"a": V, "c": V}),
        onnxlin.InputError,
        r"names \['c'\] unknown and lacks \['b'\] needed inputs; .*'a': float32\[2\]",
    ),
    "integer input": (
        at("g (int64[2] i) => (int64[2] y) { y = Neg(i) }", np.array([0, 1])),
        onnxlin.InputError,
        r"no float input .*'i' \(int64\[2\]\).*no float tensor follows",
    ),
    "a sequence": (
        at(
            "g (seq(float[2]) s, float[2] x) => (float[2] y) <int64 i = {0}> "
            "{ e = SequenceAt(s, i)  y = Add(e, x) }",
            {"s": [V], "x": V},
        ),
        onnxlin.InputError,
        "Input 's' is no tensor but a sequence, map or optional",
    ),
    "stacks of different lengths": (
        lambda: list(
            Linearizer(model(TWO_INPUTS)).map({"a": np.ones((2, 2)), "b": np.ones((3, 2))})
        ),
        onnxlin.InputError,
        r"different numbers of instances: \{'a': 2, 'b': 3\}",
    ),
    "map at a wrong x": (
        lambda: linearize(mlp(), X)(np.ones(4)),
        onnxlin.InputError,
        "x has 4 entries; the map takes 3",
    ),
    # Names of tensors
    "unknown output": (
        at_mlp(outputs=["hh"]),
        onnxlin.TensorNameError,
        r"outputs=\['hh'\]: no such tensor in the graph\. Did you mean 'h'",
    ),
    "unknown input": (
        at_mlp(inputs="zzzzzz"),
        onnxlin.TensorNameError,
        r"inputs=\['zzzzzz'\]: no such tensor.*Did you mean 'x'",
    ),
    "no name": (at_mlp(outputs=[]), onnxlin.TensorNameError, r"outputs=\[\] names no tensor"),
    "constant as input": (
        at_mlp(inputs=["A"]),
        onnxlin.TensorNameError,
        r"inputs=\['A'\] are initialisers: constants of the model",
    ),
    "integers as input": (
        at(ONLY_INTEGERS, np.array([0, 1]), inputs=["i"]),
        onnxlin.TensorNameError,
        r"inputs=\['i'\]: not a float tensor",
    ),
    "no float output": (
        at(NO_FLOAT_OUT, V),
        onnxlin.TensorNameError,
        r"None of the model's outputs \['y'\] is a float tensor",
    ),
    # Rows and options
    "rows out of range": (
        at_mlp(rows=[0, 2, -3]),
        onnxlin.RowsError,
        r"rows=\[2, -3\] do not exist: the map has 2 outputs",
    ),
    "rows of floats": (
        at_mlp(rows=[0.5]),
        onnxlin.RowsError,
        r"shape \(1,\) and dtype float64; expected output indices .*shape \(K, 2\)",
    ),
    "rows of a wrong shape": (at_mlp(rows=np.ones((1, 3))), onnxlin.RowsError, r"shape \(1, 3\)"),
    "ragged rows": (at_mlp(rows=[[1], [1, 2]]), onnxlin.RowsError, "is no array"),
    "rows with NaN": (at_mlp(rows=[[NAN, 1]]), onnxlin.RowsError, "rows holds NaN or infinity"),
    "unknown mode": (
        at_mlp(mode="secant"),
        onnxlin.OptionError,
        r"mode='secant'; expected one of \['tangent', 'frozen'\]",
    ),
    "unknown engine": (
        at_mlp(engine="warp"),
        onnxlin.OptionError,
        r"engine='warp'; expected one of \['auto', 'explicit', 'reverse', 'forward', 'live', "
        r"'cut', 'compiled'\]",
    ),
    "unknown dtype": (
        at_mlp(dtype="int8"),
        onnxlin.OptionError,
        "dtype='int8'; expected float32 or float64",
    ),
    "no dtype": (at_mlp(dtype="double32"), onnxlin.OptionError, "dtype='double32'; expected"),
    "unknown memory": (
        at_mlp(memory="much"),
        onnxlin.OptionError,
        "memory='much'; expected bytes, or text such as '4GiB'",
    ),
    "negative memory": (at_mlp(memory=-1), onnxlin.OptionError, "memory=-1; expected bytes"),
    "two points": (at_mlp(memory="1.2.3G"), onnxlin.OptionError, "memory='1.2.3G'; expected"),
    # Rules
    "no rule": (
        at(NO_RULES, V),
        onnxlin.MissingRuleError,
        r"(?s)2 of 3 nodes between inputs \['x'\] and outputs \['y'\].*"
        r"Gate \(opset 1\) at node 'gate': no rule for com\.example\.Gate.*"
        r"Swirl \(opset 1\) at node 'swirl': no rule.*"
        r"onnxlin knows \d+ operators.*docs/adding_a_rule\.md",
    ),
    "refused by the rule": (
        at(TRAINING, V),
        onnxlin.UnsupportedNodeError,
        r"Dropout at node 'Dropout:y': training_mode is true.*inputs= or outputs= around it",
    ),
    # Memory
    "explicit too large": (
        at_mlp(engine="explicit", memory=100),
        onnxlin.MemoryBudgetError,
        r"engine='explicit' would need about .* MiB .*entries in 3 nodes.*Use engine='reverse'",
    ),
    "reverse too large": (
        at_mlp(engine="reverse", memory=10),
        onnxlin.MemoryBudgetError,
        r"W of 2 x 3 float32 and one sweep need .* MiB \(.* for the model, .* for W, .* sweep\); "
        r"memory=.*fewer rows=, raise memory= to '.*', or use \.operator\(\)",
    ),
    "forward too large": (at_mlp(engine="forward", memory=10), onnxlin.MemoryBudgetError, "W of"),
    # The run
    "not runnable": (
        at(IMPOSSIBLE, V),
        onnxlin.TraceError,
        "onnxruntime cannot run the model at this x: .*Reshape",
    ),
    "infinite output": (
        at(DIVISION, V),
        onnxlin.TraceError,
        "Output 'y' is NaN or infinite at this x.*division by zero",
    ),
    # Readings
    "no region": (
        lambda: Region(linearize(model(SMOOTH), V)),
        onnxlin.RegionError,
        r"(?s)no linear region around x.*1 node smooth.*Tanh 't' is smooth.*drift says how",
    ),
    # Files
    "no folder to save in": (
        lambda: linearize(mlp(), X).save("no/such/folder/map"),
        onnxlin.FileError,
        r"Cannot write 'no/such/folder/map\.npz': No such file or directory\. Give another name",
    ),
}
