"""RNN, GRU and LSTM against twins written as the specification has them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnxlin
from onnxlin.rules.bodies.recurrent_activations import ARGUMENTS
from tests.installed import asked

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
T, N, FEATURES, H = 4, 3, 2, 3


@dataclass
class Net:
    """A recurrent operator with random weights, and the twin of it."""

    op: str
    directions: int = 1
    reverse: bool = False
    bias: bool = True
    start: bool = True
    peepholes: bool = False
    lens: tuple[int, ...] | None = None
    layout: int = 0
    attributes: dict = field(default_factory=dict)

    def __post_init__(self):
        rng = np.random.default_rng(3)
        draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
        g, d = GATES[self.op], self.directions
        self.weights = {"W": draw(d, g * H, FEATURES), "R": draw(d, g * H, H)}
        if self.bias:
            self.weights["B"] = draw(d, 2 * g * H)
        if self.lens:
            self.weights["L"] = np.array(self.lens, dtype=np.int32)
        if self.peepholes:
            self.weights["P"] = draw(d, 3 * H)
        self.x = {"X": draw(T, N, FEATURES)}
        if self.start:
            self.x["h0"] = draw(d, N, H)
            if self.op == "LSTM":
                self.x["c0"] = draw(d, N, H)
        if self.layout:
            self.x = {name: np.swapaxes(v, 0, 1) for name, v in self.x.items()}

    def model(self):
        has = {**self.weights, **self.x}
        order = ["X", "W", "R", "B", "L", "h0", "c0", "P"]
        inputs = [name if name in has else "" for name in order]
        while not inputs[-1]:
            inputs.pop()
        outputs = ["Y", "Yh", "Yc"][: 3 if self.op == "LSTM" else 2]
        direction = "bidirectional" if self.directions == 2 else "reverse" if self.reverse else None
        given = dict(self.attributes, hidden_size=H, layout=self.layout)
        if direction:
            given["direction"] = direction
        node = helper.make_node(self.op, inputs, outputs, **given)
        info = lambda name, shape: helper.make_tensor_value_info(name, 1, shape)
        graph = helper.make_graph(
            [node],
            "net",
            [info(name, v.shape) for name, v in self.x.items()],
            [info(name, None) for name in outputs],
            [onnx.numpy_helper.from_array(v, name) for name, v in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)

    def twin(self, flat, sigmoid, tanh):
        """The specification's formulas, with whatever functions for the gates."""
        sizes = np.cumsum([v.size for v in self.x.values()])[:-1]
        parts = zip(self.x.items(), np.split(flat, sizes), strict=True)
        x = {name: part.reshape(v.shape) for (name, v), part in parts}
        if self.layout:
            x = {name: np.swapaxes(v, 0, 1) for name, v in x.items()}
        sides = [self.side(x, d, sigmoid, tanh) for d in range(self.directions)]
        ends = [np.stack(parts, axis=0) for parts in zip(*(s for _, s in sides), strict=True)]
        outputs = [np.stack([y for y, _ in sides], axis=1), *ends]
        if self.layout:
            outputs = [np.moveaxis(v, -2, 0) for v in outputs]
        return np.concatenate([v.ravel() for v in outputs])

    def side(self, x, d, sigmoid, tanh):
        w = {name: v[d].astype(float) for name, v in self.weights.items() if name != "L"}
        zero = np.zeros((N, H), dtype=x["X"].dtype)
        state = [x["h0"][d] if self.start else zero]
        if self.op == "LSTM":
            state.append(x["c0"][d] if self.start else zero)
        lens = np.array(self.lens or [T] * N)
        y = np.zeros((T, N, H), dtype=x["X"].dtype)
        times = range(T)[::-1] if self.reverse or d == 1 else range(T)
        for t in times:
            new = getattr(self, self.op.lower())(w, x["X"][t], state, sigmoid, tanh)
            runs = (t < lens)[:, None]
            state = [np.where(runs, a, b) for a, b in zip(new, state, strict=True)]
            y[t] = np.where(runs, state[0], 0)
        return y, [np.where((lens > 0)[:, None], s, 0) for s in state]

    def gates(self, w, x, h):
        g = GATES[self.op]
        wb, rb = np.split(w["B"], 2) if self.bias else (np.zeros(g * H), np.zeros(g * H))
        return np.split(x @ w["W"].T + wb, g, axis=-1), np.split(h @ w["R"].T + rb, g, axis=-1), rb

    def rnn(self, w, x, state, sigmoid, tanh):
        (a,), (b,), _ = self.gates(w, x, state[0])
        return [tanh(a + b)]

    def gru(self, w, x, state, sigmoid, tanh):
        (h,) = state
        a, b, rb = self.gates(w, x, h)
        z, r = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        early = (r * h) @ np.split(w["R"], 3)[2].T + np.split(rb, 3)[2]
        g = tanh(a[2] + (r * b[2] if self.attributes.get("linear_before_reset") else early))
        return [(1 - z) * g + z * h]

    def lstm(self, w, x, state, sigmoid, tanh):
        h, c = state
        a, b, _ = self.gates(w, x, h)
        zi, zo, zf, zg = (u + v for u, v in zip(a, b, strict=True))
        pi, po, pf = np.split(w["P"], 3) if self.peepholes else (0, 0, 0)
        i = sigmoid(zi + pi * c)
        f = 1 - i if self.attributes.get("input_forget") else sigmoid(zf + pf * c)
        c = f * c + i * tanh(zg)
        return [sigmoid(zo + po * c) * tanh(c), c]

    @property
    def flat(self):
        return np.concatenate([v.ravel() for v in self.x.values()]).astype(float)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def jacobian(net):
    """By the complex step: exact to the last digits, without a difference."""
    step = 1e-30
    columns = [net.twin(net.flat + step * 1j * unit, logistic, np.tanh) for unit in units(net)]
    return np.stack([c.imag / step for c in columns], axis=1)


