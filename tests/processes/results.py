"""One of everything that onnxlin answers with, by name: `MAKERS` makes it of a small net."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import onnxlin
from onnxlin import Linearizer, readings
from onnxlin.engines.compiled import Shelf
from onnxlin.testing import GrownModel
from onnxlin.testing.draw.draw import instances
from onnxlin.testing.laws.laws import named
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.run.examine import examine
from onnxlin.testing.run.shrink import shrink
from tests.readings.nets import bias_free
from tests.readings.stream.nets import IDS, WIDTH, transformer
from tests.small import X, mlp

X1 = X + np.float32([[0.5, -1.0, 2.0]])
PICTURE = np.ones((1, 1, 8, 8), np.float32)
XS = np.concatenate([X, X1, -X, 2 * X])[:, None, :]


@cache
def lin() -> Linearizer:
    return Linearizer(mlp())


def fresh() -> onnxlin.AffineMap:
    return lin()(X)


def question() -> readings.Question:
    return readings.Question(lin(), X, 1)


def relevance() -> Any:
    return readings.gradient_times_input(question())


def loaded() -> onnxlin.AffineMap:
    return fresh().without_program()


def deep() -> readings.Depths:
    return readings.depths(Linearizer(transformer())(IDS, rows=[0, 12]))


def findings() -> list[Any]:
    subject = Subject(mlp())
    return list(examine(subject, instances(subject, 2, 0), named(None), ["tangent"]))


MAKERS: dict[str, Callable[[], Any]] = {
    "map": fresh,
    "map by every engine": lambda: [
        lin()(X, engine=e) for e in ("explicit", "reverse", "forward", "live", "cut", "compiled")
    ],
    "map of combinations": lambda: lin()(X, rows=[[0.5, -1.0]]).verify(),
    "map in float64": lambda: lin()(X, dtype=np.float64),
    "map without program": loaded,
    "maps of many": lambda: list(lin().map(XS[:, 0])),
    "map of a hidden layer": lambda: readings.between(lin(), X, "h", "y"),
    "linearizer": lin,
    "graph": lambda: lin().graph,
    "section": lambda: lin().section,
    "program": lambda: fresh().made_from("program").program,
    "decided program": lambda: fresh().made_from("program").decided(),
    "layers": lambda: fresh().layers,
    "operator": lambda: fresh().operator(),
    "verdicts": lambda: fresh().verdicts,
    "doubt": lambda: fresh().doubt(0),
    "check": lambda: onnxlin.check_model(mlp()),
    "Attribution": relevance,
    "Audit": lambda: readings.audit(question(), relevance().values),
    "BiasMap": lambda: readings.bias_maps(fresh()),
    "Blame": lambda: readings.blame(mlp(), mlp(), X, 0),
    "Decisions": lambda: onnxlin.data.compare(mlp(), mlp(), XS[:, 0]),
    "Comparison": lambda: readings.compare(fresh(), lin()(X, dtype=np.float64)),
    "comparison of models": lambda: readings.compare(mlp(), mlp(), X),
    "Attributor": lambda: readings.Attributor(lin()),
    "Explainer": lambda: readings.Explainer(lin()),
    "Depths": deep,
    "depths of it": lambda: deep().depths,
    "places of it": lambda: list(deep().places),
    "HiddenMap": lambda: readings.hidden_maps(Linearizer(bias_free())(PICTURE)),
    "Embedding": lambda: readings.output_embedding(Linearizer(transformer())(IDS, rows=[0])),
    "TokenOperator": lambda: readings.token_operators(
        Linearizer(transformer(), outputs="top")(IDS, rows=range(WIDTH)), 0
    ),
    "Contributions": lambda: readings.contributions(fresh()),
    "drift": lambda: readings.drift(lin(), fresh(), [X1]),
    "Ensemble": lambda: readings.Ensemble([(0.5, mlp()), (0.5, lin())]),
    "map of an ensemble": lambda: readings.Ensemble([(0.5, mlp()), (0.5, lin())])(X),
    "Evaluation": lambda: readings.evaluate(lin(), XS[:, 0], np.array([0, 1, 0, 1])),
    "full gradient": lambda: readings.full_gradient(question()),
    "Groups": lambda: readings.group(lin(), XS[:, 0]),
    "Judgement": lambda: readings.judge(question(), {"own": relevance()}, samples=4, draws=1),
    "removals": lambda: readings.removals(question(), samples=5),
    "Ledger": lambda: readings.ledger(fresh()),
    "LiveUnits": lambda: readings.live_units(fresh()),
    "LocalModel": lambda: readings.group(lin(), XS[:, 0]).models,
    "Norms": lambda: readings.norms(fresh()),
    "path": lambda: readings.walk(lin(), X, X1),
    "plane": lambda: readings.partition(lin(), X, X1, -X),
    "Question": question,
    "Region": lambda: readings.Region(fresh()),
    "region's radius": lambda: readings.Region(fresh()).radius(),
    "region's guards": lambda: readings.Region(fresh()).guards,
    "Relative": lambda: readings.relative(fresh(), X1, lin()),
    "report": lambda: readings.report(fresh()),
    "Scores": lambda: readings.group(lin(), XS[:, 0], np.array([0, 1, 0, 1])).scores,
    "findings of laws": findings,
    "shrunk": lambda: shrink({"x": X}, lambda feeds: True),
    "GrownModel": lambda: GrownModel(mlp(), {"x": X}),
    "smooth gradient": lambda: readings.smooth_grad(question(), samples=4),
    "Spectrum": lambda: readings.spectrum(fresh(), 2),
    "Spread": lambda: readings.spread_bias(fresh()),
    "Stability": lambda: readings.stability(question(), directions=1),
    "StructuralZero": lambda: readings.structural_zero(fresh()),
    "shelf": lambda: Shelf(lin().section, "tangent"),
    "error": lambda: onnxlin.ModelError("what was asked, found and to do"),
}
