"""The reference evaluator of onnx against onnxruntime, node by node on random graphs.

    python -m tests.demonstrations.reference_evaluator --examples 60 --mixed 400

prints every kind of difference, with the smallest model that Hypothesis finds for it. Each node is
fed the same inputs in both, so nothing is carried from one node to the next.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from collections.abc import Callable, Sequence

import hypothesis
import numpy as np
import onnx
import onnxruntime
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis.errors import NoSuchExample, Unsatisfiable

from onnxlin.graph import Array
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS
from tests.demonstrations.judge import WITHIN, Call, Finding, calls, judge, judged_third

Key = tuple[str, str, str]
SHRINKS = 400  # examples that the search for a smaller model may take


class Tally:
    """What has been run, and the first example of each kind of difference."""

    def __init__(self) -> None:
        self.graphs = 0
        self.nodes: Counter[str] = Counter()
        self.bitwise: Counter[str] = Counter()
        self.counts: Counter[Key] = Counter()
        self.first: dict[Key, Finding] = {}

    def take(self, grown: GrownModel) -> None:
        """Run all nodes of one model."""
        self.graphs += 1
        for call in calls(grown):
            op_type = call.node.op_type
            self.nodes[op_type] += 1
            found = judge(call)
            if found is None:
                self.bitwise[op_type] += 1
            else:
                self.counts[found.key] += 1
                self.first.setdefault(found.key, found)


def sample(take: Callable[[GrownModel], None], op_types: Sequence[str] | None, count: int) -> None:
    """Draw models with a fixed seed."""

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(onnx_models(op_types, max_nodes=7 if op_types is None else 2))
    def draw(grown: GrownModel) -> None:
        take(grown)

    try:
        draw()
    except Unsatisfiable:
        print(f"no model for {op_types}")


def smallest(key: Key) -> Finding | None:
    """The smallest model with this difference that Hypothesis finds."""
    kept: list[Finding] = []

    def shows(grown: GrownModel) -> bool:
        hits = [f for f in map(judge, calls(grown)) if f is not None and f.key == key]
        if hits:
            kept.append(hits[0])
        return bool(hits)

    only = [key[0]] if key[0] in MAKERS else None
    options = settings(
        max_examples=SHRINKS, database=None, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        found = find(onnx_models(only, max_nodes=2), shows, settings=options)
    except (NoSuchExample, Unsatisfiable):
        return None
    shows(found)
    return plainer(kept[-1])


def plainer(one: Finding) -> Finding:
    """The same with rounder numbers, if they show it as well."""
    for decimals in (0, 1):
        fed = {
            name: np.round(value, decimals) if value.dtype.kind == "f" else value
            for name, value in one.call.feeds.items()
        }
        other = judge(Call(one.call.model, fed))
        if other is not None and other.key == one.key:
            return other
    return one


def show(one: Finding, count: int, of: int) -> None:
    """Print a finding with all that is needed to see it again."""
    print(f"\n### {one.op_type}: {one.kind}, {one.detail}  ({count} of {of} nodes)\n")
    text = onnx.printer.to_text(one.call.model.graph)
    print(f"opset {one.call.model.opset_import[0].version}\n{text}")
    for name, value in one.call.feeds.items():
        print(f"{name} = {_text(value)}")
    print(f"onnxruntime   {_text(one.runtime)}")
    if one.reference is not None:
        print(f"evaluator     {_text(one.reference)}")
    if one.third is not None:
        print(f"W x + b       {_text(one.third)}: agrees with {judged_third(one)}")


def _text(value: Array) -> str:
    array = np.asarray(value)
    shown = np.array2string(array, threshold=60, separator=", ", max_line_width=10_000)
    return f"{array.dtype}{list(array.shape)} {' '.join(shown.split())}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="models for each operator")
    parser.add_argument("--mixed", type=int, default=400, help="models of all operators together")
    parser.add_argument("--only", nargs="*", help="these operators alone")
    options = parser.parse_args()
    tally = Tally()
    for op_type in options.only or MAKERS:
        sample(tally.take, [op_type], options.examples)
    if not options.only:
        sample(tally.take, None, options.mixed)
    versions = (onnx, onnxruntime, np, hypothesis)
    print(", ".join(f"{m.__name__} {m.__version__}" for m in versions), platform.machine())
    nodes, bitwise = sum(tally.nodes.values()), sum(tally.bitwise.values())
    rounding = sum(n for key, n in tally.counts.items() if key[1] == WITHIN)
    print(
        f"{tally.graphs} models, {nodes} nodes of {len(tally.nodes)} operators: {bitwise} with the"
    )
    print(f"same bits, {rounding} within rounding, {nodes - bitwise - rounding} different")
    for key, count in sorted(tally.counts.items()):
        if key[1] != WITHIN:
            show(smallest(key) or tally.first[key], count, tally.nodes[key[0]])


if __name__ == "__main__":
    main()
