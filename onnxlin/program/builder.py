"""Ask the rules: a section and the tensors of one run -> its linear program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.graph import Node
from onnxlin.graph.sequences import flattened
from onnxlin.graph.subgraphs import prefixed
from onnxlin.load import load
from onnxlin.lowering import NotStaticError
from onnxlin.operators.families import is_open_ended
from onnxlin.primitives import Array
from onnxlin.program.bodies import with_constants
from onnxlin.program.build import Build
from onnxlin.program.check import require_rules
from onnxlin.program.linear_program import Decision, LinearProgram, Step
from onnxlin.program.pieces import alias, is_float_array, make_decision, make_step
from onnxlin.rules import Affine, Body, NodeAtX, Operand, Rule, rule_of
from onnxlin.section import Section, make_section
from onnxlin.section.trace import Captures, OpenTracer


class Builder:
    """Makes the linear program of a section at one x after another.

    Pieces whose rules did not look at x are kept and used again, and so are opened bodies.

    Parameters
    ----------
    section : Section
    open_tracer : callable
        Opens the runtime for a section, with the outputs that its rules ask for.
    mode : {"tangent", "frozen"}
    """

    def __init__(self, section: Section, open_tracer: OpenTracer, mode: str) -> None:
        self.section = section
        self.mode = mode
        self.tracer = open_tracer(section, _captures(section))
        self.open_tracer = open_tracer
        self._kept: dict[Any, list[Step]] = {}
        self._cast: dict[tuple[str, np.dtype[Any]], Array] = {}
        self._bodies: dict[Any, Builder] = {}
        self._nodes = {node.name: node for node in section.nodes}

    def __call__(self, values: dict[str, Array], dtype: np.dtype[Any]) -> LinearProgram:
        """Build the program at the x whose run gave ``values``; bodies add theirs to it."""
        inputs = {name: values[name].shape for name in self.section.inputs}
        outputs = {name: values[name].shape for name in self.section.outputs}
        own = {name: values[name].astype(dtype) for name in inputs}
        narrow = any(values[name].dtype != dtype for name in inputs)
        build = Build(values, dtype, [], own, set(inputs), narrow=narrow)
        self.extend(build)
        reached = {*inputs, *(step.output for step in build.steps)}
        constants = {name: values[name] for name in outputs if name not in reached}
        steps, decisions = tuple(build.steps), tuple(build.decisions)
        return LinearProgram(inputs, outputs, steps, constants, dtype, decisions)

    def extend(self, build: Build) -> None:
        """Append the steps of this section to a program in the making."""
        for whole in self.section.nodes:
            node = flattened(whole, build.values, build.whole)
            touched = [build.values[name] for name in node.reads + node.writes]
            alive = tuple(name in build.alive for name in node.reads)
            key = (node.name, build.dtype, alive, *(getattr(v, "shape", None) for v in touched))
            if key not in self._kept:
                try:
                    steps, varies = self._steps(whole, node, build)
                except NotStaticError as error:
                    where = f"{node.op_type} at node {node.name!r}"
                    raise NotStaticError(f"{where}: {error}") from error
                if not varies:
                    self._kept[key] = steps
                build.add(steps)
            else:
                build.add(self._kept[key])

    def _steps(self, whole: Node, node: Node, build: Build) -> tuple[list[Step], bool]:
        """Linearise one node: a step for each float output that somebody may read.

        ``node`` is the ``whole`` one with tensors in the place of sequences.
        """
        rule = self._rule(node)
        at_x, answer = self._asked(whole, node, rule, build)
        if isinstance(answer, Body):
            if is_open_ended(node):
                why = "x may decide how often it goes round"
                build.decisions.append(Decision(node, at_x.out_shape, tuple, why))
            return self._expanded(node, answer, build), True
        pieces: Sequence[Affine] = [answer] if isinstance(answer, Affine) else answer
        if at_x.overlooked():
            raise at_x.refuse(f"attributes {at_x.overlooked()} are set")
        decision = make_decision(at_x, pieces)
        if decision is not None:
            build.decisions.append(decision)
        positions = self._wanted(node, build)
        if any(i >= len(pieces) for i in positions):
            raise at_x.refuse(f"output {max(positions)} is used")
        kind = rule.status_of([at_x.traced(i) for i in range(len(node.inputs))])
        status = self.mode if kind == "smooth" else kind
        steps = [make_step(at_x, i, pieces[i], status) for i in positions]
        held = any(name in build.made and name not in build.alive for name in node.reads)
        apart = build.narrow or build.dtype != _native_dtype(at_x, build)
        if (held or status == self.mode) and apart:
            steps = [replace(step, twin=self._twin(node, rule, build, step)) for step in steps]
        return steps, at_x.looked

    def _asked(
        self, whole: Node, node: Node, rule: Rule, build: Build
    ) -> tuple[NodeAtX, Affine | Sequence[Affine] | Body]:
        """Ask a rule; for a body it is shown integers as such, since the body will read them."""
        opened = rule.status in ("expanded", "unrolled")
        asked = whole if rule.status == "unrolled" else node
        at_x = self._at_x(asked, rule, build, as_they_are=opened)
        answer = rule.function(at_x)
        if isinstance(answer, Body) and not opened and self.section.carriers:
            at_x = self._at_x(asked, rule, build, as_they_are=True)
            answer = rule.function(at_x)
        return at_x, answer

    def _rule(self, node: Node) -> Rule:
        rule = rule_of(self.section.graph, node, self.section.rounding)
        assert rule is not None, f"no rule for {node.op_type}"
        return rule

    def _twin(self, node: Node, rule: Rule, build: Build, step: Step) -> Callable[[], Step]:
        """Make the same piece at the tensors that the runtime had, for comparing with it."""
        at_x = self._at_x(node, rule, build, native=True)

        def twin() -> Step:
            answer = rule.function(at_x)
            assert not isinstance(answer, Body)
            pieces: Sequence[Affine] = [answer] if isinstance(answer, Affine) else answer
            i = node.outputs.index(step.output)
            return make_step(at_x, i, pieces[i], step.status)

        return twin

    def _wanted(self, node: Node, build: Build) -> list[int]:
        """Positions of the float outputs that lie on a path to the section's outputs."""
        live = self.section.live - set(self.section.inputs)
        made = [(i, o) for i, o in enumerate(node.outputs) if build.whole.get(o, o) in live]
        return [i for i, o in made if self._is_number(o, build)]

    def _is_fixed(self, name: str, build: Build) -> bool:
        """Whether a tensor is the same for every x."""
        return build.whole.get(name, name) not in self.section.varying

    def _is_number(self, name: str, build: Build) -> bool:
        """Whether a tensor is float, or holds numbers as integers."""
        carriers = self.section.carriers
        return is_float_array(build.values[name]) or build.whole.get(name, name) in carriers

    def _enters(self, node: Node, name: str, build: Build) -> bool:
        """Whether a dependence on a tensor enters a node, with tensors in sequences or whole."""
        return self.section.enters(self._nodes.get(node.name, node), build.whole.get(name, name))

    def _at_x(
        self,
        node: Node,
        rule: Rule,
        build: Build,
        *,
        native: bool = False,
        as_they_are: bool = False,
    ) -> NodeAtX:
        how = {"native": native, "as_they_are": as_they_are}
        operands = [
            self._operand(node, name, build, **how) if name else None for name in node.inputs
        ]
        results = [build.values.get(name) for name in node.outputs]
        extra = self.tracer.native_outputs(node, build.values) if rule.captures else {}
        outer = {name: build.values[name] for name in node.implicit}
        opsets = self.section.graph.opsets
        floats = (o for o in operands if o is not None and is_float_array(o.native))
        own = native or build.narrow or any(o.native.dtype != build.dtype for o in floats)
        at = (node, operands, results, build.dtype, extra, self.mode, outer, opsets, own)
        return NodeAtX(*at)

    def _operand(
        self, node: Node, name: str, build: Build, *, native: bool, as_they_are: bool = False
    ) -> Operand:
        fixed = self._is_fixed(name, build)
        value = build.values[name]
        alive = name in build.alive and self._enters(node, name, build)
        made = alive or (name in build.made and is_float_array(value))
        own = made and not native and (build.narrow or value.dtype != build.dtype)
        if alive and not is_float_array(value):
            own = False  # integers that stand for numbers: every piece meets the runtime's
            value = value if as_they_are else value.astype(np.float64)
        known = self._value(name, value, build.dtype, fixed=fixed)
        return Operand(name, value, alive, fixed, (lambda: build.forward(name)) if own else known)

    def _value(
        self, name: str, native: Array, dtype: np.dtype[Any], *, fixed: bool
    ) -> Callable[[], Array]:
        """Say how to bring what the runtime computed to the precision of the map."""
        if not is_float_array(native):
            return lambda: native
        if fixed:
            return lambda: self._cast.setdefault((name, dtype), native.astype(dtype, copy=False))
        return lambda: native.astype(dtype, copy=False)

    def _expanded(self, node: Node, body: Body, build: Build) -> list[Step]:
        """Linearise a node as its body: run that on the node's inputs, and put its steps here."""
        if not any(outer in build.alive for outer in body.feeds.values()):
            ends = [node.outputs[i] for i in self._wanted(node, build)]
            return [alias(node, name, name, build) for name in ends]
        prefix = f"{node.name}/"
        inner = self._opened(node, prefix, body, build)
        section = inner.section
        feeds = {prefix + name: build.values[outer] for name, outer in body.feeds.items()}
        feeds = {name: value for name, value in feeds.items() if name in section.graph.inputs}
        build.values.update(inner.tracer(feeds))
        start = len(build.steps)
        for name, outer in body.feeds.items():
            if prefix + name in section.inputs:
                build.add([alias(node, outer, prefix + name, build)])
        inner.extend(build)
        made = [replace(step, inner=True) for step in build.steps[start:]]
        del build.steps[start:]
        pairs = [(prefix + body.outputs[i], node.outputs[i]) for i in self._wanted(node, build)]
        self.tracer.expanded(pairs)
        made += [replace(alias(node, a, b, build), joins=True) for a, b in pairs]
        return made

    def _opened(self, node: Node, prefix: str, body: Body, build: Build) -> Builder:
        """Load a body, with the node's constant inputs as its initialisers."""
        fixed = {n: o for n, o in body.feeds.items() if self._is_fixed(o, build)}
        feeds = {n: o for n, o in body.feeds.items() if n not in fixed}
        alive = tuple(n for n, o in feeds.items() if o in build.alive and self._is_number(o, build))
        wanted = tuple(body.outputs[i] for i in self._wanted(node, build))
        shapes = tuple((build.values[o].shape, build.values[o].dtype) for o in feeds.values())
        key = (node.name, body.key, alive, wanted, shapes)
        if key not in self._bodies:
            model = with_constants(body.make(), {n: build.values[o] for n, o in fixed.items()})
            graph = load(prefixed(model, prefix))
            inputs, outputs = ([prefix + name for name in names] for names in (alive, wanted))
            like = self.section
            how = {"deciding": like.deciding, "body": True}
            section = make_section(graph, inputs, outputs, like.rounding, **how)
            require_rules(section)
            self._bodies[key] = Builder(section, self.open_tracer, self.mode)
        return self._bodies[key]


def deciding(own: Builder) -> Builder:
    """Return a builder of the same programs with every decision in them: itself where it does.

    See `onnxlin.section.Section`.
    """
    given = own.section
    section = make_section(given.graph, given.inputs, given.outputs, given.rounding, deciding=True)
    rules = [rule_of(given.graph, node, given.rounding) for node in section.nodes]
    opened = any(rule and rule.status in ("expanded", "unrolled") for rule in rules)
    if section.nodes == given.nodes and not opened:
        return own
    require_rules(section)
    return Builder(section, own.open_tracer, own.mode)


def _captures(section: Section) -> Captures:
    """Say which further outputs of its nodes the rules of a section ask for."""
    rules = ((n.name, rule_of(section.graph, n, section.rounding)) for n in section.nodes)
    return {name: rule.captures for name, rule in rules if rule and rule.captures}


def _native_dtype(at_x: NodeAtX, build: Build) -> np.dtype[Any]:
    """Precision in which the runtime had the operands that depend on x, or would if not held."""
    found = [o for o in at_x.operands if o is not None and (o.traced or o.name in build.made)]
    kinds = [o.native.dtype for o in found]
    return kinds[0] if kinds else at_x.dtype