def frozen(net):
    """Run once to note every gate, then run the net that has them for constants."""
    sigmoids, ratios = [], []

    def noted(z):
        sigmoids.append(logistic(z))
        return sigmoids[-1]

    def noted_ratio(z):
        ratios.append(np.tanh(z) / z)
        return np.tanh(z)

    net.twin(net.flat, noted, noted_ratio)

    def held(v):
        s, r = iter(sigmoids), iter(ratios)
        return net.twin(v, lambda _: next(s), lambda z: next(r) * z)

    base = held(np.zeros_like(net.flat))
    return np.stack([held(unit) - base for unit in units(net)], axis=1)


def units(net):
    return np.eye(net.flat.size)


CASES = [
    {},
    {"bias": False},
    {"start": False},
    {"reverse": True},
    {"directions": 2},
    {"lens": (4, 2, 1)},
    {"lens": (3, 0, 1), "directions": 2},
    {"layout": 1, "directions": 2},
]
NETS = [Net(op, **case) for op in GATES for case in CASES]
NETS += [
    Net("GRU", attributes={"linear_before_reset": 1}),
    Net("GRU", bias=False, attributes={"linear_before_reset": 1}),
    Net("LSTM", peepholes=True),
    Net("LSTM", attributes={"input_forget": 1}),
    Net("LSTM", peepholes=True, attributes={"input_forget": 1}),
]


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize(("mode", "twin"), [("tangent", jacobian), ("frozen", frozen)])
def test_maps_are_those_of_the_specification(net, mode, twin):
    with asked(net.model(), net.x, lambda: net.twin(net.flat, logistic, np.tanh)):
        m = onnxlin.linearize(net.model(), net.x, mode=mode, dtype=np.float64).verify()
    # Both are double precision; ten digits are what is left after T steps of a few roundings.
    np.testing.assert_allclose(m.W, twin(net), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("op", GATES)
def test_clip_bounds_what_the_activations_see(op):
    net = Net(op, attributes={"clip": 0.5})
    run = onnxruntime.InferenceSession(net.model().SerializeToString()).run
    for mode in ("tangent", "frozen"):
        m = onnxlin.linearize(net.model(), net.x, mode=mode)
        m.verify()
    given = np.concatenate([v.ravel() for v in run(None, net.x)])
    np.testing.assert_array_equal(m.y, given)
    assert not np.array_equal(m.y, onnxlin.linearize(Net(op).model(), net.x).y)


PARAMETERS = {
    "Affine": 2,
    "Elu": 1,
    "HardSigmoid": 2,
    "LeakyRelu": 1,
    "ScaledTanh": 2,
    "ThresholdedRelu": 1,
    **dict.fromkeys(["Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"], 0),
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_every_activation_with_its_parameters_and_without(op, name, given):
    count = {"RNN": 1, "GRU": 2, "LSTM": 3}[op]
    # The parameter lists skip functions that take none.
    attributes = {"activations": ["Tanh", *[name] * count][-count:]}
    for i, key in enumerate(("activation_alpha", "activation_beta")):
        if given and PARAMETERS[name] > i:
            attributes[key] = [0.5 + 0.125 * k for k in range(count)]
    net = Net(op, attributes=attributes)
    # The runtime's Softplus overflows where the states of these nets would take it.
    net.weights = {name: v / 4 for name, v in net.weights.items()}

    def written() -> np.ndarray:
        """The same with the defaults written out: some runtimes have others for some operators."""
        keys = ("activation_alpha", "activation_beta")
        spelt = zip(keys, (np.repeat(v, count) for v in ARGUMENTS[name.lower()][1]), strict=False)
        net.attributes = {**attributes, **dict(spelt)}
        found = onnxruntime.InferenceSession(net.model().SerializeToString()).run(None, net.x)
        return np.concatenate([v.ravel() for v in found])

    for mode in ("tangent", "frozen"):
        with asked(net.model(), net.x, written):
            onnxlin.linearize(net.model(), net.x, mode=mode, dtype=np.float64).verify()


def test_unknown_activations_are_named():
    net = Net("RNN", attributes={"activations": ["Cube"]})
    with pytest.raises(onnxlin.OnnxlinError, match=r"(?i)cube"):
        onnxlin.linearize(net.model(), net.x)


def test_weights_may_depend_on_x():
    net = Net("LSTM")
    net.x |= {"R": net.weights.pop("R")}
    m = onnxlin.linearize(net.model(), net.x, dtype=np.float64)
    m.verify()
    run = onnxruntime.InferenceSession(net.model().SerializeToString()).run
    rng = np.random.default_rng(0)
    step = {name: rng.standard_normal(v.shape).astype(np.float32) for name, v in net.x.items()}
    move = lambda t: {name: v + np.float32(t) * step[name] for name, v in net.x.items()}
    sides = [np.concatenate([v.ravel() for v in run(None, move(t))]) for t in (-0.01, 0.01)]
    slope = m.W @ np.concatenate([v.ravel() for v in step.values()])
    # A central difference in float32: 1e-7 / 0.02 of rounding, 0.01 ** 2 of curvature.
    np.testing.assert_allclose((sides[1] - sides[0]) / 0.02, slope, atol=5e-3)
