"""Whatever a reading is asked wrongly, it refuses with an OnnxlinError that says what was wrong.

Every public reading, every argument, and of each kind of argument all that can be wrong with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest

from onnxlin import AffineMap, Linearizer, OnnxlinError, readings
from onnxlin.readings import Ensemble, Groups, Question, Region
from tests.readings.stream.nets import IDS, WIDTH, T, transformer
from tests.small import model

TEXT = """g (float[1,1,4,5] x) => (float[1,3] y) <int64[2] s = {1,20}, float[20,3] A, float[3] c> {
    h = Relu(x)  r = Reshape(h, s)  z = MatMul(r, A)  y = Add(z, c) }"""
SIZE = 20

WHOLE = {"text": "a", "a decimal": 1.5, "below": -9, "None in a list": [None], "NaN": float("nan")}
NUMBER = {"text": "a", "complex": 1j, "several": [1, 2], "a name": {"a": 1}, "NaN": float("nan")}
NAME = {"unknown": "zz", "a number": 3, "a list": ["zz"], "an array": np.zeros(2)}
ROWS = {
    "text": "a",
    "far off": [99],
    "decimals": [0.5],
    "NaN": [[float("nan")] * 3],
    "ragged": [[1], [1, 2]],
    "wrong width": [[1, 2]],
    "complex": [[1j, 0, 0]],
    "a name": {"a": 1},
    "three axes": np.zeros((1, 1, 3)),
}
FLAT = {
    "text": "zz",
    "texts": ["a"] * SIZE,
    "ragged": (np.zeros(2), np.zeros(3), 1),
    "wrong size": np.zeros(SIZE + 1),
    "complex": np.full(SIZE, 1j),
    "turned": np.ones((1, 1, 5, 4)),
    "NaN": np.full(SIZE, np.nan),
    "unknown": {"zz": np.zeros(SIZE)},
    "empty": {},
    "objects": np.array([None] * SIZE),
}
STACK = {
    **FLAT,
    "one number": 3.0,
    "uneven": {"x": np.zeros((2, 1, 4, 5)), "zz": np.zeros((3, 1))},
}
LABELS = {
    "text": ["a", "b"],
    "too few": [1],
    "far off": [0, 99],
    "below": [-1, 0],
    "decimals": [0.5, 1],
    "ragged": [[1], [1, 2]],
}
POSITIONS = {"text": "zz", "past": [T], "below": [-T - 1], "decimals": [0.5], "ragged": [[1], [1]]}
GROUPS = {
    "text": "zz",
    "wrong size": np.zeros(3, int),
    "decimals": np.full(SIZE, 0.5),
    "ragged": [[1], [1, 2]],
    "NaN": np.full(SIZE, np.nan),
}


@cache
def lin() -> Linearizer:
    proto, rng = model(TEXT), np.random.default_rng(0)
    for name, shape in (("A", (SIZE, 3)), ("c", (3,))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return Linearizer(proto)


X = np.random.default_rng(1).normal(size=(1, 1, 4, 5)).astype(np.float32)
X_FLAT = X.ravel()
XS = np.stack([X[0], -X[0]])


@cache
def m() -> AffineMap:
    return lin()(X)


@cache
def q() -> Question:
    return Question(lin(), X, 0)


@cache
def deep(outputs: str | None = None) -> Linearizer:
    return Linearizer(transformer(), outputs=outputs)


@cache
def grouped() -> Groups:
    return readings.group(lin(), XS)


def _values(values: Any) -> Any:
    return {"values": FLAT, **values}


JUDGED = {"baseline": FLAT, "steps": WHOLE, "groups": GROUPS}
# Reading -> how it is called with one argument changed, and what each may be wrong with.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, dict[str, Any]]]] = {
    "map": (lambda x=X: m()(x), {"x": FLAT}),
    "near_kinks": (lambda distance=0.1: m().near_kinks(distance), {"distance": NUMBER}),
    "verify": (lambda tol=1.0: m().verify(tol), {"tol": NUMBER}),
    "Linearizer.map": (
        lambda xs=XS, rows=None: list(lin().map(xs, rows)),
        {"xs": STACK, "rows": ROWS},
    ),
    "Question": (lambda x=X, row=0: Question(lin(), x, row), {"x": FLAT, "row": ROWS}),
    "Question.outputs": (lambda xs=XS: q().outputs(xs), {"xs": {"text": ["a"], "short": [[1.0]]}}),
    "Region.in": (lambda x=X: x in Region(m()), {"x": FLAT}),
    "Region.step": (lambda direction=X: Region(m()).step(direction), {"direction": FLAT}),
    "Region.radius": (
        lambda norm="l2", sweeps=9: Region(m()).radius(norm, sweeps=sweeps),
        {"norm": NAME, "sweeps": WHOLE},
    ),
    "Region.certificate": (
        lambda norm="l2", sweeps=9: Region(m()).certificate(norm, sweeps=sweeps),
        {"norm": NAME, "sweeps": WHOLE},
    ),
    "Region.decisions": (lambda norm="l2": Region(m()).decisions(norm), {"norm": NAME}),
    "Region.near_ties": (lambda count=3: Region(m()).near_ties(count), {"count": WHOLE}),
    "Region.polytope": (
        lambda memory=2**20: Region(m()).polytope(memory=memory),
        {"memory": NUMBER},
    ),
    "annotated": (lambda: readings.annotated(m(), lin()), {}),
    "audit": (
        lambda given=X, baseline=None: readings.audit(q(), given, baseline=baseline),
        {"given": FLAT, "baseline": FLAT},
    ),
    "baselines": (
        lambda baseline="zero", samples=4, seed=0: readings.baselines(
            q(), baseline=baseline, samples=samples, seed=seed
        ),
        {"baseline": FLAT, "samples": WHOLE, "seed": WHOLE},
    ),
    "depths": (lambda rows=None: readings.depths(deep()(IDS, [0, 1, 2]), rows), {"rows": ROWS}),
    "hidden_maps": (
        lambda rows=None, tensors=None: readings.hidden_maps(m(), rows, tensors),
        {"rows": ROWS, "tensors": NAME},
    ),
    "input_embedding": (
        lambda tensor=None: readings.input_embedding(deep(), tensor),
        {"tensor": NAME},
    ),
    "token_operators": (
        lambda tokens=None, tensor=None: readings.token_operators(
            deep("top")(IDS, range(WIDTH)), tokens, tensor=tensor
        ),
        {"tokens": POSITIONS, "tensor": NAME},
    ),
    "between": (
        lambda x=X, start="h", end="y", rows=None, dtype=None: readings.between(
            lin(), x, start, end, rows=rows, dtype=dtype
        ),
        {"x": FLAT, "start": NAME, "end": NAME, "rows": ROWS, "dtype": NAME},
    ),
    "bias_maps": (
        lambda rows=None, nodes=None: readings.bias_maps(m(), rows, nodes),
        {"rows": ROWS, "nodes": NAME},
    ),
    "blame": (
        lambda x=X, row=(1.0, -1.0, 0.0): readings.blame(lin(), lin(), x, row),
        {"x": FLAT, "row": {**ROWS, "NaN": [np.nan] * 3}},
    ),
    "compare": (
        lambda x=X, rows=None, tol=None, top=5, engine="auto", dtype=np.float64: readings.compare(
            lin(), lin(), x, rows=rows, tol=tol, top=top, engine=engine, dtype=dtype
        ),
        {"x": FLAT, "rows": ROWS, "tol": NUMBER, "top": WHOLE, "engine": NAME, "dtype": NAME},
    ),
    "contributions": (lambda rows=None: readings.contributions(m(), rows), {"rows": ROWS}),
    "deletion": (
        lambda values=X, score="row", **more: readings.deletion(q(), values, score=score, **more),
        _values({**JUDGED, "score": NAME}),
    ),
    "drift": (
        lambda others=(X,): readings.drift(lin(), m(), others),
        {"others": {name: [each] for name, each in FLAT.items()} | {"text": "zz"}},
    ),
    "Ensemble": (
        lambda weight=1.0, probabilities=None: Ensemble(
            [(weight, lin())], probabilities=probabilities
        ),
        {"weight": NUMBER, "probabilities": NAME},
    ),
    "evaluate": (
        lambda xs=XS, labels=None, engine="auto": readings.evaluate(
            lin(), xs, labels, engine=engine
        ),
        {"xs": STACK, "labels": LABELS, "engine": NAME},
    ),
    "explanation": (
        lambda baseline=None, names=None, labels=None: readings.explanation(
            m(), baseline, names=names, labels=labels
        ),
        {
            "baseline": FLAT,
            "names": {"too few": ["a"], "a number": 3},
            "labels": {"too few": [], "a number": 3},
        },
    ),
    "FullGradient.saliency": (
        lambda over="channel": readings.full_gradient(q()).saliency(over),
        {"over": NAME},
    ),
    "group": (
        lambda xs=XS, labels=None, rows=None, engine="reverse", dtype=None: readings.group(
            lin(), xs, labels, rows=rows, engine=engine, dtype=dtype
        ),
        {"xs": STACK, "labels": LABELS, "rows": ROWS, "engine": NAME, "dtype": NAME},
    ),
    "Groups.merge": (
        lambda count=1, tolerance=np.inf, neighbours=2, metric="coefficients": grouped().merge(
            count, tolerance=tolerance, neighbours=neighbours, metric=metric
        ),
        {"count": WHOLE, "tolerance": NUMBER, "neighbours": WHOLE, "metric": NAME},
    ),
    "Groups.table": (lambda count=2: grouped().table(count), {"count": WHOLE}),
    "LocalModel": (lambda x=X_FLAT: grouped().models[0](x), {"x": FLAT}),
    "infidelity": (lambda values=X: readings.infidelity(q(), values), {"values": FLAT}),
    "insertion": (
        lambda values=X, score="row", **more: readings.insertion(q(), values, score=score, **more),
        _values({**JUDGED, "score": NAME}),
    ),
    "integrated_gradients": (
        lambda baseline="zero": readings.integrated_gradients(q(), baseline),
        {"baseline": FLAT},
    ),
    "judge": (
        lambda values=X, samples=3, draws=1, seed=0, **more: readings.judge(
            q(),
            {"mine": values},
            samples=samples,
            draws=draws,
            seed=seed,
            **{"steps": 2, **more},
        ),
        _values({**JUDGED, "samples": WHOLE, "draws": WHOLE, "seed": WHOLE}),
    ),
    "layer": (lambda name="Relu:h": readings.layer(m(), name), {"name": NAME}),
    "ledger": (lambda rows=None: readings.ledger(m(), rows), {"rows": ROWS}),
    "live_units": (lambda rows=None: readings.live_units(m(), rows), {"rows": ROWS}),
    "margin": (lambda a=0, b=1: readings.margin(m(), a, b), {"a": WHOLE, "b": WHOLE}),
    "max_sensitivity": (
        lambda radius=0.1, samples=2, seed=0: readings.max_sensitivity(
            q(), readings.gradient, radius=radius, samples=samples, seed=seed
        ),
        {"radius": NUMBER, "samples": WHOLE, "seed": WHOLE},
    ),
    "noisy_infidelity": (
        lambda slopes=X, sigma=0.1, samples=4, seed=0: readings.noisy_infidelity(
            q(), slopes, sigma=sigma, samples=samples, seed=seed
        ),
        {"slopes": FLAT, "sigma": NUMBER, "samples": WHOLE, "seed": WHOLE},
    ),
    "norms": (lambda rows=None: readings.norms(m(), rows), {"rows": ROWS}),
    "occlusion": (
        lambda window=2, stride=None, baseline="zero": readings.occlusion(
            q(), window, stride, baseline=baseline
        ),
        {"window": WHOLE, "stride": WHOLE, "baseline": FLAT},
    ),
    "partition": (
        lambda origin=X, right=2 * X, up=-X + 1, rows=None: readings.partition(
            lin(), origin, right, up, rows=rows
        ),
        {"origin": FLAT, "right": FLAT, "up": FLAT, "rows": ROWS},
    ),
    "pixel_flipping": (
        lambda values=X, order="most", steps=2, share=1.0, draws=1, seed=0, groups=None: (
            readings.pixel_flipping(
                q(),
                values,
                order=order,
                steps=steps,
                share=share,
                draws=draws,
                seed=seed,
                groups=groups,
            )
        ),
        _values(
            {
                "order": NAME,
                "steps": WHOLE,
                "share": NUMBER,
                "draws": WHOLE,
                "seed": WHOLE,
                "groups": GROUPS,
            }
        ),
    ),
    "relative": (
        lambda x0=0.0, rows=None: readings.relative(m(), x0, lin(), rows),
        {"x0": FLAT, "rows": ROWS},
    ),
    "removals": (
        lambda sizes=None, samples=4, baseline="zero", groups=None, seed=0: readings.removals(
            q(), sizes, samples=samples, baseline=baseline, groups=groups, seed=seed
        ),
        {
            "sizes": {
                "text": "a",
                "far off": [99],
                "below": [-1],
                "decimals": [0.5],
                "NaN": [np.nan],
            },
            "samples": WHOLE,
            "baseline": FLAT,
            "groups": GROUPS,
            "seed": WHOLE,
        },
    ),
    "report": (
        lambda labels=None, top=3, near=0.1: readings.report(
            m(), labels=labels, top=top, near=near
        ),
        {"labels": {"too few": ["a"], "a number": 3}, "top": WHOLE, "near": NUMBER},
    ),
    "sampled_gradients": (
        lambda baseline="zero", samples=3, rule="left": readings.sampled_gradients(
            q(), baseline, samples=samples, rule=rule
        ),
        {"baseline": FLAT, "samples": WHOLE, "rule": NAME},
    ),
    "sensitivity_n": (lambda values=X: readings.sensitivity_n(q(), values), {"values": FLAT}),
    "smooth_grad": (
        lambda samples=3, noise=0.1, sigma=None, seed=0: readings.smooth_grad(
            q(), samples=samples, noise=noise, sigma=sigma, seed=seed
        ),
        {"samples": WHOLE, "noise": NUMBER, "sigma": NUMBER, "seed": WHOLE},
    ),
    "spectrum": (
        lambda k=2, rows=None: readings.spectrum(m(), k, rows),
        {"k": WHOLE, "rows": ROWS},
    ),
    "spread_bias": (lambda rows=None: readings.spread_bias(m(), rows), {"rows": ROWS}),
    "stability": (
        lambda shares=(0.1,), directions=1, seed=0: readings.stability(
            q(), shares=shares, directions=directions, seed=seed
        ),
        {
            "shares": {"text": "a", "texts": ["a"], "NaN": [np.nan], "a number": 3},
            "directions": WHOLE,
            "seed": WHOLE,
        },
    ),
    "walk": (
        lambda x0=X, x1=-X, rows=None, integrate=0, samples=(2,): readings.walk(
            lin(), x0, x1, rows=rows, integrate=integrate, samples=samples
        ),
        {
            "x0": FLAT,
            "x1": FLAT,
            "rows": ROWS,
            "integrate": WHOLE | {"unknown": "zz"},
            "samples": {"text": "a", "below": [-1], "decimals": [0.5], "a number": 3},
        },
    ),
    "Path": (
        lambda t=0.5: readings.walk(lin(), X, -X, samples=())(t),
        {"t": {"text": "a", "NaN": [np.nan], "complex": 1j, "ragged": [[1], [1, 2]]}},
    ),
}
# Of a map alone, or of a question alone: nothing to ask wrongly.
BARE = {
    "full_grad",
    "full_gradient",
    "gradient",
    "gradient_times_input",
    "mean",
    "output_embedding",
    "structural_zero",
    "to_dot",
}
# Answers, and classes that are asked under other names here.
ANSWERS = {name for name in readings.__all__ if name[0].isupper()}
CASES = [
    (name, argument, what)
    for name, (_, arguments) in CALLS.items()
    for argument, wrong in arguments.items()
    for what in wrong
]


@pytest.mark.parametrize("name", CALLS)
def test_it_answers_what_is_asked_rightly(name: str) -> None:
    if name == "explanation":
        pytest.importorskip("shap")
    CALLS[name][0]()


@pytest.mark.parametrize(("name", "argument", "what"), CASES)
def test_it_refuses_by_name(name: str, argument: str, what: str) -> None:
    call, arguments = CALLS[name]
    with pytest.raises(OnnxlinError) as refused:
        call(**{argument: arguments[argument][what]})
    assert str(refused.value)


def test_every_reading_is_asked() -> None:
    assert set(readings.__all__) - ANSWERS - BARE <= set(CALLS)
    for name in BARE:
        required = [
            p
            for p in inspect.signature(getattr(readings, name)).parameters.values()
            if p.kind is not p.KEYWORD_ONLY
        ]
        assert len(required) == 1, name
